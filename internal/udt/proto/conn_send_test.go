package proto

import (
	"slices"
	"testing"
	"time"
)

// The receiver's window bounds new packets, not repeated ones, and only ACKs
// not older than the last move it.
func TestFlowWindow(t *testing.T) {
	cfg := testConfig(1)
	cfg.Controller = &recorder{Native: NewNative()}
	s := newConnectedScript(t, cfg)
	s.c.Write(0, make([]byte, 300*1456))
	s.c.flowEnd = 50
	s.step()
	if s.c.snd.next != 50 {
		t.Fatalf("%d packets sent in a window of 50", s.c.snd.next)
	}
	s.pass(20 * ms)
	s.ack(1, 10, 45)
	if s.c.snd.next != 55 || s.c.Stats(s.now).FlowWindow != 45 {
		t.Errorf("sent up to %d with 45 from 10 on", s.c.snd.next)
	}
	s.ack(2, 20, 2)
	s.control(TypeNAK, 0, s.word(30))
	if s.c.snd.next != 55 || s.c.count.Retransmitted != 1 {
		t.Errorf("sent up to %d, %d again, with a closed window", s.c.snd.next, s.c.count.Retransmitted)
	}
	s.ack(1, 10, 1000)
	if s.c.snd.next != 55 {
		t.Error("an old ACK moved the window")
	}
	s.ack(3, 20, 1<<32-1) // an absurd window is cut to our own
	if s.c.flowEnd != 20+8192 {
		t.Errorf("flow window up to %d", s.c.flowEnd)
	}
}

// The first Write begins a packet and fills it: UDT4's file programs take what
// begins a connection with one receive call, which gives what one packet has.
func TestFirstWriteIsOnePacket(t *testing.T) {
	for n, want := range map[int][]int{1: {1}, 1027: {1027}, 1456: {1456}, 1457: {1456, 1}} {
		s := newConnectedScript(t, testConfig(1))
		s.c.Write(0, make([]byte, n))
		s.step()
		var got []int
		for _, p := range s.take() {
			if d, ok := ParseData(p.b); ok {
				got = append(got, len(d.Payload))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d bytes left in packets of %d, want %d", n, got, want)
		}
	}
}

// Libudt sends 16 packets before the first ACK; so do we, and no more.
func TestInitialWindow(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.c.Write(0, make([]byte, 100*1456))
	s.step()
	if n := len(s.takenData()); n != 16 {
		t.Errorf("%d packets in the first flight", n)
	}
}

// After each packet whose number is 0 modulo 16 the next one leaves at once:
// the receiver measures the link's capacity by the pair.
func TestProbePairs(t *testing.T) {
	for _, isn := range []Seq{0, 5, SeqMask - 20} {
		cfg := testConfig(1)
		cfg.ISN = isn
		cfg.Controller = NewFixed(12_000 * 100) // 100 packets/s
		s := newConnectedScript(t, cfg)
		s.c.Write(0, make([]byte, 100*1456))
		s.pass(900 * ms)
		at := map[Seq]Instant{}
		for _, p := range s.take() {
			if d, ok := ParseData(p.b); ok {
				if _, again := at[d.Seq]; !again {
					at[d.Seq] = p.at
				}
			}
		}
		pairs := 0
		for q, t0 := range at {
			t1, ok := at[q.Add(1)]
			if !ok {
				continue
			}
			together := t0 == t1
			if want := q%16 == 0; together != want && q != isn {
				t.Errorf("ISN %#x: packets %#x and %#x together: %v", isn, q, q.Add(1), together)
			} else if want {
				pairs++
			}
		}
		if pairs < 4 {
			t.Errorf("ISN %#x: %d pairs among %d packets", isn, pairs, len(at))
		}
	}
}

// A speed limit holds whatever the controller says.
func TestMaxBandwidth(t *testing.T) {
	cfg := testConfig(1)
	cfg.MaxBandwidth = 150_000 // 100 packets of 1500 bytes
	cfg.Controller = &recorder{Native: NewNative()}
	s := newConnectedScript(t, cfg)
	s.c.Write(0, make([]byte, 500*1456))
	s.pass(time.Second)
	if n := len(s.takenData()); n < 95 || n > 115 {
		t.Errorf("%d packets in a second, want 100 and some pairs", n)
	}
}

// paced is a connection that sends 10 packets a millisecond.
func paced(t *testing.T) *script {
	cfg := testConfig(1)
	cfg.Controller = NewFixed(10_000 * 12_000)
	return newConnectedScript(t, cfg)
}

// A scheduler that is late now and then costs nothing, and makes no burst of
// more than a millisecond's worth and the second packet of a pair.
func TestLatenessIsMadeUpFor(t *testing.T) {
	s := paced(t)
	for s.now < Instant(100*ms) {
		s.c.Write(s.now, make([]byte, 300*1456)) // more than goes meanwhile
		s.pass(6 * ms)
		s.now = s.now.Add(4 * ms)
		s.step()
	}
	s.pass(4 * ms)
	at := map[Instant]int{}
	sent := s.take()
	for _, p := range sent {
		if _, ok := ParseData(p.b); ok {
			at[p.at]++
		}
	}
	for now, n := range at {
		if n > 11 {
			t.Errorf("a burst of %d at %v", n, time.Duration(now))
		}
	}
	if want := int(s.now) / 100_000; len(sent) < want*98/100 || len(sent) > want*102/100+20 {
		t.Errorf("%d packets in %v, want %d", len(sent), time.Duration(s.now), want)
	}
}

// Time in which there was nothing to send is no reason to send faster.
func TestIdleIsNotMadeUpFor(t *testing.T) {
	s := paced(t)
	s.c.Write(0, make([]byte, 20*1456))
	s.pass(50 * ms)
	s.take()
	s.c.Write(s.now, make([]byte, 200*1456))
	s.step()
	s.pass(5 * ms)
	if n := len(s.takenData()); n < 55 || n > 65 {
		t.Errorf("%d packets in 5 ms after a pause, want 60", n)
	}
}
