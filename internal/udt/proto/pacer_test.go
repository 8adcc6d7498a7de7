package proto

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// drive sends as much as the pacer lets go for d, looking again when it says
// so and up to late after that. It returns the packets sent and the largest
// burst.
func drive(p *pacer, d, late time.Duration, r *rand.Rand) (total, burst int) {
	for now := Instant(0); now < Instant(d); {
		n := p.budget(now)
		p.sent(n)
		if again := p.budget(now); again != 0 {
			return -1, again // more at the same moment
		}
		total, burst = total+n, max(burst, n)
		now = max(now+1, p.due())
		if late > 0 {
			now = now.Add(time.Duration(r.Int64N(int64(late))))
		}
	}
	return total, burst
}

func TestPacerLongRunRate(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, rate := range []float64{3, 83.3, 1000, 7919, 83_333, 833_333, 5e6} {
		for _, late := range []time.Duration{0, 100 * time.Microsecond, 400 * time.Microsecond} {
			var p pacer
			p.setRate(rate)
			d := max(2*time.Second, time.Duration(200e9/rate))
			total, burst := drive(&p, d, late, r)
			if want := rate * d.Seconds(); math.Abs(float64(total)/want-1) > 0.01 {
				t.Errorf("%v packets/s, up to %v late: %d packets in %v, want %.0f", rate, late, total, d, want)
			}
			if limit := max(2, int(rate/1000)+1); burst > limit {
				t.Errorf("%v packets/s, up to %v late: a burst of %d, at most %d", rate, late, burst, limit)
			}
		}
	}
}

// However late: never more than a millisecond's worth, or a probe pair, goes
// at once, nor soon after that.
func TestPacerBurstAfterIdle(t *testing.T) {
	for rate, most := range map[float64]int{10: 2, 1000: 2, 3000: 3, 100_000: 100, 1e6: 1000} {
		var p pacer
		p.setRate(rate)
		for _, p.holds = range []bool{false, true} {
			now := Instant(time.Hour)
			got := p.budget(now)
			if got > most || got < 1 {
				t.Errorf("%v packets/s: %d packets after an hour, at most %d", rate, got, most)
			}
			p.sent(got)
			if again := p.budget(now.Add(paceQuantum - 1)); again > most/2 {
				t.Errorf("%v packets/s: %d packets after a burst", rate, again)
			}
			p = pacer{period: p.period}
		}
	}
}

// Slow rates are not delayed by waiting for a quantum.
func TestPacerWakesForEachPacketWhenSlow(t *testing.T) {
	var p pacer
	p.setRate(100)
	p.budget(Instant(time.Second))
	p.sent(2)
	if due := p.due(); p.budget(due) == 0 || p.budget(due-1) != 0 {
		t.Errorf("due at %v", time.Duration(due))
	}
}

func TestPacerQuantum(t *testing.T) {
	var p pacer
	p.setRate(1e6)
	now := Instant(time.Second)
	p.sent(p.budget(now))
	due := p.due()
	if wait := due.Sub(now); wait < paceQuantum/2 || wait > 2*paceQuantum {
		t.Errorf("looks again after %v", wait)
	}
	if n := p.budget(due); n < 400 || n > 600 {
		t.Errorf("%d packets of 1 us in a quantum", n)
	}
}

func TestPacerWithoutRate(t *testing.T) {
	var p pacer
	if p.budget(5) < 1<<20 || p.due() > 5 {
		t.Error("a pacer without a rate holds packets back")
	}
	p.sent(1 << 20)
	p.setRate(1000)
	if p.budget(6) > 2 {
		t.Error("what went unpaced counts for the burst")
	}
	p.setRate(0)
	if p.budget(7) < 1<<20 {
		t.Error("rate 0 holds packets back")
	}
	p.setRate(-1)
	if p.period != 0 {
		t.Error("a negative rate paces")
	}
}

// A new rate holds from the next packet on.
func TestPacerChangesRate(t *testing.T) {
	var p pacer
	p.setRate(1)
	p.sent(p.budget(0))
	p.setRate(1e6)
	if got := p.budget(Instant(4 * time.Second)); got > 1000 {
		t.Errorf("a burst of %d at the new rate", got)
	}
}
