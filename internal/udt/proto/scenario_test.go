package proto

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// intact fails the test unless both ends got exactly what was sent.
func (p *pair) intact() {
	p.t.Helper()
	for _, e := range p.ends {
		if !bytes.Equal(e.got.Bytes(), e.want) {
			p.t.Errorf("end %d: other bytes: %s", e.i, p)
		}
	}
}

// An outage costs its own length, a round trip and 250 ms, whichever direction
// is out, whatever was under way.
func TestBlackout(t *testing.T) {
	for _, dir := range []string{"both", "data", "ACKs"} {
		for i := range 12 {
			delay := []time.Duration{0, 20 * ms, 150 * ms}[i%3]
			rate := []float64{5e6, 30e6}[i%2]
			start := 700*ms + time.Duration(i)*7*ms
			t.Run(fmt.Sprintf("%s, delay %v, %v Mbit per s, at %v, %d", dir, delay, rate/1e6, start, i), func(t *testing.T) {
				link := simnet.Params{Rate: rate, Delay: delay, Queue: 100_000}
				out := link
				out.Outages = []simnet.Outage{{At: start, For: 2000 * ms}}
				ab, ba := out, out
				switch dir {
				case "data":
					ba = link
				case "ACKs":
					ab = link
				}
				p := newPair(t, uint64(i), ab, ba)
				p.data(0, int(rate/8*2))
				if i >= 6 {
					p.ends[0].cfg.Controller = NewFixed(rate * 0.97)
				}
				p.dial()
				end := Instant(start + 2000*ms)
				p.sleep(end.Sub(0))
				e := p.ends[0]
				acked := e.conn.snd.una
				p.run(2*delay+250*ms, func() bool { return e.conn.snd.una > acked })
				p.run(30*time.Second, p.delivered)
				p.intact()
			})
		}
	}
}

// The same while nothing but the tail is unacknowledged.
func TestBlackoutAtTheTail(t *testing.T) {
	link := simnet.Params{Rate: 100e6, Delay: 20 * ms, Queue: 100_000}
	out := link
	out.Outages = []simnet.Outage{{At: 500 * ms, For: 1500 * ms}}
	p := newPair(t, 1, out, out)
	p.data(0, 10_000)
	e := p.ends[0]
	whole := e.toSend
	e.toSend = whole[:5000]
	p.dial()
	p.sleep(510 * ms)
	e.toSend = whole
	p.sleep(1490 * ms)
	p.run(290*ms, p.delivered)
	p.intact()
}

// All NAKs are lost: the sender's own timers carry the transfer, without any
// pause as long as libudt's 300 ms.
func TestTrapD1AllNAKsLost(t *testing.T) {
	for seed := range uint64(5) {
		link := simnet.Params{Rate: 50e6, Delay: 10 * ms, Queue: 500_000}
		ab := link
		ab.Loss = 0.002
		p := newPair(t, seed, ab, link)
		p.data(0, 2_000_000)
		p.ends[1].onPacket = func(b []byte) [][]byte {
			if c, ok := ParseControl(b); ok && c.Type == TypeNAK {
				return nil
			}
			return [][]byte{b}
		}
		p.dial()
		p.stalls(300 * ms)
	}
}

// stalls runs to the end and fails if no byte arrives for as long as limit.
func (p *pair) stalls(limit time.Duration) {
	p.t.Helper()
	for !p.delivered() {
		before := p.ends[0].got.Len() + p.ends[1].got.Len()
		p.run(limit, func() bool { return p.ends[0].got.Len()+p.ends[1].got.Len() > before })
	}
	p.intact()
}

// Every NAK and every first retransmission is lost.
func TestTrapD1LostRetransmissions(t *testing.T) {
	for seed := range uint64(5) {
		link := simnet.Params{Rate: 50e6, Delay: 10 * ms, Queue: 500_000}
		p := newPair(t, seed, link, link)
		p.data(0, 1_000_000)
		seen := map[Seq]int{}
		p.ends[0].onPacket = func(b []byte) [][]byte {
			if d, ok := ParseData(b); ok {
				seen[d.Seq]++
				if d.Seq%50 == 7 && seen[d.Seq] <= 2 {
					return nil
				}
			}
			return [][]byte{b}
		}
		p.ends[1].onPacket = func(b []byte) [][]byte {
			if c, ok := ParseControl(b); ok && c.Type == TypeNAK && p.rng.IntN(2) == 0 {
				return nil
			}
			return [][]byte{b}
		}
		p.dial()
		p.stalls(300 * ms)
	}
}

