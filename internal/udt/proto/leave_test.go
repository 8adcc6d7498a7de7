package proto

import (
	"slices"
	"testing"
	"time"
)

// goodbyes are when data and shutdowns were sent, after s.now when begun.
func goodbyes(s *script, begun Instant) (data, shutdowns []time.Duration) {
	for _, p := range s.take() {
		switch c, ok := ParseControl(p.b); {
		case !ok:
			data = append(data, p.at.Sub(begun))
		case c.Type == TypeShutdown && c.Info == 0:
			shutdowns = append(shutdowns, p.at.Sub(begun))
		}
	}
	return data, shutdowns
}

func newLeavingScript(t *testing.T, packets int) *script {
	s := newConnectedScript(t, testConfig(1))
	s.c.extended = true
	s.write(packets)
	return s
}

// Who leaves does not wait: what is not acknowledged goes along with each
// copy of the shutdown.
func TestLeave(t *testing.T) {
	copies := []time.Duration{0, goodbyeGap, 2 * goodbyeGap}
	heard := func(s *script) { s.control(TypeKeepAlive, keepAliveHeard, 0) }
	for _, c := range []struct {
		name            string
		after           func(*script)
		data, shutdowns int
	}{
		{"silence", func(*script) {}, 3, 3},
		{"acknowledged", func(s *script) { s.ack(1, 1, 100) }, 1, 3},
		{"acknowledged and heard", func(s *script) { s.ack(1, 1, 100); heard(s) }, 1, 1},
		{"heard, but not acknowledged", heard, 3, 3},
		{"the peer's own, and nothing acknowledged", func(s *script) { s.control(TypeShutdown, 0, 0) }, 3, 3},
		{"heard, and acknowledged later", func(s *script) { heard(s); s.ack(1, 1, 100) }, 1, 3},
	} {
		s := newLeavingScript(t, 1)
		begun := s.now
		s.c.Leave(s.now, time.Minute)
		s.step()
		s.pass(ms)
		c.after(s)
		s.pass(50 * ms)
		data, shutdowns := goodbyes(s, begun)
		if !slices.Equal(data, copies[:c.data]) || !slices.Equal(shutdowns, copies[:c.shutdowns]) {
			t.Errorf("%s: data after %v, shutdowns after %v", c.name, data, shutdowns)
		}
		if s.c.End() != EndLocal || !s.c.Ready().Closed {
			t.Errorf("%s: end %d", c.name, s.c.End())
		}
	}
}

// More than a tail is not left to chance, and no libudt peer is.
func TestLeaveWaits(t *testing.T) {
	s := newLeavingScript(t, maxTail+1)
	s.c.Leave(s.now, time.Minute)
	s.step()
	s.pass(30 * ms)
	if _, shutdowns := goodbyes(s, s.now); len(shutdowns) != 0 || s.c.State() != StateDraining {
		t.Fatalf("%d packets are left to chance", maxTail+1)
	}
	s.ack(1, 1, 100)
	s.pass(30 * ms)
	if data, shutdowns := goodbyes(s, s.now); len(shutdowns) != goodbyeCopies || len(data) != 1+2*maxTail { // one had no room in the window
		t.Errorf("%d shutdowns and %d packets of the tail", len(shutdowns), len(data))
	}

	s = newConnectedScript(t, testConfig(1))
	s.write(1)
	s.c.Leave(s.now, time.Minute)
	s.step()
	s.pass(50 * ms)
	if _, shutdowns := goodbyes(s, s.now); len(shutdowns) != 0 {
		t.Error("a libudt peer was left to chance")
	}
	s.ack(1, 1, 100)
	s.pass(50 * ms)
	if _, shutdowns := goodbyes(s, s.now); len(shutdowns) != goodbyeCopies || s.c.End() != EndLocal {
		t.Errorf("%d shutdowns, end %d", len(shutdowns), s.c.End())
	}
}

// What was written and never sent, for want of window, is waited for too, and
// what was lost is sent again first.
func TestLeaveSendsAll(t *testing.T) {
	s := newLeavingScript(t, 1)
	s.control(TypeNAK, 0, uint32(s.seq(0)))
	s.take()
	s.write(20) // more than the first window
	s.c.Leave(s.now, time.Minute)
	s.step()
	s.pass(20 * ms)
	if _, shutdowns := goodbyes(s, s.now); len(shutdowns) != 0 {
		t.Fatal("left with packets unsent")
	}
	for i := range 21 {
		s.ack(uint32(i+1), packetIndex(i+1), 100)
		s.pass(10 * ms)
	}
	s.pass(50 * ms)
	if _, shutdowns := goodbyes(s, s.now); len(shutdowns) == 0 || s.c.End() != EndLocal {
		t.Errorf("%d shutdowns, end %d", len(shutdowns), s.c.End())
	}
}

// It is the same when the last words are written as they leave.
func TestLeaveAtOnce(t *testing.T) {
	s := newLeavingScript(t, 0)
	begun := s.now
	if n := s.c.Write(s.now, []byte("bye")); n != 3 {
		t.Fatalf("%d bytes written", n)
	}
	s.c.Leave(s.now, time.Minute)
	s.step()
	s.pass(50 * ms)
	data, shutdowns := goodbyes(s, begun)
	if want := []time.Duration{0, goodbyeGap, 2 * goodbyeGap}; !slices.Equal(data, want) || !slices.Equal(shutdowns, want) {
		t.Errorf("data after %v, shutdowns after %v", data, shutdowns)
	}
}
