package proto

import (
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// An idle connection speaks each second: a libudt peer gives up only after 46.
func TestKeepAliveWhenIdle(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	last := s.now
	for range 200 {
		s.pass(100 * ms)
		if s.now%Instant(5*time.Second) == 0 {
			s.control(TypeKeepAlive, 0, 0) // we are not given up meanwhile
		}
	}
	sent := s.take()
	if len(sent) < 19 || len(sent) > 21 {
		t.Errorf("%d packets in 20 s", len(sent))
	}
	for _, p := range sent {
		c, ok := ParseControl(p.b)
		if !ok || c.Type != TypeKeepAlive || len(p.b) != 20 {
			t.Fatalf("sent %x", p.b)
		}
		if p.at.Sub(last) > time.Second {
			t.Errorf("%v of silence", p.at.Sub(last))
		}
		last = p.at
	}
}

// Hearing the peer is no reason for silence: it wants to hear us, too.
func TestKeepAliveWhenOnlyListening(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	for range 100 {
		s.pass(100 * ms)
		s.control(TypeKeepAlive, 0, 0)
	}
	if n := len(s.taken(TypeKeepAlive)); n < 9 {
		t.Errorf("%d keep-alives in 10 s", n)
	}
}

// Who says something else needs no keep-alive.
func TestNoKeepAliveWhenBusy(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	for i := range packetIndex(100) {
		s.data(i, []byte("x")) // each is acknowledged
		s.pass(50 * ms)
	}
	if n := len(s.taken(TypeKeepAlive)); n != 0 {
		t.Errorf("%d keep-alives", n)
	}
}

func TestPeerTimeout(t *testing.T) {
	cfg := testConfig(1)
	cfg.PeerTimeout = 5 * time.Second
	for name, sign := range map[string]func(*script){
		"keep-alive": func(s *script) { s.control(TypeKeepAlive, 0, 0) },
		"data":       func(s *script) { s.data(0, []byte("x")) },
		"garbage":    func(s *script) { s.control(TypeNAK, 0, 1<<31) },
	} {
		s := newConnectedScript(t, cfg)
		s.write(1)
		s.pass(4 * time.Second)
		sign(s)
		s.pass(5*time.Second - 1)
		if s.c.End() != EndNone {
			t.Errorf("%s: lost %v after it", name, 5*time.Second-1)
		}
		s.pass(1)
		if s.c.End() != EndLost || !s.c.Ready().Closed || !s.c.Ready().Readable || !s.c.Ready().Writable {
			t.Errorf("%s: end %d, %+v", name, s.c.End(), s.c.Ready())
		}
	}
}

func TestLose(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.c.Lose(s.now)
	if s.c.End() != EndLost || !s.c.Ready().Closed {
		t.Errorf("end %d", s.c.End())
	}
}

// An idle connection, never used or after a transfer, wants to be woken for
// nothing but its keep-alive, once a second.
func TestIdleTimers(t *testing.T) {
	for _, size := range []int{0, 1_000_000} {
		link := simnet.Params{Rate: 1e9, Delay: 5 * ms, Queue: 1 << 20, Loss: 0.001}
		p := newPair(t, 1, link, link)
		p.data(0, size)
		p.data(1, size)
		p.dial()
		p.run(20*time.Second, p.delivered)
		p.sleep(2 * time.Second)
		var woken [2]int
		const idle = 60
		for end := p.now.Add(idle * time.Second); ; {
			var due [2]Instant
			for i, e := range p.ends {
				at, ok := e.conn.NextTimeout()
				if !ok {
					at = never
				}
				due[i] = at
			}
			if !p.step(end) {
				break
			}
			for i := range woken {
				if due[i] <= p.now {
					woken[i]++
				}
			}
		}
		const peerTimeouts = 2 // looks at when the peer was last heard
		for i, n := range woken {
			if n < idle-1 || n > idle+peerTimeouts {
				t.Errorf("after %d bytes end %d is woken %d times in %d s", size, i, n, idle)
			}
		}
	}
}

// Nothing is left of a bad time once an idle connection has recovered from it.
func TestIdleMemoryAfterLoss(t *testing.T) {
	const packets = 5000
	s := newConnectedScript(t, testConfig(1))
	for i := packetIndex(1); i < packets; i += 2 {
		s.data(i, []byte("x"))
	}
	for i := packetIndex(0); i < packets; i += 2 {
		s.data(i, []byte("x"))
	}
	gaps := cap(s.c.naks.fresh.q) + cap(s.c.naks.waiting.q)
	if n := s.c.Read(make([]byte, 2*packets)); n != packets || gaps < packets/4 {
		t.Fatalf("%d bytes, room for %d gaps", n, gaps)
	}
	for range 400 { // it repeats its ACK until that is confirmed
		for _, c := range s.taken(TypeACK) {
			s.control(TypeACK2, c.Info, 0)
		}
		s.pass(10 * ms)
	}
	if n := memory(s.c); n > 4096 {
		t.Errorf("%d bytes are kept", n)
	}
}
