package proto

import (
	"slices"
	"testing"
	"time"
)

// stamped gives data packet i as it was sent at the given time.
func (s *script) stamped(i packetIndex, sent time.Duration) {
	s.t.Helper()
	s.give(Data{
		Seq: s.seq(i), Boundary: BoundarySolo, Message: 1, Timestamp: Instant(sent).microseconds(),
		Dst: s.c.ID(), Payload: fullPayload,
	}.Append(nil))
}

// reordered is a receiver, 40 ms from its sender, that has reported a gap which
// then filled by itself after late.
func reordered(t *testing.T, late time.Duration) *script {
	s := newConnectedScript(t, testConfig(1))
	s.c.rtt = rttEstimator{srtt: 40 * ms, rttvar: ms, measured: true}
	s.now = Instant(time.Second)
	s.stamped(1, 901*ms)
	if got := s.naks(); len(got) != 1 || !slices.Equal(got[0], [][2]packetIndex{{0, 0}}) {
		t.Fatalf("NAKs %v: the first gap is reported at once", got)
	}
	s.pass(late)
	s.stamped(0, 900*ms)
	if s.c.count.Reordered != 1 {
		t.Fatalf("%d packets came late by themselves", s.c.count.Reordered)
	}
	s.take()
	return s
}

// Where packets were seen to come late, a gap has that time and a quarter more
// to fill by itself; then it is reported.
func TestReorderedIsWaitedFor(t *testing.T) {
	s := reordered(t, 8*ms)
	s.stamped(3, 1003*ms)
	s.pass(7 * ms)
	s.stamped(2, 1002*ms)
	s.stamped(5, 1005*ms)
	s.pass(10*ms - 1)
	if got := s.naks(); len(got) != 0 {
		t.Errorf("NAKs %v before the time", got)
	}
	s.pass(ms)
	if got := s.naks(); len(got) != 1 || !slices.Equal(got[0], [][2]packetIndex{{4, 4}}) {
		t.Errorf("NAKs %v, want packet 4's", got)
	}
	if s.c.count.Reordered != 2 || s.c.count.ReceiveLoss != 2 {
		t.Errorf("%d reordered, %d lost", s.c.count.Reordered, s.c.count.ReceiveLoss)
	}
}

// What was sent again says nothing of the order, however soon it comes; nor
// does a peer that stamps nothing.
func TestCopiesAreNotReordered(t *testing.T) {
	for name, stamps := range map[string][2]time.Duration{"copies": {900 * ms, 901 * ms}, "no stamps": {0, 0}} {
		s := newConnectedScript(t, testConfig(1))
		s.c.rtt = rttEstimator{srtt: 40 * ms, rttvar: ms, measured: true}
		s.now = Instant(time.Second)
		for i := packetIndex(1); i < 9; i += 2 {
			s.take()
			s.stamped(i, stamps[0])
			if got := s.naks(); len(got) != 1 || !slices.Equal(got[0], [][2]packetIndex{{i - 1, i - 1}}) {
				t.Errorf("%s: NAKs %v, want packet %d's at once", name, got, i-1)
			}
			s.pass(10 * ms)
			s.stamped(i-1, stamps[1])
		}
		if s.c.count.Reordered != 0 {
			t.Errorf("%s: %d taken for late", name, s.c.count.Reordered)
		}
	}
}

// On a path shorter than its packets are late, copies come before what they
// were made for: what comes twice tells the lateness then.
func TestReorderedBeyondTheRoundTrip(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.c.rtt = rttEstimator{srtt: ms, measured: true}
	s.now = Instant(time.Second)
	s.stamped(1, 900*ms)
	s.pass(ms)
	s.stamped(0, 901*ms) // the copy
	s.pass(3 * ms)
	s.stamped(2, 904*ms)
	s.stamped(0, 900*ms)
	if got := s.c.nakClock().delay; got != 5*ms {
		t.Errorf("delay %v for a packet 4ms late", got)
	}
	s.stamped(1, 904*ms) // a needless copy tells nothing
	s.stamped(1, 905*ms)
	s.stamped(0, 1)      // none at all: less than a microsecond
	s.stamped(0, 800*ms) // too late to be waited for
	if got := s.c.nakClock().delay; got != 5*ms {
		t.Errorf("delay %v", got)
	}
	s.stamped(4, 950*ms)
	s.stamped(3, 949*ms)
	s.stamped(2, 944*ms) // 6 ms after the newest, not the latest
	if got := s.c.nakClock().delay; got != 7500*time.Microsecond {
		t.Errorf("delay %v for a packet 6ms late", got)
	}
}

// A delay that isn't needed any more is forgotten, and none is ever longer than
// a round trip.
func TestReorderDelayEnds(t *testing.T) {
	s := reordered(t, 39*ms)
	if got := s.c.nakClock().delay; got != 40*ms {
		t.Errorf("delay %v, want the round trip", got)
	}
	s.pass(41 * ms)
	s.stamped(3, 2000*ms)
	s.pass(41 * ms)
	s.stamped(2, 1999*ms)
	if s.c.count.Reordered != 1 {
		t.Error("a packet later than a round trip is taken for late by itself")
	}
	s.c.extended = true // reports are not far between
	next := packetIndex(4)
	for _, step := range []struct {
		pause time.Duration
		at    bool // reported at once
	}{{500 * ms, false}, {500 * ms, false}, {time.Second, true}} {
		s.pass(step.pause)
		s.take()
		s.stamped(next+1, s.now.Sub(0))
		if at := len(s.naks()) == 1; at != step.at {
			t.Errorf("at %v: reported at once: %v", time.Duration(s.now), at)
		}
		next += 2
	}
}

// After a pause of many round trips nothing is remembered.
func TestReorderDelayEndsInAPause(t *testing.T) {
	s := reordered(t, 8*ms)
	s.pass(3 * time.Second)
	s.take()
	s.stamped(3, s.now.Sub(0))
	if got := s.naks(); len(got) != 1 {
		t.Errorf("NAKs %v, want one at once", got)
	}
}

// Gaps that open one by one share a report, so that reports stay few however
// fast the link; the first goes at once. A libudt sender gets fewer still: each
// is a congestion event.
func TestReportsAreSpaced(t *testing.T) {
	for extended, want := range map[bool][]time.Duration{true: {0, 2 * ms, 4 * ms}, false: {0, 16 * ms}} {
		s := newConnectedScript(t, testConfig(1))
		s.c.extended = extended
		s.c.rtt = rttEstimator{srtt: 64 * ms, measured: true}
		s.now = Instant(time.Second)
		var at []time.Duration
		for i := range packetIndex(40) {
			s.receive(2*i+1, 2*i+2)
			s.pass(100 * time.Microsecond)
		}
		s.pass(12 * ms)
		next := packetIndex(0)
		for _, p := range s.sent {
			if c, ok := ParseControl(p.b); ok && c.Type == TypeNAK {
				at = append(at, p.at.Sub(Instant(time.Second)))
			}
		}
		for _, entries := range s.naks() {
			for _, e := range entries {
				if e != [2]packetIndex{next, next} {
					t.Fatalf("gap %v, want %d", e, next)
				}
				next += 2
			}
		}
		if !slices.Equal(at, want) || next != 80 {
			t.Errorf("extended %v: reports after %v, want %v; gaps up to %d", extended, at, want, next)
		}
	}
}
