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
}

// run returns the share of each in 30 s from when both are there.
func (c contest) run(t testing.TB, a, b Controller) (x, y float64) {
	const rate = 100e6
	least := min(c.rtt[0], c.rtt[1])
	p := newPath(t, 1, simnet.Params{Rate: rate, Delay: least / 2, Queue: int(c.queue * rate / 8 * 0.04)})
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
		{contest{"together", 1, same, [2]time.Duration{}}, 0.95},
		{contest{"one late", 1, same, late}, 0.95},
		{contest{"one late, a long queue", 4, same, late}, 0.95},
		{contest{"20 and 100 ms", 1, [2]time.Duration{20 * ms, 100 * ms}, [2]time.Duration{}}, 0.8},
		// A queue of two of its BDP, kept by a flow that probes it a fifth as
		// often, is hard for a short one to enter.
		{contest{"100 ms first, then 20", 1, [2]time.Duration{100 * ms, 20 * ms}, late}, 0.7},
		{contest{"20 and 100 ms, a long queue", 4, [2]time.Duration{20 * ms, 100 * ms}, [2]time.Duration{}}, 0.8},
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

// One of ours beside one that fills the queue until it overflows: neither
// starves.
func TestBBRBesideCubic(t *testing.T) {
	long(t)
	same := [2]time.Duration{40 * ms, 40 * ms}
	for _, test := range []struct {
		contest
		cubic float64 // what is left to it
	}{
		{contest{"a queue of 1 BDP", 1, same, [2]time.Duration{}}, 0.25},
		{contest{"a queue of 4 BDP", 4, same, [2]time.Duration{}}, 0.35},
		{contest{"a queue of 4 BDP, CUBIC late", 4, same, [2]time.Duration{0, 5 * time.Second}}, 0.35},
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
	for queue, least := range map[float64]float64{1: 0.25, 4: 0.35} {
		if testing.Short() {
			continue
		}
		t.Run(fmt.Sprintf("CUBIC first, a queue of %v BDP", queue), func(t *testing.T) {
			t.Parallel()
			const turns = 24
			var x, y float64
			for i := range turns {
				start := 5*time.Second + time.Duration(i)*137*ms
				c := contest{"CUBIC first", queue, same, [2]time.Duration{start, 0}}
				a, b := c.run(t, NewBBR(), newCubicFlow())
				x, y = x+a/turns, y+b/turns
			}
			t.Logf("CUBIC first, a queue of %v BDP: bbr %.3f, CUBIC %.3f", queue, x, y)
			if x < 0.25 || y < least {
				t.Errorf("CUBIC first, a queue of %v BDP: bbr %.3f, CUBIC %.3f", queue, x, y)
			}
		})
	}
	// The neighbour is worth the name: alone it fills the path.
	if _, y := (contest{"alone", 1, same, [2]time.Duration{}}).run(t, NewFixed(1e4), newCubicFlow()); y < 0.9 {
		t.Errorf("CUBIC alone uses %.3f", y)
	}
}
