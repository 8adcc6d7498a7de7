package proto

import (
	"testing"
	"time"
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
