package proto

import (
	"fmt"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// contest is two flows over a bottleneck of 100 Mbit/s.
type contest struct {
	name   string
	queue  float64          // BDP of 40 ms
	rtt    [2]time.Duration // of each
	starts [2]time.Duration
	grain  Instant // the receivers', as path.grain
}

// run returns the share of each in 30 s from when both are there.
func (c contest) run(t testing.TB, a, b Controller) (x, y float64) {
	const rate = 100e6
	least := min(c.rtt[0], c.rtt[1])
	p := newPath(t, 1, simnet.Params{Rate: rate, Delay: least / 2, Queue: int(c.queue * rate / 8 * 0.04)})
	p.grain = c.grain
	var flows [2]*carrier
	for i, cc := range []Controller{a, b} {
		flows[i] = p.transfer(c.starts[i], 1e10, cc, simnet.Params{Delay: least / 2})
		flows[i].far = (c.rtt[i] - least) / 2
	}
	from := max(c.starts[0], c.starts[1])
	p.run(from + 30*time.Second)
	x = flows[0].between(from, from+30*time.Second) / (rate * 1456 / 1500)
	y = flows[1].between(from, from+30*time.Second) / (rate * 1456 / 1500)
	return x, y
}

// Two of ours share a bottleneck, and use it.
func TestBBRIsFairToItself(t *testing.T) {
	long(t)
	same := [2]time.Duration{40 * ms, 40 * ms}
	late := [2]time.Duration{0, 5 * time.Second}
	for _, test := range []struct {
		contest
		jain float64
	}{
		{contest{"together", 1, same, [2]time.Duration{}, 0}, 0.95},
		{contest{"one late", 1, same, late, 0}, 0.95},
		{contest{"one late, a long queue", 4, same, late, 0}, 0.95},
		{contest{"20 and 100 ms", 1, [2]time.Duration{20 * ms, 100 * ms}, [2]time.Duration{}, 0}, 0.8},
		// A queue of two of its BDP, kept by a flow that probes it a fifth as
		// often, is hard for a short one to enter.
		{contest{"100 ms first, then 20", 1, [2]time.Duration{100 * ms, 20 * ms}, late, 0}, 0.7},
		{contest{"20 and 100 ms, a long queue", 4, [2]time.Duration{20 * ms, 100 * ms}, [2]time.Duration{}, 0}, 0.8},
	} {
		if testing.Short() && test.starts == late {
			continue
		}
		x, y := test.run(t, NewBBR(), NewBBR())
		t.Logf("%-30s %.3f and %.3f, index %.3f", test.name, x, y, jain(x, y))
		if jain(x, y) < test.jain || x+y < 0.85 {
			t.Errorf("%s: %.3f and %.3f, index %.3f", test.name, x, y, jain(x, y))
		}
	}
}

// Nor do a few of ours, who are more than the share that rivals ask for allows,
// drive each other into loss.
func TestFewBBRsShare(t *testing.T) {
	long(t)
	const rate = 100e6
	for _, grain := range []Instant{0, batches} {
		p := newPath(t, 1, simnet.Params{Rate: rate, Delay: 20 * ms, Queue: rate / 8 * 0.04})
		p.grain = grain
		var flows [4]*carrier
		for i := range flows {
			flows[i] = p.transfer(time.Duration(i)*300*ms, 1e10, NewBBR(), simnet.Params{Delay: 20 * ms})
		}
		p.run(30 * time.Second)
		var shares []float64
		var used, again float64
		for _, f := range flows {
			x := f.between(10*time.Second, 30*time.Second) / (rate * 1456 / 1500)
			shares, used = append(shares, x), used+x
			again += f.overhead() / float64(len(flows))
		}
		t.Logf("taken every %v: %.2f, index %.3f, sent again %.3f", time.Duration(grain), shares, jain(shares...), again)
		if used < 0.95 || jain(shares...) < 0.8 || again > 0.05 {
			t.Errorf("taken every %v: %.2f, index %.3f, sent again %.3f", time.Duration(grain), shares, jain(shares...), again)
		}
	}
}

// One of ours beside one that fills the queue until it overflows: neither
// starves, whether packet pairs tell the capacity or are mostly taken together.
func TestBBRBesideCubic(t *testing.T) {
	long(t)
	same := [2]time.Duration{40 * ms, 40 * ms}
	late := [2]time.Duration{0, 5 * time.Second}
	for _, test := range []struct {
		contest
		cubic float64 // what is left to it
	}{
		{contest{"a queue of 1 BDP", 1, same, [2]time.Duration{}, 0}, 0.25},
		{contest{"a queue of 4 BDP", 4, same, [2]time.Duration{}, 0}, 0.35},
		{contest{"a queue of 4 BDP, CUBIC late", 4, same, late, 0}, 0.35},
		{contest{"a queue of 1 BDP, batches", 1, same, [2]time.Duration{}, batches}, 0.25},
		{contest{"a queue of 4 BDP, batches", 4, same, [2]time.Duration{}, batches}, 0.35},
	} {
		if testing.Short() && test.starts != [2]time.Duration{} {
			continue
		}
		x, y := test.run(t, NewBBR(), newCubicFlow())
		t.Logf("%-30s bbr %.3f, CUBIC %.3f", test.name, x, y)
		if x < 0.25 || y < test.cubic {
			t.Errorf("%s: bbr %.3f, CUBIC %.3f", test.name, x, y)
		}
	}
	// A flow that comes into a full queue never saw the path without one. When
	// it comes matters much, so many are looked at.
	for _, test := range []struct {
		queue, least float64
		grain        Instant
	}{{1, 0.25, 0}, {4, 0.35, 0}, {1, 0.25, batches}, {4, 0.35, batches}} {
		if testing.Short() {
			continue
		}
		name := fmt.Sprintf("CUBIC first, a queue of %v BDP, taken every %v", test.queue, time.Duration(test.grain))
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const turns = 24
			var x, y float64
			for i := range turns {
				start := 5*time.Second + time.Duration(i)*137*ms
				c := contest{name, test.queue, same, [2]time.Duration{start, 0}, test.grain}
				a, b := c.run(t, NewBBR(), newCubicFlow())
				x, y = x+a/turns, y+b/turns
			}
			t.Logf("%s: bbr %.3f, CUBIC %.3f", name, x, y)
			if x < 0.25 || y < test.least {
				t.Errorf("%s: bbr %.3f, CUBIC %.3f", name, x, y)
			}
		})
	}
	// The neighbour is worth the name: alone it fills the path.
	if _, y := (contest{"alone", 1, same, [2]time.Duration{}, 0}).run(t, NewFixed(1e4), newCubicFlow()); y < 0.9 {
		t.Errorf("CUBIC alone uses %.3f", y)
	}
}

