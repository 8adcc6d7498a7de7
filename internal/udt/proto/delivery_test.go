package proto

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// line is a path for the sampler alone: packets leave at a pace, and the test
// says what is reported of them.
type line struct {
	d    deliverySampler
	now  Instant
	next packetIndex
}

// send sends n packets, one each period.
func (l *line) send(n int, period time.Duration) {
	for range n {
		l.d.transmit(l.now, l.next, 1, false)
		l.next++
		l.now = l.now.Add(period)
	}
}

func nearly(got, want float64) bool { return math.Abs(got-want) < 0.02*want }

// A stream acknowledged packet by packet, in batches, or now and then gives
// the same rate.
func TestDeliveryRateOfAStream(t *testing.T) {
	for _, batch := range []int{1, 7, 64, 500} {
		var l line
		l.send(200, ms) // 200 ms of round trip
		for acked := packetIndex(0); acked < 3000; {
			l.send(batch, ms)
			acked += packetIndex(batch)
			s := l.d.arrive(l.now, acked, int(l.next-acked))
			if acked > 1000 && !nearly(s.Rate(), 1000) {
				t.Errorf("batches of %d: %.0f packets/s, want 1000", batch, s.Rate())
			}
			if s.RTT < 200*ms {
				t.Errorf("batches of %d: a round trip of %v", batch, s.RTT)
			}
			if pipe := l.d.pipe(); pipe != int(l.next-acked) {
				t.Errorf("batches of %d: %d on their way, want %d", batch, pipe, l.next-acked)
			}
		}
	}
}

// ACKs that come in a bunch say no more than the packets were sent at.
func TestDeliveryRateOfABunchOfACKs(t *testing.T) {
	var l line
	l.send(1000, ms)
	l.d.arrive(l.now, 100, 900)
	for acked := packetIndex(110); acked <= 1000; acked += 10 {
		l.now = l.now.Add(10 * time.Microsecond)
		if s := l.d.arrive(l.now, acked, int(l.next-acked)); s.Rate() > 1010 {
			t.Fatalf("%.0f packets/s of 1000 sent", s.Rate())
		}
	}
}

// While the cumulative ACK stands still behind holes, gap reports tell how far
// packets come; the rate is neither lost nor made up for in one jump, with
// retransmissions lost as well.
func TestDeliveryRateWithLoss(t *testing.T) {
	for _, loss := range []float64{0.001, 0.01, 0.05} {
		const trip = 100 // packets, a millisecond each
		rng := rand.New(rand.NewPCG(1, uint64(loss*1000)))
		var l line
		type packet struct {
			index packetIndex
			lost  bool
		}
		var flying []packet
		var again []packetIndex
		worst, best, expect := 0.0, math.Inf(1), packetIndex(0)
		missing := 0
		for range 20_000 {
			p := packet{index: l.next, lost: rng.Float64() < loss}
			if len(again) > 0 {
				p.index, again = again[0], again[1:]
				l.d.transmit(l.now, p.index, 1, true)
				missing--
			} else {
				l.d.transmit(l.now, l.next, 1, false)
				l.next++
			}
			flying = append(flying, p)
			l.now = l.now.Add(ms)
			if len(flying) < trip {
				continue
			}
			p, flying = flying[0], flying[1:]
			if p.lost { // repeats are reported a round trip later, first losses with the next arrival
				l.d.lose(1)
				again = append(again, p.index)
				missing++
				expect = max(expect, p.index+1)
				continue
			}
			if p.index < expect || l.now < Instant(time.Second) {
				continue
			}
			if p.index > expect || rng.IntN(20) == 0 { // a gap, or an ACK now and then
				s := l.d.arrive(l.now, p.index+1, int(l.next))
				if s.Interval > 0 && l.now > Instant(2*time.Second) {
					worst, best = max(worst, s.Rate()), min(best, s.Rate())
				}
			}
			expect = p.index + 1
		}
		if want := 1000 * (1 - loss); worst > 1.08*want || best < 0.85*want || worst == 0 {
			t.Errorf("loss %v: %.0f to %.0f packets/s, want about %.0f", loss, best, worst, want)
		}
	}
}

// What was sent while there was nothing else to send is marked.
func TestDeliveryRateWithoutData(t *testing.T) {
	var l line
	l.send(10, ms)
	l.d.idle()
	l.now = l.now.Add(time.Second)
	l.send(10, ms) // these follow the silence
	if s := l.d.arrive(l.now, 10, 10); s.Limited {
		t.Error("packets sent before are marked")
	}
	if s := l.d.arrive(l.now, 15, 5); !s.Limited {
		t.Error("packets sent after it are not marked")
	}
	l.send(10, ms) // all of the silence is delivered
	l.d.arrive(l.now, 20, 10)
	l.send(10, ms)
	if s := l.d.arrive(l.now, 40, 0); s.Limited {
		t.Error("the mark stays")
	}
}

