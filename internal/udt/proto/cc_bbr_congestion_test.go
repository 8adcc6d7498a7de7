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
