package proto

import (
	"fmt"
	"testing"
	"time"
)

// Each metric of these benchmarks is the time of one step for one of n lost
// packets, with all n lost at once. It should not grow with n by more than
// what caches explain.

var lossCounts = []int{1_000, 10_000, 100_000}

// lossConfig has room for a window of 2n packets of the smallest size.
func lossConfig(n int) Config {
	cfg := testConfig(1)
	cfg.MSS, cfg.Window = 96, 4*n
	cfg.Controller = NewFixed(1e12)
	return cfg
}

// phases adds up what the steps of a benchmark take.
type phases struct {
	b     *testing.B
	names []string
	took  map[string]time.Duration
}

func (p *phases) time(name string, f func()) {
	if _, ok := p.took[name]; !ok {
		p.names = append(p.names, name)
	}
	before := p.b.Elapsed()
	f()
	p.took[name] += p.b.Elapsed() - before
}

func (p *phases) report(n int) {
	for _, name := range p.names {
		p.b.ReportMetric(float64(p.took[name].Nanoseconds())/float64(p.b.N)/float64(n), "ns/"+name)
	}
	p.b.ReportMetric(0, "ns/op")
}

// BenchmarkSenderLoss: every second packet of a flight is lost. NAKs insert
// the losses, the lowest is picked for retransmission until none is left, or
// ACKs remove them. In a relapse the lowest is lost over and over, while the
// others lie at the far end of the flight.
func BenchmarkSenderLoss(b *testing.B) {
	for _, n := range lossCounts {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := &phases{b: b, took: map[string]time.Duration{}}
			for b.Loop() {
				s := &sendBuffer{}
				s.init(1, 96, 1, 2*n)
				for s.held() < 2*n {
					s.fillWith(s.slots * s.payload)
				}
				s.advanceNext(s.tail)
				every := func() {
					for i := range packetIndex(n) {
						s.markLost(2*i, 2*i+1, 0)
					}
				}
				pick := func() {
					first, k, _ := s.nextLost()
					s.resent(s.runAt(first, first+packetIndex(k), 1))
				}
				p.time("insert", every)
				p.time("pick", func() {
					for range n {
						pick()
					}
				})
				s.markLost(s.next-packetIndex(n), s.next, never)
				p.time("relapse", func() {
					for range n {
						s.markLost(0, 1, never)
						pick()
						pick()
					}
				})
				every()
				p.time("acknowledge", func() {
					for i := range packetIndex(n) {
						s.acknowledge(2*i + 2)
					}
				})
				if s.lostCount != 0 || s.inFlight() != 0 {
					b.Fatalf("%d lost, %d in flight", s.lostCount, s.inFlight())
				}
			}
			p.report(n)
		})
	}
}

// BenchmarkReceiverLoss: every second packet is missing. Each makes a gap,
// which is reported, and again when its time has come. Then they are filled,
// highest first, so that nothing can be read until the last; and with all but
// the lowest filled the queue of gaps is gone through once more.
func BenchmarkReceiverLoss(b *testing.B) {
	for _, n := range lossCounts {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := &phases{b: b, took: map[string]time.Duration{}}
			for b.Loop() {
				s := newConnectedScript(b, lossConfig(n))
				s.c.rcv.received = int64(2 * n) // as if so many had come, for the window
				packets := make([][]byte, 2*n)
				for i := range packets {
					packets[i] = s.dataPacket(packetIndex(i), []byte("payload"))
				}
				var runs [16]Run
				reports := func() {
					for len(s.c.Transmit(s.now, runs[:0])) > 0 {
					}
				}
				p.time("insert", func() {
					for i := range n {
						s.c.HandleDatagram(s.now, packets[2*i+1])
					}
				})
				p.time("report", reports)
				s.now = s.now.Add(time.Second)
				p.time("repeat", reports)
				if got := s.c.count.NAKSent; got < int64(2*n/maxNAKEntries) {
					b.Fatalf("only %d NAKs", got)
				}
				p.time("fill", func() {
					for i := n - 1; i > 0; i-- {
						s.c.HandleDatagram(s.now, packets[2*i])
					}
				})
				s.now = s.now.Add(time.Second)
				p.time("forget", reports)
				s.c.HandleDatagram(s.now, packets[0])
				if s.c.rcv.next != packetIndex(2*n) {
					b.Fatalf("in order up to %d", s.c.rcv.next)
				}
			}
			p.report(n)
		})
	}
}
