package proto

import (
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// wait lets time go by until the peer's end of the connection is believed, and
// returns how long that took.
func (s *script) wait(limit time.Duration) (time.Duration, bool) {
	s.t.Helper()
	for start := s.now; s.now < start.Add(limit); s.pass(ms) {
		if s.c.End() != EndNone {
			return s.now.Sub(start), true
		}
	}
	return limit, false
}

// A shutdown can be forged by anybody who guesses an ID. It is believed only
// after the peer gave no sign of life on being asked for one.
func TestShutdownIsBelievedQuickly(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.c.rtt.adopt(1000, 500)
	s.receive(0, 3)
	s.take()
	s.control(TypeShutdown, 0, 0)
	if s.c.End() != EndNone {
		t.Fatal("believed at once")
	}
	if n := len(s.taken(TypeACK)); n != 1 {
		t.Errorf("%d ACKs ask for a sign of life", n)
	}
	if took, ok := s.wait(time.Second); !ok || took > 25*ms {
		t.Fatalf("believed (%v) after %v", ok, took)
	}
	r := s.c.Ready()
	if s.c.End() != EndPeer || !r.Readable || !r.Writable || r.Closed || s.c.CanWrite() {
		t.Errorf("end %d, %+v", s.c.End(), r)
	}
	if n := s.c.Write(s.now, []byte("x")); n != 0 {
		t.Error("data is taken that nobody will get")
	}
	if n := s.c.Read(make([]byte, 10_000)); n != 3*1456 {
		t.Errorf("%d bytes can be read, want what had arrived", n)
	}
	s.take()
	s.data(3, fullPayload)
	s.pass(time.Minute)
	if len(s.take()) != 0 || s.c.rcv.next != 3 {
		t.Error("something is said or taken after the end")
	}
	s.c.Close(s.now, time.Second)
	if s.c.End() != EndLocal || !s.c.Ready().Closed {
		t.Errorf("end %d after Close", s.c.End())
	}
}

// Another shutdown in answer to the question is the opposite of a sign of life.
func TestShutdownRepeated(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.c.rtt.adopt(1000, 500)
	s.control(TypeShutdown, 0, 0)
	for range 20 {
		for range s.taken(TypeACK) {
			s.control(TypeShutdown, 0, 0)
		}
		s.pass(ms)
	}
	if s.c.End() != EndPeer {
		t.Errorf("end %d after 20 ms", s.c.End())
	}
}

// With a long round trip the peer has that long to answer.
func TestShutdownWaitsForTheRoundTrip(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.c.rtt.adopt(200_000, 10_000)
	s.control(TypeShutdown, 0, 0)
	if took, ok := s.wait(time.Second); !ok || took < 235*ms || took > 245*ms {
		t.Errorf("believed (%v) after %v, want RTT + 4 deviations", ok, took)
	}
	s = newConnectedScript(t, testConfig(1))
	s.c.rtt.adopt(10_000_000, 0)
	s.control(TypeShutdown, 0, 0)
	if took, ok := s.wait(20 * time.Second); !ok || took > 1010*ms {
		t.Errorf("believed (%v) after %v, want a second at most", ok, took)
	}
}

// Until the peer has measured it, what it reports is libudt's first guess; the
// round trip of our own data is known better.
func TestShutdownWaitsForOurOwnRoundTrip(t *testing.T) {
	s := measured(t) // 20 ms, and 4 × 7.5 ms
	s.c.rtt.adopt(100_000, 50_000)
	s.control(TypeShutdown, 0, 0)
	if took, ok := s.wait(time.Second); !ok || took > 55*ms {
		t.Errorf("believed (%v) after %v", ok, took)
	}
}

// A peer that answers is alive, and the shutdown was not its own.
func TestForgedShutdownIsNotBelieved(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.c.rtt.adopt(1000, 500)
	s.receive(0, 1)
	s.take()
	s.control(TypeShutdown, 0, 0)
	for range 200 {
		for _, c := range s.taken(TypeACK) {
			s.control(TypeACK2, c.Info, 0)
		}
		s.pass(ms)
	}
	if s.c.End() != EndNone || s.c.State() != StateConnected || s.c.count.Invalid != 1 {
		t.Fatalf("end %d, state %d, %d invalid", s.c.End(), s.c.State(), s.c.count.Invalid)
	}
	s.data(1, []byte("on we go"))
	if !s.c.Ready().Readable {
		t.Error("dead")
	}
	s.control(TypeShutdown, 0, 0) // this one is true
	if took, ok := s.wait(time.Second); !ok || took > 25*ms {
		t.Errorf("believed (%v) after %v", ok, took)
	}
}

// What the network delayed arrives after a true shutdown; it counts as a sign
// of life, but only prolongs the question.
func TestShutdownWithStragglers(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.c.rtt.adopt(1000, 500)
	s.receive(0, 1)
	s.receive(2, 5)
	s.control(TypeShutdown, 0, 0)
	for i := range 3 {
		s.pass(4 * ms)
		if i == 1 {
			s.receive(1, 2) // the hole is filled
		} else {
			s.control(TypeKeepAlive, 0, 0)
		}
		s.control(TypeShutdown, 0, 0) // copies
	}
	if took, ok := s.wait(time.Second); !ok || took > 40*ms || s.c.End() != EndPeer {
		t.Errorf("believed (%v) after %v more, end %d", ok, took, s.c.End())
	}
}

// A stream with holes has not come to its end, whatever the shutdown says.
func TestShutdownWithHoles(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.receive(0, 3)
	s.receive(5, 6)
	s.control(TypeShutdown, 0, 0)
	s.wait(time.Second)
	if s.c.End() != EndPeerAbort {
		t.Errorf("end %d", s.c.End())
	}
}

// Our own kind tells giving up from closing.
func TestShutdownOfAborted(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.receive(0, 3)
	s.control(TypeShutdown, shutdownAborted, 0)
	s.wait(time.Second)
	if s.c.End() != EndPeerAbort {
		t.Errorf("end %d", s.c.End())
	}
}

func TestShutdownWhileDraining(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.write(3)
	s.c.Close(s.now, time.Minute)
	s.step()
	s.control(TypeShutdown, 0, 0)
	s.wait(time.Second)
	if s.c.End() != EndLinger || !s.c.Ready().Closed {
		t.Errorf("end %d, closed %v: what was written is lost", s.c.End(), s.c.Ready().Closed)
	}
}

// Libudt's receive thread wakes the program before it sends the ACK, and the
// program's shutdown may come long before that where there is much else to do:
// while our Close waits for the ACK, or our program for the end of the peer.
func TestShutdownBeforeTheLastACK(t *testing.T) {
	for _, closeFirst := range []bool{true, false} {
		s := newConnectedScript(t, testConfig(1))
		s.c.rtt.adopt(1000, 500)
		s.write(3)
		if closeFirst {
			s.c.Close(s.now, time.Minute)
		}
		s.step()
		s.control(TypeShutdown, 0, 0)
		s.pass(400 * ms)
		if s.c.End() != EndNone {
			t.Fatalf("closed first %v: end %d before the last ACK", closeFirst, s.c.End())
		}
		s.control(TypeACK, 1, s.word(3), 1000, 500, 8192)
		s.wait(time.Second)
		if !closeFirst {
			if s.c.End() != EndPeer {
				t.Errorf("end %d, want the peer's", s.c.End())
			}
			s.c.Close(s.now, time.Minute)
		}
		if s.c.End() != EndLocal || !s.c.Ready().Closed {
			t.Errorf("closed first %v: end %d, closed %v: all has arrived", closeFirst, s.c.End(), s.c.Ready().Closed)
		}
	}
}

// While there is more to send than the peer can have got, no ACK of it all is
// waited for.
func TestShutdownInMidTransfer(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.c.rtt.adopt(1000, 500)
	s.write(500)
	s.step()
	if s.c.snd.next == s.c.snd.tail {
		t.Fatal("all was sent at once")
	}
	s.control(TypeShutdown, 0, 0)
	if took, ok := s.wait(time.Second); !ok || took > 25*ms {
		t.Errorf("believed (%v) after %v", ok, took)
	}
}

// Forged shutdowns do not end a live transfer, in either direction, on a good
// link or a bad one.
func TestForgedShutdownsInTransfer(t *testing.T) {
	for seed := range uint64(20) {
		link := simnet.Params{Rate: 50e6, Delay: 10 * ms, Queue: 200_000}
		if seed%2 == 1 {
			link.Loss, link.Reorder, link.ReorderBy = 0.02, 0.02, 5*ms
		}
		p := newPair(t, seed, link, link)
		p.data(0, 1_000_000)
		p.data(1, int(seed%3)*100_000)
		p.dial()
		next := Instant(100 * ms)
		p.run(20*time.Second, func() bool {
			for p.now >= next && !p.delivered() {
				next = next.Add(30 * ms)
				for _, e := range p.ends {
					if e.conn != nil {
						e.conn.HandleDatagram(p.now, AppendShutdown(nil, e.conn.ID(), false))
					}
				}
			}
			return p.delivered()
		})
		for _, e := range p.ends {
			if e.conn.End() != EndNone {
				t.Fatalf("seed %d: end %d: %s", seed, e.conn.End(), p)
			}
		}
	}
}

// A true end of a transfer is believed soon, also when the network duplicates
// packets and delivers many of them late.
func TestShutdownAfterTransfer(t *testing.T) {
	for seed := range uint64(50) {
		link := simnet.Params{
			Rate: 100e6, Delay: 10 * ms, Queue: 200_000, Reorder: 0.3, ReorderBy: time.Duration(seed%5) * 10 * ms, Duplicate: 0.1,
		}
		p := newPair(t, seed, link, link)
		p.data(0, 300_000)
		p.ends[0].closing = true
		p.dial()
		p.run(20*time.Second, func() bool { return p.ends[0].conn.State() == StateClosed })
		closed := p.now
		p.run(5*time.Second, func() bool { return p.ends[1].conn.End() != EndNone })
		e := p.ends[1]
		if e.conn.End() != EndPeer || e.got.Len() != len(e.want) {
			t.Errorf("seed %d: server's end %d with %d of %d bytes", seed, e.conn.End(), e.got.Len(), len(e.want))
		}
		if took := p.now.Sub(closed); took > 300*ms {
			t.Errorf("seed %d: the server knows %v after the client was done", seed, took)
		}
	}
}
