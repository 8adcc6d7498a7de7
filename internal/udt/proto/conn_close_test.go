package proto

import (
	"slices"
	"testing"
	"time"
)

// Close delivers first, then says goodbye a few times: nobody acknowledges it.
func TestCloseDrains(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.write(3)
	s.c.Close(s.now, time.Minute)
	s.pass(50 * ms)
	if n := len(s.taken(TypeShutdown)); n != 0 || s.c.State() != StateDraining || s.c.CanWrite() {
		t.Fatalf("%d shutdowns before all is delivered, state %d", n, s.c.State())
	}
	s.ack(1, 2, 100)
	if n := len(s.taken(TypeShutdown)); n != 0 {
		t.Fatal("shutdown with a packet undelivered")
	}
	s.ack(2, 3, 100)
	s.pass(time.Second)
	var at []Instant
	for _, p := range s.take() {
		if c, ok := ParseControl(p.b); ok && c.Type == TypeShutdown {
			at = append(at, p.at-s.now+Instant(time.Second))
			if c.Info != 0 || c.Dst != peerSocket || len(c.Body) != 4 {
				t.Errorf("shutdown %+v", c)
			}
		}
	}
	if want := []Instant{0, Instant(goodbyeGap), Instant(2 * goodbyeGap)}; !slices.Equal(at, want) {
		t.Errorf("shutdowns after %v, want %v", at, want)
	}
	if s.c.End() != EndLocal || !s.c.Ready().Closed {
		t.Errorf("end %d", s.c.End())
	}
}

// What was acknowledged by light ACKs alone, libudt's receiver loses when it
// gets our shutdown.
func TestCloseWaitsForAFullACK(t *testing.T) {
	for extended, want := range map[bool]int{false: 0, true: 1} {
		s := newConnectedScript(t, testConfig(1))
		s.c.extended = extended
		s.write(3)
		s.ack(1, 1, 100)
		s.c.Close(s.now, time.Minute)
		s.control(TypeACK, 0, uint32(s.seq(3)))
		s.pass(50 * ms)
		if n := len(s.taken(TypeShutdown)); min(n, 1) != want {
			t.Errorf("extended %v: %d shutdowns after a light ACK of all", extended, n)
		}
		s.ack(2, 2, 100)
		s.pass(50 * ms)
		if n := len(s.taken(TypeShutdown)); n != 0 && !extended {
			t.Error("a shutdown after a full ACK of less")
		}
		s.ack(3, 3, 100)
		s.pass(50 * ms)
		if n := len(s.taken(TypeShutdown)); n == 0 && !extended || s.c.End() != EndLocal {
			t.Errorf("extended %v: %d shutdowns after a full ACK of all, end %d", extended, n, s.c.End())
		}
	}
}

// The peer may wait for its data to be acknowledged before it closes: the last
// ACK goes along with our goodbye.
func TestGoodbyeCarriesLastACK(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.receive(0, 1)
	s.pass(ms)
	s.receive(1, 2)
	s.take()
	s.c.Close(s.now, time.Second)
	s.step()
	sent := s.take()
	if len(sent) != 2 {
		t.Fatalf("%d packets", len(sent))
	}
	c, _ := ParseControl(sent[0].b)
	if a, light, ok := ParseACK(c.Body); c.Type != TypeACK || !ok || light || a.Next != s.seq(2) {
		t.Errorf("first comes %x, want an ACK of both packets", sent[0].b)
	}
	if c, _ := ParseControl(sent[1].b); c.Type != TypeShutdown {
		t.Errorf("then comes %x, want the shutdown", sent[1].b)
	}
}

// Reading goes on while what was written is being delivered.
func TestReadWhileDraining(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.write(3)
	s.c.Close(s.now, time.Minute)
	s.data(0, []byte("still here"))
	var p [20]byte
	if n := s.c.Read(p[:]); string(p[:n]) != "still here" {
		t.Errorf("read %q", p[:n])
	}
}

func TestLingerExpires(t *testing.T) {
	for _, linger := range []time.Duration{0, 2 * time.Second} {
		s := newConnectedScript(t, testConfig(1))
		s.write(3)
		s.take()
		start := s.now
		s.c.Close(s.now, linger)
		s.step()
		s.pass(5 * time.Second)
		var first sentPacket
		for _, p := range s.take() {
			if c, ok := ParseControl(p.b); ok && c.Type == TypeShutdown {
				if c.Info != shutdownAborted {
					t.Errorf("shutdown says %d; the peer has not got everything", c.Info)
				}
				first = p
				break
			}
		}
		if first.b == nil || first.at.Sub(start) != linger {
			t.Errorf("linger %v: shutdown %x after %v", linger, first.b, first.at.Sub(start))
		}
		if s.c.End() != EndLinger || !s.c.Ready().Closed {
			t.Errorf("linger %v: end %d", linger, s.c.End())
		}
	}
}

func TestAbort(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.write(3)
	s.take()
	s.c.Abort(s.now)
	s.step()
	sent := s.take()
	if len(sent) != 1 {
		t.Fatalf("%d packets sent at once", len(sent))
	}
	if c, ok := ParseControl(sent[0].b); !ok || c.Type != TypeShutdown || c.Info != shutdownAborted {
		t.Errorf("sent %x", sent[0].b)
	}
	s.pass(time.Second)
	if s.c.End() != EndAborted || !s.c.Ready().Closed || len(s.takenData()) != 0 {
		t.Errorf("end %d", s.c.End())
	}
	s.c.Abort(s.now) // and again, to no effect
	s.c.Close(s.now, 0)
	if s.c.End() != EndAborted {
		t.Errorf("end %d", s.c.End())
	}
}