// No ACK2 ever arrives, as from a libudt built without a cycle counter, which
// answers few.
func TestTrapD12NoACK2(t *testing.T) {
	link := simnet.Params{Rate: 50e6, Delay: 10 * ms, Queue: 500_000}
	p := newPair(t, 1, link, link)
	p.data(0, 1_000_000)
	p.ends[0].onPacket = func(b []byte) [][]byte {
		if c, ok := ParseControl(b); ok && c.Type == TypeACK2 {
			return nil
		}
		return [][]byte{b}
	}
	p.dial()
	p.stalls(100 * ms)
	if n := p.ends[0].conn.count.Retransmitted; n != 0 {
		t.Errorf("%d packets sent again", n)
	}
}

// Only light ACKs and every tenth full ACK arrive.
func TestFewACKs(t *testing.T) {
	link := simnet.Params{Rate: 50e6, Delay: 10 * ms, Queue: 500_000}
	p := newPair(t, 1, link, link)
	p.data(0, 3_000_000)
	n := 0
	p.ends[1].onPacket = func(b []byte) [][]byte {
		if c, ok := ParseControl(b); ok && c.Type == TypeACK && len(c.Body) > 4 {
			if n++; n > 3 && n%10 != 0 {
				return nil
			}
		}
		return [][]byte{b}
	}
	p.dial()
	p.stalls(400 * ms)
}

// Sequence, ACK and message numbers pass their wraps in one transfer, with
// losses around them.
func TestEveryNumberWraps(t *testing.T) {
	for seed := range uint64(20) {
		link := simnet.Params{Rate: 50e6, Delay: 10 * ms, Queue: 500_000, Loss: 0.02, Reorder: 0.02, ReorderBy: 3 * ms}
		p := newPair(t, seed, link, link)
		p.ends[0].cfg.ISN = SeqMask - 100
		p.data(0, 1_000_000)
		p.data(1, 500_000)
		all := [2][]byte{p.ends[0].toSend, p.ends[1].toSend}
		p.ends[0].toSend, p.ends[1].toSend = nil, nil
		p.dial()
		p.run(10*time.Second, func() bool { return p.ends[0].conn.State() == StateConnected })
		for i, e := range p.ends {
			e.conn.acks.number = 0x7FFFFFFC
			e.conn.snd.message = maxMessage - 50
			e.toSend = all[i]
			p.service(e)
		}
		p.run(60*time.Second, p.delivered)
		p.intact()
		for _, e := range p.ends {
			if next := e.conn.snd.next.seqOf(e.conn.isn); next > 1<<30 {
				t.Errorf("sequence number %#x has not wrapped", next)
			}
			if e.conn.acks.number > 1<<30 {
				t.Errorf("ACK number %#x has not wrapped", e.conn.acks.number)
			}
			if e.conn.snd.message > 1<<28 {
				t.Errorf("message number %#x has not wrapped", e.conn.snd.message)
			}
		}
	}
}

// A reader that stops lets the window close and nothing is lost; the sender
// goes on as soon as there is room.
func TestReaderStops(t *testing.T) {
	for _, lose := range []bool{false, true} {
		link := simnet.Params{Rate: 100e6, Delay: 10 * ms, Queue: 1 << 20}
		p := newPair(t, 1, link, link)
		p.data(0, 3_000_000)
		e := p.ends[1]
		e.cfg.Window = 200
		e.slow = time.Hour
		p.dial()
		p.run(time.Second, func() bool { return e.conn != nil })
		e.readAt = Instant(3 * time.Second)
		p.sleep(3*time.Second - 1 - p.now.Sub(0))
		if e.got.Len() != 0 || e.conn.rcv.next != 200 {
			t.Fatalf("read %d bytes, next %d", e.got.Len(), e.conn.rcv.next)
		}
		if n := p.ends[0].conn.count.DataSent; n > 200+2*20 {
			t.Errorf("%d packets sent to a window of 200 in 3 s", n)
		}
		if lose { // the offer of room is lost
			lost := 0
			e.onPacket = func(b []byte) [][]byte {
				if lost++; lost <= 2 {
					return nil
				}
				return [][]byte{b}
			}
		}
		e.slow = 0
		p.stalls(400 * ms)
	}
}

