package proto

import (
	"testing"
	"time"
)

// newCruise returns a drill in Cruise, after a round trip of it.
func newCruise(t testing.TB) *drill {
	d := newDrill(t)
	d.started(phaseCruise)
	d.trip(10_000, drillRTT, 0)
	return d
}

// squeeze goes on until something is yielded to.
func (d *drill) squeeze(rate float64, rtt time.Duration) {
	for n := 0; n < 40 && d.b.model.bwLo == 0; n++ {
		d.part(0.05, rate, rtt, 0)
	}
}

// Where a queue stands and less is delivered than was sent, what is delivered
// is the bandwidth, and the queue is emptied.
func TestBBRSqueeze(t *testing.T) {
	d := newDrill(t)
	d.started(phaseCruise)
	d.trip(6000, 2*drillRTT, 0)
	if bw := d.b.model.bandwidth(); !within(bw, 6000) {
		t.Errorf("bandwidth %.0f, want 6000", bw)
	}
	if d.b.Rate() > 6000 {
		t.Errorf("rate %.0f", d.b.Rate())
	}
	d = newDrill(t)
	d.started(phaseCruise)
	d.trip(6000, drillRTT, 0)
	if bw := d.b.model.bandwidth(); bw < 9900 {
		t.Errorf("without a queue: bandwidth %.0f", bw)
	}
}

// Where half is missing that is seen within half a round trip, and the next one
// corrects what was seen too early.
func TestBBRPlunge(t *testing.T) {
	d := newCruise(t)
	d.part(0.6, 5500, drillRTT*5/4, 0)
	if lo := d.b.model.bwLo; !within(lo, 5500) {
		t.Errorf("after half a round trip: at most %.0f, want 5500", lo)
	}
	for range 2 {
		d.trip(5000, drillRTT*3/2, 0)
	}
	if lo := d.b.model.bwLo; lo < 5000 || lo > 5150 {
		t.Errorf("after two more: at most %.0f, want 5000", lo)
	}
	// An eighth is somebody who comes, and takes a round trip to tell.
	d = newCruise(t)
	d.part(0.6, 8000, drillRTT*5/4, 0)
	if lo := d.b.model.bwLo; lo > 0 {
		t.Errorf("a fifth less in half a round trip bounds the bandwidth by %.0f", lo)
	}
}

// The queue that a slower path has made is emptied faster than one that may be others'.
func TestBBRDrainOfASlowerPath(t *testing.T) {
	d := newCruise(t)
	d.b.enter(phaseDrain)
	for slower, want := range map[bool]float64{false: 5000, true: 3500} {
		d.b.model.squeeze.slower = slower
		d.b.setRate()
		if !within(d.b.Rate(), want) {
			t.Errorf("slower %v: %.0f packets/s of 10,000, want %.0f", slower, d.b.Rate(), want)
		}
	}
}

// Where less is missing, a queue that then swells fast tells that the path has become
// slower, and one that grows as others make it grow does not.
func TestBBRSwell(t *testing.T) {
	for _, test := range []struct {
		name   string
		growth time.Duration // of the queue in a round trip
		want   float64
		refill float64 // the most delivered, as Refill knows it
	}{{"fast", drillRTT * 3 / 8, 7500, 7500}, {"slowly", drillRTT / 8, 8000, 10_000}} {
		d := newCruise(t)
		d.squeeze(8000, drillRTT*5/4)
		if lo := d.b.model.bwLo; !within(lo, 8000) {
			t.Errorf("a fifth less: at most %.0f, want 8000", lo)
		}
		d.trip(7500, drillRTT*5/4+test.growth, 0)
		if lo := d.b.model.bwLo; !within(lo, test.want) {
			t.Errorf("the queue grows %s: at most %.0f, want %.0f", test.name, lo, test.want)
		}
		d.until(phaseRefill, 7500, drillRTT)
		if bw := d.b.model.maxBW(); !within(bw, test.refill) {
			t.Errorf("the queue grows %s: %.0f in Refill, want %.0f", test.name, bw, test.refill)
		}
	}
}

