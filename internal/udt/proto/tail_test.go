package proto

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// plain makes the listener of a pair one that knows no extension, as libudt's:
// it answers with an additional-info word of zero.
func (p *pair) plain() {
	next := p.ends[1].onPacket
	p.ends[1].onPacket = func(b []byte) [][]byte {
		if c, ok := ParseControl(b); ok && hasRequest(c, RequestConclusion) {
			binary.BigEndian.PutUint32(b[4:], 0)
		}
		if next != nil {
			return next(b)
		}
		return [][]byte{b}
	}
}

// The last packets of a transfer are lost, and with them what is to repair
// that; how long it takes until all is delivered.
func TestTailLossIsRepaired(t *testing.T) {
	const packets = 300
	for _, c := range []struct {
		name   string
		tail   int     // packets lost at the end
		copies int     // times each is lost
		naks   int     // NAKs lost
		trips  float64 // most round trips
		waits  int     // and most times the ACK clock on top
		plain  bool
	}{
		{name: "the last packet", tail: 1, copies: 1, trips: 2, waits: 1},
		{name: "a short tail", tail: 7, copies: 1, trips: 2, waits: 1},
		{name: "a tail of 16", tail: 16, copies: 1, trips: 2, waits: 1},
		{name: "a long tail", tail: 100, copies: 1, trips: 3, waits: 1},
		{name: "a long tail and a NAK", tail: 100, copies: 1, naks: 1, trips: 4.5, waits: 2},
		{name: "the last packet twice", tail: 1, copies: 2, trips: 3.5, waits: 2},
		{name: "a short tail twice", tail: 7, copies: 2, trips: 3.5, waits: 2},
		{name: "a short tail three times", tail: 7, copies: 3, trips: 6.3, waits: 4},
		{name: "the last packet, to libudt", tail: 1, copies: 1, trips: 3, waits: 0, plain: true},
		{name: "a short tail, to libudt", tail: 7, copies: 1, trips: 4, waits: 0, plain: true},
	} {
		for _, rtt := range []time.Duration{10 * ms, 60 * ms, 200 * ms} {
			t.Run(fmt.Sprintf("%s, %v", c.name, rtt), func(t *testing.T) {
				link := simnet.Params{Rate: 50e6, Delay: rtt / 2, Queue: 1 << 20}
				p := newPair(t, 1, link, link)
				p.ends[0].cfg.Controller = NewFixed(40e6)
				p.data(0, packets*1456)
				seen := map[Seq]int{}
				var lost Instant
				p.ends[0].onPacket = func(b []byte) [][]byte {
					d, ok := ParseData(b)
					if ok && d.Seq.Sub(1000) >= packets-c.tail {
						seen[d.Seq]++
						if seen[d.Seq] == 1 {
							lost = p.now
						}
						if seen[d.Seq] <= c.copies {
							return nil
						}
					}
					return [][]byte{b}
				}
				naks := 0
				p.ends[1].onPacket = func(b []byte) [][]byte {
					if ctl, ok := ParseControl(b); ok && ctl.Type == TypeNAK {
						if naks++; naks <= c.naks {
							return nil
						}
					}
					return [][]byte{b}
				}
				limit := time.Duration(c.trips*float64(rtt)) + promptACK*time.Duration(c.waits)
				limit += time.Duration(c.tail) * 300 * time.Microsecond // to send it again
				if c.plain {
					p.plain()
					limit += tailTimeout
				}
				p.dial()
				p.run(5*time.Second, p.delivered)
				p.intact()
				if p.ends[0].conn.extended == c.plain {
					t.Fatal("the ends do not know each other")
				}
				if took := p.now.Sub(lost); took > limit {
					t.Errorf("delivered %v after the last loss, want %v", took, limit)
				}
				if n := p.ends[0].conn.count.Retransmitted; n > int64(c.tail*c.copies)+8 {
					t.Errorf("%d packets sent again for a tail of %d", n, c.tail)
				}
			})
		}
	}
}

// No tail is repeated where nothing is lost, however late its ACK may be by the
// rules.
func TestTailIsNotRepeatedInVain(t *testing.T) {
	for _, rtt := range []time.Duration{0, ms, 10 * ms, 60 * ms, 200 * ms} {
		link := simnet.Params{Rate: 50e6, Delay: rtt / 2, Queue: 1 << 20, Jitter: rtt / 20}
		p := newPair(t, 1, link, link)
		p.data(0, 200*1456)
		all := p.ends[0].toSend
		p.ends[0].toSend = nil
		p.dial()
		for n := 0; n < len(all); {
			n = min(len(all), n+1456*(1+p.rng.IntN(20)))
			p.ends[0].toSend = all[:n]
			if c := p.ends[0].conn; c.State() == StateConnected {
				p.service(p.ends[0])
			}
			p.sleep(time.Duration(p.rng.IntN(80)) * ms)
		}
		p.run(5*time.Second, p.delivered)
		if n := p.ends[0].conn.count.Retransmitted; n > 0 {
			t.Errorf("round trip %v: %d packets sent again", rtt, n)
		}
	}
}

// What was sent less than a round trip ago may well be acknowledged yet: it is
// not repeated with the rest of a tail.
func TestTailStillOnItsWay(t *testing.T) {
	s := newExtendedScript(t)
	s.write(4)
	s.pass(20 * ms)
	s.ack(1, 4, 8192)
	s.take()
	for range 20 {
		s.write(1)
		s.pass(6 * ms)
		if s.c.count.Retransmitted > 0 {
			break
		}
	}
	last := map[packetIndex]Instant{}
	for _, p := range s.take() {
		d, ok := ParseData(p.b)
		if !ok {
			continue
		}
		i := indexOf(d.Seq, s.c.isn, s.c.snd.una)
		if first, again := last[i]; again && p.at.Sub(first) < s.c.ackRTT.srtt && i != s.c.snd.next-1 {
			t.Errorf("packet %d is sent again after %v", i, p.at.Sub(first))
		}
		last[i] = p.at
	}
	if s.c.count.Retransmitted < 3 {
		t.Fatalf("%d packets sent again", s.c.count.Retransmitted)
	}
}

// The first repeat of a tail is a probe; only if that is in vain too the
// controller is told of a timeout. To libudt, whose ACKs may take as long, the
// wait was so long that it is told at once.
func TestTailProbeIsNoTimeout(t *testing.T) {
	for _, extended := range []bool{true, false} {
		s := newConnectedScript(t, testConfig(1))
		if extended {
			s = newExtendedScript(t)
		}
		cc := &recorder{Native: NewNative()}
		s.c.cc = cc
		s.write(4)
		s.pass(20 * ms)
		s.ack(1, 4, 8192)
		s.write(4)
		told := []int{}
		for sent := s.c.count.Retransmitted; len(told) < 3; {
			s.pass(ms)
			if n := s.c.count.Retransmitted; n > sent {
				sent, told = n, append(told, cc.timeouts)
			}
		}
		want := []int{1, 2, 3}
		if extended {
			want = []int{0, 1, 2}
		}
		if !slices.Equal(told, want) {
			t.Errorf("extended %v: %v timeouts after each repeat, want %v", extended, told, want)
		}
	}
}