// batches is how often a busy host's receiver takes what has come.
const batches = Instant(300 * time.Microsecond)

// One of ours beside TCP's BBR, which keeps a queue of one BDP and, where there
// is no room for it, does not mind the losses.
func TestBBRBesideTCPBBR(t *testing.T) {
	long(t)
	same := [2]time.Duration{40 * ms, 40 * ms}
	late := 5 * time.Second
	starts := [][2]time.Duration{{}, {37 * ms, 0}, {74 * ms, 0}, {111 * ms, 0}, {0, late}, {late, 0}}
	if testing.Short() {
		starts = starts[:2]
	}
	for _, test := range []struct {
		queue, most float64 // BDP, its flow's in flight
		grain       Instant
	}{{1, 2, 0}, {1, 2, batches}, {1, 2.7, 0}, {1, 2.7, batches}, {4, 2, 0}, {4, 2, batches}} {
		// Who comes when matters; the mean of some cases does not vary as much.
		var x, y, worst float64
		worst = 1
		for _, s := range starts {
			a, b := contest{"", test.queue, same, s, test.grain}.run(t, NewBBR(), newBBR1Flow(test.most))
			x, y = x+a/float64(len(starts)), y+b/float64(len(starts))
			worst = min(worst, a)
		}
		name := fmt.Sprintf("a queue of %v BDP, %v in flight, taken every %v", test.queue, test.most, time.Duration(test.grain))
		t.Logf("%s: bbr %.3f, at least %.3f; TCP's %.3f", name, x, worst, y)
		if x < 0.25 || y < 0.35 || worst < 0.1 {
			t.Errorf("%s: bbr %.3f, at least %.3f; TCP's %.3f", name, x, worst, y)
		}
	}
	if _, y := (contest{"alone", 1, same, [2]time.Duration{}, 0}).run(t, NewFixed(1e4), newBBR1Flow(2)); y < 0.9 {
		t.Errorf("TCP's BBR alone uses %.3f", y)
	}
}
