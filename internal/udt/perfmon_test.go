package udt_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// A census counts what one end sends over a link that loses packets, by kind.
// It reads packets by itself: our codec is to be judged by it, too.
type census struct {
	mu   sync.Mutex
	rng  *rand.Rand
	loss float64

	data, dataLost int64
	seen           map[uint32]bool // sequence numbers
	repeated       int64
	acks           int64 // full ones
	progress       int64 // full ones that arrive and acknowledge what none before did
	acked          uint32
	naks, nakLost  int64
}

func newCensus(loss float64, seed uint64, isn uint32) *census {
	return &census{rng: rand.New(rand.NewPCG(seed, 9)), loss: loss, seen: map[uint32]bool{}, acked: isn}
}

// keep counts a packet and says whether it arrives. Handshakes and goodbyes do.
func (c *census) keep(_ netip.AddrPort, b []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	lost := c.rng.Float64() < c.loss
	switch {
	case isData(b):
		seq := binary.BigEndian.Uint32(b)
		c.data++
		if c.seen[seq] {
			c.repeated++
		}
		c.seen[seq] = true
		if lost {
			c.dataLost++
		}
		return !lost
	case controlType(b) == typeACK:
		full := len(b) > 20
		if full {
			c.acks++
		}
		if lost {
			return false
		}
		if next := binary.BigEndian.Uint32(b[16:]); distance(c.acked, next) > 0 {
			c.acked = next
			if full {
				c.progress++
			}
		}
		return true
	case controlType(b) == typeNAK:
		c.naks++
		if lost {
			c.nakLost++
		}
		return !lost
	}
	return true
}

// The counters of both ends agree with each other and with what is seen on the
// link, packet by packet, while both send and both directions lose packets;
// and intervals of 10 ms add up to the totals.
func TestPerfmonIsConsistent(t *testing.T) {
	for seed := range uint64(8) {
		loss := []float64{0, 0.002, 0.02, 0.1}[seed%4]
		t.Run(fmt.Sprintf("seed %d loss %g", seed, loss), func(t *testing.T) {
			const isn = 1<<31 - 300 // numbers wrap on the way
			c := simConfig{seed: seed, offloads: seed >= 4}
			udt.SetTestISN(&c.client, isn)
			connected(t, c, func(t *testing.T, s *sim, client, server *udt.Conn) {
				wire := [2]*census{newCensus(loss, seed, isn), newCensus(loss, seed+100, isn)}
				s.client.sock.filter(wire[0].keep)
				s.server.sock.filter(wire[1].keep)
				ends := [2]*udt.Conn{client, server}
				sums := [2]*ledger{newLedger(client), newLedger(server)}
				stop := make(chan struct{})
				var watching sync.WaitGroup
				for _, l := range sums {
					watching.Go(func() { l.watch(t, stop) })
				}
				up, down := noise(seed, 700_000), noise(seed+1, 1_100_000)
				meanwhile(t,
					func() error { return write(client, up) },
					func() error { return write(server, down) },
					func() error { return wantBytes(client, down) },
					func() error { return wantBytes(server, up) },
				)
				<-time.After(5 * time.Second) // for the last ACKs
				close(stop)
				watching.Wait()
				for i := range ends {
					agree(t, ends[i].Stats(false), ends[1-i].Stats(false), wire[i], wire[1-i])
					sums[i].balance(t)
				}
			})
		})
	}
}

