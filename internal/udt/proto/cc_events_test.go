package proto

import (
	"slices"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// diary is a controller that wants all there is to know.
type diary struct {
	*Native
	inits, closes, acks, losses, timeouts int

	sent, again, received int64
	bytes                 int64
	naks                  int64
	lost                  int64 // packets in them
	wrong                 []string
	users                 []UserPacket
}

func (d *diary) Init(s *PathState)                 { d.inits++; d.Native.Init(s) }
func (d *diary) OnACK(s *PathState, n int)         { d.acks++; d.Native.OnACK(s, n) }
func (d *diary) OnLoss(s *PathState, f int64)      { d.losses++; d.Native.OnLoss(s, f) }
func (d *diary) OnTimeout(s *PathState)            { d.timeouts++; d.Native.OnTimeout(s) }
func (d *diary) OnClose(*PathState)                { d.closes++ }
func (d *diary) OnUser(_ *PathState, p UserPacket) { d.users = append(d.users, p) }

func (d *diary) OnSent(s *PathState, first int64, n int, again bool) {
	if d.sent += int64(n); again {
		d.again += int64(n)
	}
	if n < 1 || first < s.Acked || first+int64(n) > s.Sent || !again && first+int64(n) != s.Sent {
		d.wrong = append(d.wrong, "sent")
	}
}

func (d *diary) OnReceived(_ *PathState, index int64, size int) {
	d.received++
	d.bytes += int64(size)
	if index < 0 || size < 1 {
		d.wrong = append(d.wrong, "received")
	}
}

func (d *diary) OnNAK(s *PathState, losses []IndexRange) {
	d.naks++
	for _, r := range losses {
		d.lost += r.Last - r.First + 1
		if r.First > r.Last || r.First < 0 || r.Last >= s.Sent {
			d.wrong = append(d.wrong, "NAK")
		}
	}
	if len(losses) == 0 || !slices.IsSortedFunc(losses, func(a, b IndexRange) int { return int(a.First - b.First) }) {
		d.wrong = append(d.wrong, "NAK's order")
	}
}

// A controller that wants all of UDT's events gets each of them, as often as
// it happens, and once at the end.
func TestControllerEvents(t *testing.T) {
	for seed := range uint64(10) {
		link := simnet.Params{Rate: 100e6, Delay: 10 * ms, Queue: 300_000, Loss: 0.02, Duplicate: 0.01}
		p := newPair(t, seed, link, link)
		var diaries [2]*diary
		for i, e := range p.ends {
			diaries[i] = &diary{Native: NewNative()}
			e.cfg.Controller = diaries[i]
		}
		p.data(0, 2_000_000)
		p.data(1, 1_000_000)
		p.dial()
		p.run(time.Minute, p.delivered)
		p.ends[0].conn.Close(p.now, time.Minute)
		p.run(time.Minute, func() bool { return p.ends[0].conn.Ready().Closed && p.ends[1].conn.End() == EndPeer })
		p.ends[1].conn.Abort(p.now)
		for i, d := range diaries {
			c := p.ends[i].conn.count
			for what, ok := range map[string]bool{
				"init":     d.inits == 1,
				"close":    d.closes == 1,
				"ACKs":     int64(d.acks) >= c.ACKReceived && c.ACKReceived > 0,
				"losses":   d.losses > 0 && int64(d.losses) <= c.NAKReceived,
				"sent":     d.sent == c.DataSent && d.again == c.Retransmitted && d.again > 0,
				"received": d.received == c.DataReceived && d.bytes >= c.BytesReceived,
				"NAKs":     d.naks == c.NAKReceived && d.lost >= d.naks,
				"contents": len(d.wrong) == 0,
			} {
				if !ok {
					t.Errorf("seed %d, end %d: %s: %+v, counted %+v", seed, i, what, d, c)
				}
			}
		}
	}
}

// A timeout is told to a controller of this kind, too, and a connection that
// never came to be has no end.
func TestControllerTimeoutAndClose(t *testing.T) {
	d := &diary{Native: NewNative()}
	cfg := testConfig(1)
	cfg.Controller = d
	s := newConnectedScript(t, cfg)
	s.c.Write(s.now, make([]byte, 1000))
	s.pass(5 * time.Second)
	if d.timeouts == 0 {
		t.Error("no timeout was told")
	}
	d = &diary{Native: NewNative()}
	cfg.Controller = d
	NewClient(0, cfg).Abort(0)
	if d.inits != 0 || d.closes != 0 {
		t.Errorf("%d beginnings and %d ends of what never was a connection", d.inits, d.closes)
	}
}

// echo answers each user packet with one of the next kind.
type echo struct{ *diary }

func (e echo) OnUser(s *PathState, p UserPacket) {
	e.diary.OnUser(s, p)
	if !s.SendUser(UserPacket{Kind: p.Kind + 1, Words: p.Words}) {
		e.wrong = append(e.wrong, "SendUser")
	}
}

// Controllers talk to each other in user packets.
func TestControllersTalk(t *testing.T) {
	asks, answers := &diary{Native: NewNative()}, echo{&diary{Native: NewNative()}}
	p := newPair(t, 1, simnet.Params{Delay: 10 * ms}, simnet.Params{Delay: 10 * ms})
	p.ends[0].cfg.Controller, p.ends[1].cfg.Controller = asks, answers
	p.dial()
	p.run(time.Second, func() bool { return p.ends[0].conn.Ready().Connected })
	p.ends[0].conn.SendUser(user(7, 8, 9))
	p.run(time.Second, func() bool { return len(asks.users) > 0 })
	want := user(8, 8, 9)
	if got := asks.users[0]; got.Kind != want.Kind || !slices.Equal(got.Words, want.Words) || len(answers.users) != 1 || len(answers.wrong) > 0 {
		t.Errorf("asked %+v, got %+v", answers.users, got)
	}
	var nobody PathState
	if nobody.SendUser(want) {
		t.Error("a path of no connection sends")
	}
}

// wants is a controller with an event per packet.
type wants struct {
	*Fixed
	n int
}

func (w *wants) OnSent(*PathState, int64, int, bool) { w.n++ }
func (w *wants) OnReceived(*PathState, int64, int)   { w.n++ }
func (w *wants) OnNAK(_ *PathState, l []IndexRange)  { w.n += len(l) }

// Events allocate nothing either.
func TestEventsAllocateNothing(t *testing.T) {
	f := newFlow(t, Stream)
	w := &wants{Fixed: NewFixed(1e12)}
	for _, c := range []*Conn{f.from, f.to} {
		w.Init(&c.path)
		c.cc, c.events = w, eventsOf(w)
	}
	for range 200 {
		f.round(int(2 * ms))
	}
	told := w.n
	if allocs := testing.AllocsPerRun(200, func() { f.round(int(2 * ms)) }); allocs > 0 || w.n < told+10_000 {
		t.Errorf("%g allocations, %d events", allocs, w.n-told)
	}
}
