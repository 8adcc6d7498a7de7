package proto

import (
	"slices"
	"testing"
	"time"
)

// A receiver reports a gap at once, and again every RTT + 4 deviations + SYN
// until it is filled; what is due goes in one packet.
func TestTrapD1RepeatedNAK(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.c.rtt.adopt(20_000, 5_000)
	s.receive(0, 5)
	s.take()
	s.receive(7, 10)
	if got := s.naks(); len(got) != 1 || !slices.Equal(got[0], [][2]packetIndex{{5, 6}}) {
		t.Fatalf("NAKs %v", got)
	}
	s.pass(5 * ms)
	s.receive(11, 12)
	if got := s.naks(); len(got) != 1 || !slices.Equal(got[0], [][2]packetIndex{{10, 10}}) {
		t.Fatalf("NAKs %v", got)
	}
	s.pass(44 * ms)
	if got := s.naks(); len(got) != 0 {
		t.Fatalf("NAKs %v before a retransmission can have arrived", got)
	}
	s.pass(ms)
	if got := s.naks(); len(got) != 1 || !slices.Equal(got[0], [][2]packetIndex{{5, 6}}) {
		t.Fatalf("NAKs %v at the time of the first repeat", got)
	}
	s.receive(5, 6)
	s.pass(5 * ms)
	if got := s.naks(); len(got) != 1 || !slices.Equal(got[0], [][2]packetIndex{{10, 10}}) {
		t.Fatalf("NAKs %v at the time of the second gap's repeat", got)
	}
	s.pass(45 * ms)
	if got := s.naks(); len(got) != 1 || !slices.Equal(got[0], [][2]packetIndex{{6, 6}}) {
		t.Fatalf("NAKs %v: what has arrived must be left out", got)
	}
	s.receive(6, 7)
	s.receive(10, 11)
	s.pass(time.Second)
	if got := s.naks(); len(got) != 0 {
		t.Errorf("NAKs %v for filled gaps", got)
	}
}

// A gap found before the round trip was known must not hold up the repeats of
// later ones: each is due by what is known now.
func TestTrapD1RepeatAfterRTTIsMeasured(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.receive(0, 1)
	s.receive(2, 3)
	s.take()
	s.c.rtt.sample(2 * ms) // 2 ms + 4 × 1 ms + SYN
	s.pass(ms)
	s.receive(4, 5)
	s.take()
	s.pass(20 * ms)
	var seen []packetIndex
	for _, entries := range s.naks() {
		for _, e := range entries {
			seen = append(seen, e[0])
		}
	}
	if !slices.Contains(seen, 1) || !slices.Contains(seen, 3) {
		t.Errorf("gaps repeated within 20 ms: %v, want 1 and 3", seen)
	}
}

// Each NAK is a congestion event to libudt, judged by its first entry: new gaps
// and old ones go in one packet, lowest first.
func TestNAKMergesOldAndNew(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.c.rtt.adopt(20_000, 5_000)
	s.receive(1, 2)
	s.receive(4, 5)
	s.take()
	s.now = s.now.Add(50 * ms) // the repeats are due, but the timer is late
	s.receive(9, 10)
	if got := s.naks(); len(got) != 1 || !slices.Equal(got[0], [][2]packetIndex{{0, 0}, {2, 3}, {5, 8}}) {
		t.Errorf("NAKs %v", got)
	}
}

// Many gaps are reported in packets of at most the MSS, in order, none left out.
func TestNAKOfManyGaps(t *testing.T) {
	cfg := testConfig(1)
	cfg.MSS = 300
	s := newConnectedScript(t, cfg)
	var run []byte
	for i := packetIndex(1); i < 1000; i += 2 {
		run = append(run, s.dataPacket(i, make([]byte, 20))...)
	}
	s.c.HandleRun(0, run, HeaderSize+20)
	s.step()
	for _, p := range s.sent {
		if len(p.b) > 300-IPUDPHeaders {
			t.Errorf("a datagram of %d bytes", len(p.b))
		}
	}
	next := packetIndex(0)
	for _, entries := range s.naks() {
		for _, e := range entries {
			if e != [2]packetIndex{next, next} {
				t.Fatalf("gap %v, want %d", e, next)
			}
			next += 2
		}
	}
	if next != 1000 {
		t.Errorf("gaps reported up to %d", next)
	}
}

// A gap reported as one may have come apart by the time of its repeat.
func TestNAKOfGapFilledInPlaces(t *testing.T) {
	cfg := testConfig(1)
	cfg.MSS = 300
	s := newConnectedScript(t, cfg)
	s.data(1000, []byte("x"))
	if got := s.naks(); len(got) != 1 || !slices.Equal(got[0], [][2]packetIndex{{0, 999}}) {
		t.Fatalf("NAKs %v", got)
	}
	for i := packetIndex(1); i < 1000; i += 2 {
		s.data(i, []byte("x"))
	}
	s.pass(400 * ms)
	next := packetIndex(0)
	for _, entries := range s.naks() {
		for _, e := range entries {
			if e != [2]packetIndex{next, next} {
				t.Fatalf("gap %v, want %d", e, next)
			}
			next += 2
		}
	}
	if next != 1000 {
		t.Errorf("gaps reported up to %d", next)
	}
}