// Closing after the peer's end, with and without something undelivered.
func TestCloseAfterShutdown(t *testing.T) {
	for _, packets := range []int{0, 2} {
		s := newConnectedScript(t, testConfig(1))
		s.write(packets)
		s.control(TypeShutdown, 0, 0)
		s.wait(time.Second)
		s.c.Close(s.now, time.Minute)
		want := EndLocal
		if packets > 0 {
			want = EndLinger
		}
		if s.c.End() != want || !s.c.Ready().Closed {
			t.Errorf("%d packets unacknowledged: end %d, want %d", packets, s.c.End(), want)
		}
	}
}

// Whoever waits for an aborted connection to be over must not wait for ever,
// also when the peer was faster.
func TestAbortAfterShutdown(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.write(2)
	s.control(TypeShutdown, 0, 0)
	s.wait(time.Second)
	s.take()
	s.c.Abort(s.now)
	s.pass(time.Second)
	if s.c.End() != EndAborted || !s.c.Ready().Closed || len(s.sent) != 0 {
		t.Errorf("end %d, closed %v, %d packets sent", s.c.End(), s.c.Ready().Closed, len(s.sent))
	}
}

// A connection in doubt of the peer's shutdown can be closed here. The peer is
// told once: if it closes too it does not care.
func TestCloseInDoubt(t *testing.T) {
	for name, end := range map[string]func(*script){
		"close": func(s *script) { s.c.Close(s.now, time.Second) },
		"abort": func(s *script) { s.c.Abort(s.now) },
	} {
		s := newConnectedScript(t, testConfig(1))
		s.control(TypeShutdown, 0, 0)
		end(s)
		s.pass(2 * time.Second)
		if n := len(s.taken(TypeShutdown)); n != 1 || !s.c.Ready().Closed {
			t.Errorf("%s: state %d, %d shutdowns", name, s.c.State(), n)
		}
	}
}

// Closing while connecting is over at once: nobody is told.
func TestCloseWhileConnecting(t *testing.T) {
	for name, end := range map[string]func(*script){
		"close": func(s *script) { s.c.Close(s.now, time.Second) },
		"abort": func(s *script) { s.c.Abort(s.now) },
	} {
		s := newClientScript(t, testConfig(1))
		s.take()
		end(s)
		s.pass(time.Second)
		if !s.c.Ready().Closed || len(s.sent) != 0 {
			t.Errorf("%s: closed %v, %d packets follow", name, s.c.Ready().Closed, len(s.sent))
		}
	}
}

// A peer of our own kind says that it heard the goodbye; it is not repeated
// then. Other keep-alives mean nothing.
func TestGoodbyeAnswered(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(*script)
		copies int
	}{
		{"nothing", func(*script) {}, goodbyeCopies},
		{"keep-alive", func(s *script) { s.control(TypeKeepAlive, 0, 0) }, goodbyeCopies},
		{"heard", func(s *script) { s.control(TypeKeepAlive, keepAliveHeard, 0) }, 1},
		{"the peer's own", func(s *script) { s.control(TypeShutdown, 0, 0) }, 1},
	} {
		for name, end := range map[End]func(*script){
			EndLocal:   func(s *script) { s.c.Close(s.now, time.Second) },
			EndAborted: func(s *script) { s.c.Abort(s.now) },
		} {
			s := newConnectedScript(t, testConfig(1))
			end(s)
			s.step()
			s.pass(ms)
			c.answer(s)
			if over := s.c.Ready().Closed; over != (c.copies == 1) {
				t.Errorf("%s, end %d: closed %v after the answer", c.name, name, over)
			}
			s.pass(time.Second)
			if n := len(s.taken(TypeShutdown)); n != c.copies || s.c.End() != name {
				t.Errorf("%s: %d shutdowns, want %d; end %d, want %d", c.name, n, c.copies, s.c.End(), name)
			}
		}
	}
}

// Whatever comes before it, one shutdown is sent.
func TestGoodbyeAnsweredTooEarly(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.control(TypeKeepAlive, keepAliveHeard, 0)
	if s.c.State() != StateConnected {
		t.Fatalf("state %d", s.c.State())
	}
	s.c.Close(s.now, time.Second)
	s.control(TypeKeepAlive, keepAliveHeard, 0)
	s.pass(time.Second)
	if n := len(s.taken(TypeShutdown)); n != 1 || s.c.End() != EndLocal {
		t.Errorf("%d shutdowns, end %d", n, s.c.End())
	}
}

// Every copy of the peer's shutdown is answered, since answers get lost too.
func TestShutdownIsAnswered(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	for i := range 3 {
		s.control(TypeShutdown, 0, 0)
		answers := s.taken(TypeKeepAlive)
		if len(answers) != 1 || answers[0].Info != keepAliveHeard || answers[0].Dst != peerSocket {
			t.Errorf("copy %d: answered with %+v", i, answers)
		}
		s.pass(ms)
	}
	s.wait(time.Second)
	s.take()
	s.control(TypeShutdown, 0, 0)
	if n := len(s.take()); n != 0 {
		t.Errorf("%d packets after the end", n)
	}
}