// Unlike a plunge's, a squeeze's bound outlasts the queue.
func TestBBRSqueezeGone(t *testing.T) {
	d := newCruise(t)
	d.squeeze(8000, drillRTT*5/4)
	d.trip(8000, drillRTT, 0)
	if lo := d.b.model.bwLo; !within(lo, 8000) {
		t.Errorf("at most %.0f, want 8000", lo)
	}
}

// What was sent after a plunge was yielded to is less than the path carries, and
// tells nothing of it.
func TestBBRPlungeYieldedTo(t *testing.T) {
	d := newCruise(t)
	d.squeeze(5000, drillRTT*5/4)
	before := d.b.model.bwLo
	const more = int64(4200 * 1.5 * float64(drillRTT) / float64(time.Second))
	d.s.Now = d.s.Now.Add(drillRTT * 3 / 2)
	d.s.Delivered += more
	d.s.Sample = RateSample{Delivered: more, Interval: drillRTT * 3 / 2, RTT: drillRTT * 5 / 4, Prior: d.s.Delivered - more, InFlight: d.s.Pipe}
	d.b.OnACK(&d.s, int(more))
	if lo := d.b.model.bwLo; before == 0 || lo != before {
		t.Errorf("at most %.0f, %.0f before", lo, before)
	}
}

// A report that comes late is no plunge: it looks like one, and the next round trip
// shows that there is no queue.
func TestBBRLateReport(t *testing.T) {
	d := newCruise(t)
	d.part(0.6, 4000, drillRTT*5/4, 0)
	if lo := d.b.model.bwLo; lo <= 0 {
		t.Fatal("the late report does not look like a plunge")
	}
	for range 2 {
		d.trip(10_000, drillRTT, 0)
	}
	if lo := d.b.model.bwLo; lo > 0 {
		t.Errorf("two round trips later: at most %.0f", lo)
	}
	if bw := d.b.model.bandwidth(); !within(bw, 10_000) {
		t.Errorf("bandwidth %.0f", bw)
	}
}

// While only repeats arrive, which have no round trip, what the receiver makes of its
// ACKs shows no plunge.
func TestBBRRepeatsShowNoPlunge(t *testing.T) {
	d := newCruise(t)
	d.s.RTT = 2 * drillRTT
	for range 100 {
		d.s.Now = d.s.Now.Add(drillRTT / 50)
		d.s.Delivered++
		d.s.Sample = RateSample{Delivered: 50, Interval: drillRTT, Prior: d.s.Delivered - 1, InFlight: d.s.Pipe}
		d.b.OnACK(&d.s, 1)
	}
	if lo := d.b.model.bwLo; lo > 0 {
		t.Errorf("at most %.0f", lo)
	}
}

// Nor has a path that falls silent with the report that told of a plunge next to
// nothing from then on.
func TestBBRPlungeIntoSilence(t *testing.T) {
	var d *drill
	for n := 1; d == nil || d.b.model.bwLo == 0; n++ {
		d = newCruise(t)
		d.part(float64(n)/100, 5500, drillRTT*5/4, 0)
	}
	before := d.b.model.bwLo
	d.s.Now = d.s.Now.Add(drillRTT * 17 / 10)
	d.s.Delivered++
	d.s.Sample = RateSample{Delivered: 1, Interval: drillRTT, RTT: drillRTT * 21 / 10, Prior: d.s.Delivered - 1, InFlight: d.s.Pipe}
	d.b.OnACK(&d.s, 1)
	if lo := d.b.model.bwLo; lo < before/5 {
		t.Errorf("at most %.0f, %.0f before", lo, before)
	}
}