// A cookie that goes stale while the second request is on its way costs one
// more round trip.
func TestTrapH1CookieGoesStaleUnderWay(t *testing.T) {
	link := simnet.Params{Delay: 10 * ms}
	p := newPair(t, 1, link, link)
	p.data(0, 100)
	skew := Instant(0)
	challenges := 0
	p.ends[0].onPacket = func(b []byte) [][]byte {
		c, ok := ParseControl(b)
		if ok && hasRequest(c, RequestConclusion) && challenges == 0 {
			challenges++
			skew = Instant(2 * CookieEpoch) // the listener's clock moves on
		}
		return [][]byte{b}
	}
	p.skew = func() Instant { return skew }
	p.dial()
	p.run(100*ms, p.delivered)
	p.intact()
}

// A listener that stays silent about a stale cookie, as libudt's does, is asked
// for another one well within libudt's three seconds.
func TestTrapH1SilentListener(t *testing.T) {
	link := simnet.Params{Delay: 10 * ms}
	p := newPair(t, 1, link, link)
	p.data(0, 100)
	good := false
	p.ends[0].onPacket = func(b []byte) [][]byte {
		c, ok := ParseControl(b)
		h, _ := ParseHandshake(c.Body)
		if ok && c.Type == TypeHandshake {
			if h.Request == RequestInduction && p.now > Instant(500*ms) {
				good = true
			}
			if h.Request == RequestConclusion && !good {
				return nil
			}
		}
		return [][]byte{b}
	}
	p.dial()
	p.run(1200*ms, p.delivered)
	p.intact()
}

// The server speaks first and its response is lost, or overtaken by the data:
// the client has all within a fraction of a second.
func TestTrapH3ServerSpeaksFirst(t *testing.T) {
	for _, fault := range []string{"none", "response lost", "two responses lost", "data overtakes"} {
		link := simnet.Params{Rate: 100e6, Delay: 10 * ms, Queue: 1 << 20}
		p := newPair(t, 1, link, link)
		p.data(1, 20_000)
		responses := 0
		p.ends[1].onPacket = func(b []byte) [][]byte {
			if c, ok := ParseControl(b); ok && hasRequest(c, RequestConclusion) {
				responses++
				if fault == "response lost" && responses == 1 || fault == "two responses lost" && responses <= 2 {
					return nil
				}
				if fault == "data overtakes" && p.now < Instant(80*ms) {
					return nil
				}
			}
			return [][]byte{b}
		}
		p.dial()
		p.run(300*ms, p.delivered)
		p.intact()
		if n := p.ends[0].conn.count.Duplicates; n > 40 {
			t.Errorf("%s: %d duplicates", fault, n)
		}
	}
}

// One early loss must not throttle a bulk transfer as libudt's does to 16
// packets a second.
func TestTrapD3EarlyLossInTransfer(t *testing.T) {
	for lost := range 18 {
		link := simnet.Params{Rate: 100e6, Delay: 10 * ms, Queue: 1 << 20}
		p := newPair(t, 1, link, link)
		p.data(0, 1_000_000)
		n := 0
		p.ends[0].onPacket = func(b []byte) [][]byte {
			if !IsControl(b) {
				if n++; n == lost+1 {
					return nil
				}
			}
			return [][]byte{b}
		}
		p.dial()
		p.run(2*time.Second, p.delivered)
	}
}

// A conversation of small messages has the latency of the link.
func TestPingPong(t *testing.T) {
	link := simnet.Params{Rate: 100e6, Delay: 10 * ms, Queue: 1 << 20}
	p := newPair(t, 1, link, link)
	p.data(0, 50*10)
	p.data(1, 50*10)
	a, b := p.ends[0], p.ends[1]
	all := [2][]byte{a.toSend, b.toSend}
	a.toSend, b.toSend = nil, nil
	p.dial()
	p.run(time.Second, func() bool { return b.conn != nil && a.conn.State() == StateConnected })
	for i := range 50 {
		start := p.now
		a.toSend = all[0][:10*(i+1)]
		p.service(a)
		p.run(time.Second, func() bool { return b.got.Len() == 10*(i+1) })
		b.toSend = all[1][:10*(i+1)]
		p.service(b)
		p.run(time.Second, func() bool { return a.got.Len() == 10*(i+1) })
		if took := p.now.Sub(start); took > 21*ms {
			t.Errorf("exchange %d took %v on a link of 20 ms", i, took)
		}
	}
	for _, e := range p.ends {
		if e.conn.count.Retransmitted != 0 {
			t.Errorf("end %d sent %d packets again", e.i, e.conn.count.Retransmitted)
		}
	}
}
