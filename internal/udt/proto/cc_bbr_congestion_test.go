package proto

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Loss that does not come with a queue is the path's own; with one, what is
// beyond it is congestion.
func TestBBRLoss(t *testing.T) {
	d := newDrill(t)
	d.started(phaseCruise)
	for range 30 {
		d.trip(9700, drillRTT, 0.03)
	}
	if bw := d.b.model.bandwidth(); bw < 9600 {
		t.Errorf("random loss brings the bandwidth to %.0f", bw)
	}
	if m := &d.b.model; m.loss < 0.02 || m.hi > 0 {
		t.Errorf("random loss is taken for %.3f; bound %.0f", m.loss, m.hi)
	}
	d.started(phaseCruise)
	for range 2 {
		d.trip(9500, drillRTT*6/5, 0.03)
	}
	if d.b.model.bwLo > 0 {
		t.Error("loss as usual with a queue counts as congestion")
	}
	d = newDrill(t)
	d.started(phaseCruise)
	d.trip(9500, drillRTT*6/5, 0.06)
	d.trip(9500, drillRTT*6/5, 0.06)
	if lo := d.b.model.bwLo; lo <= 0 || lo > 10_000 {
		t.Errorf("congestion bounds the bandwidth by %.0f", lo)
	}
	d.started(phaseRefill)
	if d.b.model.bwLo > 0 {
		t.Error("the bound outlives the cycle")
	}
}

// Once a tenth of what is on its way was lost, Startup does not wait for the rest.
func TestBBRFlood(t *testing.T) {
	for _, c := range []struct {
		lost int64
		pipe int
		want bool
	}{{15, 10, false}, {16, 10, true}, {16, 170, false}, {18, 170, true}} {
		m := bbrModel{round: bbrRound{lost: 100}}
		if got := m.flooded(&PathState{Lost: 100 + c.lost, Pipe: c.pipe}); got != c.want {
			t.Errorf("%d lost, %d on their way: %v", c.lost, c.pipe, got)
		}
	}
	for loss, leaves := range map[float64]bool{0.25: true, 0.06: false} {
		d := newDrill(t)
		rate := 1000.0
		for range 3 {
			d.trip(rate, drillRTT, 0)
			rate *= 2
		}
		d.part(0.6, rate, drillRTT, loss)
		if left := d.b.phase != phaseStartup; left != leaves {
			t.Errorf("%v lost in half a round trip: left Startup: %v", loss, left)
		}
	}
}

// Loss in Up bounds what may be in flight.
func TestBBRLossInUp(t *testing.T) {
	d := newDrill(t)
	d.started(phaseUp)
	d.trip(10_000, drillRTT, 0.06)
	d.trip(10_000, drillRTT, 0.06)
	if d.b.phase == phaseUp || d.b.model.hi < 1000 || d.b.model.hi > 1130 {
		t.Errorf("phase %d, at most %.0f in flight", d.b.phase, d.b.model.hi)
	}
}

// Up goes beyond the long-term bound, but for the probe after one that lost too much.
func TestBBRReach(t *testing.T) {
	d := newDrill(t)
	d.started(phaseUp)
	reach := func() float64 {
		d.b.model.hi = 500
		d.b.setWindow(&d.s)
		return (d.b.Window() - d.b.model.slack()) / 500
	}
	if got := reach(); !within(got, 1.125) {
		t.Errorf("to %.3f times the bound, want 1.125", got)
	}
	d.trip(10_000, drillRTT, 0.06)
	d.trip(10_000, drillRTT, 0.06)
	for _, want := range []float64{1, 1.125} {
		d.until(phaseCruise, 10_000, drillRTT)
		d.until(phaseUp, 10_000, drillRTT)
		if got := reach(); !within(got, want) {
			t.Errorf("to %.3f times the bound, want %.3f", got, want)
		}
	}
}

// Somebody who keeps the queue full in spite of all yielding is not yielded to
// any more.
func TestBBRRival(t *testing.T) {
	d := newDrill(t)
	d.report(0, 10_000)
	d.started(phaseCruise)
	for range 4 {
		d.trip(6000, 3*drillRTT, 0)
	}
	before := d.b.model.bandwidth()
	for range 3 {
		d.trip(3000, 3*drillRTT, 0)
	}
	if bw := d.b.model.bandwidth(); bw < 0.9*min(before, 5000) {
		t.Errorf("bandwidth %.0f, before %.0f", bw, before)
	}
	if !d.b.model.rivalled(d.s.Now) {
		t.Error("no rival")
	}
	d.trip(6000, drillRTT, 0)
	if d.b.model.rivalled(d.s.Now) {
		t.Error("the rival stays without a queue")
	}
}

// Scattered round trips tell how far they are scattered, a queue's nothing.
func TestTurns(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var t1 rttTurns
	mean := time.Duration(0)
	for i := range 3000 {
		t1.add(30*ms + time.Duration(rng.Int64N(int64(20*ms))))
		if i >= 1000 {
			mean += t1.spread() / 2000
		}
	}
	if mean < 17*ms || mean > 23*ms {
		t.Errorf("a range of 20 ms is measured as %v", mean)
	}
	for k := range 40 { // a queue that grows and shrinks
		for i := range 10 {
			n := i
			if k%2 == 1 {
				n = 9 - i
			}
			t1.add(30*ms + time.Duration(n)*5*ms)
		}
	}
	if got := t1.spread(); got > ms {
		t.Errorf("a queue is taken for a scatter of %v", got)
	}
}

// A report that had to wait because nothing came after what it tells of is no scatter.
func TestTurnsOfLateReports(t *testing.T) {
	for _, pipe := range []int{0, 1} {
		var m bbrModel
		s := PathState{PacketSize: 1500}
		m.init(&s)
		for range 10 {
			for _, late := range []time.Duration{0, syn} {
				s.Now, s.Delivered, s.Pipe = s.Now.Add(20*ms), s.Delivered+10, 10
				if late > 0 {
					s.Pipe = pipe
				}
				s.Sample = RateSample{Delivered: 10, Interval: 20 * ms, RTT: 20*ms + late}
				m.update(&s, phaseCruise)
			}
		}
		if scattered := m.turns.spread() > syn/2; scattered != (pipe > 0) {
			t.Errorf("%d packets behind: a scatter of %v", pipe, m.turns.spread())
		}
	}
}