// What a path delivered before it became slower is forgotten with the next probe if
// no queue is left by then; what others take is not.
func TestBBRForgetsAfterAPlunge(t *testing.T) {
	for _, test := range []struct {
		name  string
		rate  float64       // all along
		queue time.Duration // a round trip's, at first
		then  time.Duration // later
		want  float64       // the most delivered, as Refill knows it
	}{
		{"half the rate", 5000, drillRTT * 3 / 2, drillRTT, 5000},
		{"half the rate, and a queue that stays", 5000, drillRTT * 3 / 2, drillRTT * 5 / 4, 10_000},
		{"a fifth less", 8000, drillRTT * 3 / 2, drillRTT, 10_000},
	} {
		d := newCruise(t)
		for range 2 {
			d.trip(test.rate, test.queue, 0)
		}
		if lo := d.b.model.bwLo; !within(lo, test.rate) {
			t.Errorf("%s: at most %.0f, want %.0f", test.name, lo, test.rate)
		}
		trips := d.until(phaseRefill, test.rate, test.then)
		if bw := d.b.model.maxBW(); !within(bw, test.want) || trips < minProbeWait-1 || trips >= 20 {
			t.Errorf("%s: %.0f in Refill after %d round trips, want %.0f", test.name, bw, trips, test.want)
		}
	}
}

// Nor is it known any more if the path then becomes a little slower still.
func TestBBRSlowerStill(t *testing.T) {
	d := newCruise(t)
	for range 2 {
		d.trip(5000, drillRTT*3/2, 0)
	}
	d.until(phaseCruise, 5000, drillRTT)
	for range 2 {
		d.trip(3000, drillRTT*3/2, 0)
	}
	if lo := d.b.model.bwLo; !within(lo, 3000) {
		t.Errorf("at most %.0f, want 3000", lo)
	}
	d.until(phaseRefill, 3000, drillRTT)
	if bw := d.b.model.maxBW(); !within(bw, 3000) {
		t.Errorf("%.0f in Refill, want 3000", bw)
	}
}

// A path that becomes slower a second time is followed like the first time.
func TestBBRSecondPlunge(t *testing.T) {
	d := newCruise(t)
	for _, rate := range []float64{5000, 2500} {
		for range 2 {
			d.trip(rate, drillRTT*3/2, 0)
		}
		d.until(phaseRefill, rate, drillRTT)
		if bw := d.b.model.maxBW(); !within(bw, rate) {
			t.Errorf("%.0f in Refill, want %.0f", bw, rate)
		}
		d.until(phaseCruise, rate, drillRTT)
	}
}

// The losses of the queue that a slower path made, known after it was yielded to,
// raise no bound.
func TestBBRLossAfterASqueeze(t *testing.T) {
	d := newDrill(t)
	d.started(phaseCruise)
	for range 2 {
		d.trip(5000, drillRTT*3/2, 0)
	}
	for range 2 {
		d.trip(6500, drillRTT*3/2, 0.06)
	}
	if lo := d.b.model.bwLo; lo <= 0 || lo > 5100 {
		t.Errorf("at most %.0f after losses, 5000 before", lo)
	}
}

// Packets that had to wait for the end of an outage tell nothing of a queue.
func TestBBRTickAfterSilence(t *testing.T) {
	k := bbrTick{}
	s := PathState{Now: Instant(time.Second)}
	report := func(after, rtt time.Duration) {
		s.Now = s.Now.Add(after)
		s.Delivered += 10
		s.Sample = RateSample{Delivered: 10, Interval: rtt, RTT: rtt}
		k.update(&s, drillRTT)
	}
	over := 0
	for range 5 {
		report(drillRTT/2, drillRTT)
		if k.over {
			over++
		}
	}
	if over == 0 {
		t.Error("no tick was completed")
	}
	report(2*time.Second, 0) // a repeat's arrival, which has no round trip
	if k.over {
		t.Error("a tick of the silence")
	}
	report(2*time.Second, 2*time.Second+drillRTT)
	for at := drillRTT / 2; at <= drillRTT; at += drillRTT / 2 {
		if k.over {
			t.Errorf("a tick of packets that had waited, %v after the silence", at)
		}
		report(drillRTT/2, 2*time.Second+drillRTT+at)
	}
	report(drillRTT/2, drillRTT)
	report(drillRTT/2, drillRTT)
	if !k.over {
		t.Error("no tick of the packets after that")
	}
}