// An idle time does not count as one of slow delivery.
func TestDeliveryRateAfterSilence(t *testing.T) {
	var l line
	l.send(10, ms)
	l.d.arrive(l.now, 10, 0)
	l.now = l.now.Add(time.Minute)
	l.send(100, ms)
	if s := l.d.arrive(l.now, 110, 0); !nearly(s.Rate(), 1000) {
		t.Errorf("%.0f packets/s, want 1000", s.Rate())
	}
}

// Once everything is acknowledged nothing is on its way, whatever was sent
// again for it.
func TestNothingOnItsWay(t *testing.T) {
	var l line
	l.send(10, ms)
	l.d.lose(9)
	l.d.arrive(l.now, 10, 1)
	for i := range packetIndex(9) {
		l.d.transmit(l.now, i, 1, true)
	}
	if l.d.pipe() == 0 {
		t.Error("what was sent again is not on its way")
	}
	l.d.arrive(l.now, 10, 0)
	if n := l.d.pipe(); n != 0 {
		t.Errorf("%d packets on their way", n)
	}
}

func TestRecordsFollowTheFlight(t *testing.T) {
	var l line
	for range 100 {
		l.send(1000, time.Microsecond)
		l.d.arrive(l.now, l.next-10, 10)
	}
	if n := len(l.d.ring); n > 1024 {
		t.Errorf("%d records for 1000 packets in flight", n)
	}
	n := testing.AllocsPerRun(100, func() {
		l.send(1000, time.Microsecond)
		l.d.arrive(l.now, l.next, 0)
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// sendAgain sends the packets from..to once more, one each period.
func (l *line) sendAgain(from, to packetIndex, period time.Duration) {
	for i := from; i < to; i++ {
		l.d.transmit(l.now, i, 1, true)
		l.now = l.now.Add(period)
	}
}

// Where most of a round trip got lost and nothing new is left to send, the
// repeats measure the path, but not its round trip: it may be the first copy
// that has arrived.
func TestDeliveryRateOfRepeats(t *testing.T) {
	var l line
	l.send(1000, ms)
	l.d.lose(900)
	if s := l.d.arrive(l.now, 1000, 100); s.Delivered != 100 {
		t.Fatalf("%d delivered, want 100", s.Delivered)
	}
	const roundTrip = 50
	for i := packetIndex(0); i < 900; i++ {
		l.sendAgain(i, i+1, ms/4)
		if i < roundTrip {
			continue
		}
		una := i - roundTrip
		if s := l.d.arrive(l.now, 1000, 1000); s.Interval != 0 {
			t.Fatal("an old report gave a sample")
		}
		s := l.d.repaired(l.now, una)
		if una > 2*roundTrip && (!nearly(s.Rate(), 4000) || s.Limited) {
			t.Fatalf("at %d: %.0f packets/s (%+v), want 4000", una, s.Rate(), s)
		}
		if s.RTT != 0 {
			t.Fatalf("at %d: a round trip of %v from a repeat", una, s.RTT)
		}
	}
	if l.d.delivered > l.d.sent-l.d.lost {
		t.Errorf("%d delivered of %d sent, %d of them lost", l.d.delivered, l.d.sent, l.d.lost)
	}
}

// Nor does a packet tell the round trip that a timeout has repeated: nobody knows
// which copy has arrived.
func TestDeliveryAfterATimeout(t *testing.T) {
	var l line
	l.send(10, ms)
	l.d.arrive(l.now, 5, 5)
	l.now = l.now.Add(200 * ms)
	l.d.presume(2)
	l.sendAgain(5, 6, 0)
	l.sendAgain(9, 10, 0)
	l.now = l.now.Add(20 * ms)
	if s := l.d.arrive(l.now, 10, 0); s.Interval <= 0 || s.RTT != 0 {
		t.Errorf("a round trip of %v (%+v)", s.RTT, s)
	}
	l.send(1, 20*ms)
	if s := l.d.arrive(l.now, 11, 0); s.RTT != 20*ms {
		t.Errorf("then a round trip of %v (%+v), want 20ms", s.RTT, s)
	}
}

// Repeats that get lost in their turn do not stand in the way of later ones.
func TestDeliveryOfRepeatsLostAgain(t *testing.T) {
	var l line
	l.send(100, ms)
	l.d.lose(90)
	l.d.arrive(l.now, 100, 10)
	l.sendAgain(0, 90, ms)
	l.d.lose(90)
	l.sendAgain(0, 50, ms)
	l.now = l.now.Add(ms)
	if s := l.d.repaired(l.now, 40); s.Delivered != 40 {
		t.Errorf("%d delivered, want 40", s.Delivered)
	}
	if s := l.d.repaired(l.now, 40); s.Interval != 0 {
		t.Error("the same report gave two samples")
	}
	// New packets tell all of it, once.
	l.send(1, ms)
	if s := l.d.arrive(l.now, 101, 0); l.d.delivered != l.d.sent-l.d.lost || s.Delivered <= 0 {
		t.Errorf("%d delivered of %d sent, %d of them lost", l.d.delivered, l.d.sent, l.d.lost)
	}
	if s := l.d.repaired(l.now, 101); s.Interval != 0 {
		t.Error("a repeat counted twice")
	}
}