// agree compares a sender's counters with its receiver's; out is what the
// sender put on the link, back what came the other way.
func agree(t *testing.T, snd, rcv udt.Stats, out, back *census) {
	t.Helper()
	for _, c := range []struct {
		what      string
		got, want int64
	}{
		{"sent", snd.PktSentTotal, out.data},
		{"received", rcv.PktRecvTotal, out.data - out.dataLost},
		{"retransmitted", snd.PktRetransTotal, out.repeated},
		{"sent once", snd.PktSentTotal - snd.PktRetransTotal, int64(len(out.seen))},
		{"full ACKs sent", rcv.PktSentACKTotal, back.acks},
		{"full ACKs that said something new", snd.PktRecvACKTotal, back.progress},
		{"NAKs sent", rcv.PktSentNAKTotal, back.naks},
		{"NAKs received", snd.PktRecvNAKTotal, back.naks - back.nakLost},
		{"in flight", int64(snd.PktFlightSize), 0},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.what, c.got, c.want)
		}
	}
	for _, c := range []struct {
		what        string
		less, equal int64 // or more
	}{
		{"what got lost was sent again", out.dataLost, snd.PktRetransTotal},
		{"what was sent again counted as lost", snd.PktRetransTotal, snd.PktSndLossTotal},
		{"what was reported missing had got lost", rcv.PktRcvLossTotal, out.dataLost},
		{"the busy time is part of the age", snd.UsSndDurationTotal, 1000 * (snd.MsTimestamp + 1)},
	} {
		if c.less > c.equal {
			t.Errorf("%s: %d and %d", c.what, c.less, c.equal)
		}
	}
	if out.dataLost > 10 && rcv.PktRcvLossTotal < out.dataLost/2 {
		t.Errorf("%d packets got lost, %d were reported missing", out.dataLost, rcv.PktRcvLossTotal)
	}
	if snd.UsSndDurationTotal <= 0 || snd.UsSndDurationTotal > 1000*snd.MsTimestamp-4e6 {
		t.Errorf("busy for %d us of %d ms, of which the last 5 s were idle", snd.UsSndDurationTotal, snd.MsTimestamp)
	}
}

// counters are those of UDT's that are kept both ways.
func counters(s udt.Stats) (interval, total [11]int64) {
	return [...]int64{
			s.PktSent, s.PktRecv, s.PktSndLoss, s.PktRcvLoss, s.PktRetrans, s.PktSentACK, s.PktRecvACK,
			s.PktSentNAK, s.PktRecvNAK, s.UsSndDuration, s.PktSockDrop,
		}, [...]int64{
			s.PktSentTotal, s.PktRecvTotal, s.PktSndLossTotal, s.PktRcvLossTotal, s.PktRetransTotal, s.PktSentACKTotal, s.PktRecvACKTotal,
			s.PktSentNAKTotal, s.PktRecvNAKTotal, s.UsSndDurationTotal, s.PktSockDropTotal,
		}
}

// A ledger adds up intervals.
type ledger struct {
	conn *udt.Conn
	sum  [11]int64
	at   time.Time
}

func newLedger(c *udt.Conn) *ledger {
	l := &ledger{conn: c}
	l.look(nil)
	return l
}

// look ends an interval.
func (l *ledger) look(t *testing.T) {
	s := l.conn.Stats(true)
	span := time.Since(l.at)
	l.at = time.Now()
	interval, _ := counters(s)
	for i, n := range interval {
		if n < 0 && t != nil {
			t.Errorf("counter %d of an interval is %d", i, n)
		}
		l.sum[i] += n
	}
	if t == nil {
		return
	}
	for _, rate := range []struct {
		mbps    float64
		packets int64
	}{{s.MbpsSendRate, s.PktSent}, {s.MbpsRecvRate, s.PktRecv}} {
		if want := float64(rate.packets) * payload * 8 / 1e6 / span.Seconds(); math.Abs(rate.mbps-want) > 1e-6*want {
			t.Errorf("%g Mbit/s for %d packets in %v, want %g", rate.mbps, rate.packets, span, want)
		}
	}
	if s.MsRTT < 10 || s.MsRTT > 2000 || s.PktFlowWindow < 0 || s.PktCongestionWindow < 1 || s.PktFlightSize < 0 ||
		s.UsPktSndPeriod < 0 || s.UsPktSndPeriod > 1e6 || s.MbpsBandwidth < 0 || s.ByteAvailSndBuf < 0 || s.ByteAvailRcvBuf < 0 {
		t.Errorf("a moment that cannot be: %+v", s)
	}
}

// watch looks every 10 ms.
func (l *ledger) watch(t *testing.T, stop <-chan struct{}) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.look(t)
		case <-stop:
			return
		}
	}
}

// balance compares the sum with the totals.
func (l *ledger) balance(t *testing.T) {
	t.Helper()
	l.look(nil)
	if _, total := counters(l.conn.Stats(false)); total != l.sum {
		t.Errorf("intervals add up to %v, the totals are %v", l.sum, total)
	}
}

// Reading the counters every 10 ms costs nothing to speak of.
func TestPerfmonAllocatesNothing(t *testing.T) {
	client, server := loopback(t, nil)
	defer closeAll(t, client, server)
	if n := testing.AllocsPerRun(1000, func() { client.Stats(true) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func BenchmarkPerfmon(b *testing.B) {
	client, server := loopback(b, nil)
	defer closeAll(b, client, server)
	b.ReportAllocs()
	for b.Loop() {
		client.Stats(true)
	}
}
