package proto

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// BBR follows a path that becomes slower in 5 round trips, and one that
// becomes faster in 15, at whatever point of its cycle that happens.
func TestBBRFollowsTheRate(t *testing.T) {
	long(t)
	const (
		rate = 100e6
		rtt  = 100 * ms
	)
	moments := 5
	if testing.Short() {
		moments = 2
	}
	for _, factor := range []float64{0.5, 2} {
		for k := range moments {
			change := 4*time.Second + time.Duration(k)*230*ms
			p := newPath(t, 1, simnet.Params{
				Rate: rate, Delay: rtt / 2, Queue: 2_500_000,
				Steps: []simnet.Step{{At: change, Rate: rate * factor}},
			})
			b := NewBBR()
			c := p.transfer(0, 1e9, b, simnet.Params{Delay: rtt / 2})
			p.every = 10 * ms
			followed := never
			p.onSample = func() {
				packets := b.model.bandwidth() * 1500 * 8 / rate / factor
				if p.now > Instant(change) && followed == never && packets > 0.9 && packets < 1.1 {
					followed = p.now
				}
			}
			p.run(change + 5*time.Second)
			took := followed.Sub(Instant(change))
			limit := 5 * rtt
			if factor > 1 {
				limit = 15 * rtt
			}
			after := c.between(change+3*time.Second, change+5*time.Second) / (factor * rate * 1456 / 1500)
			t.Logf("%v times the rate at %v: followed in %v, then uses %.3f", factor, change, took, after)
			if took > limit || after < 0.95 {
				t.Errorf("%v times the rate at %v: followed in %v, then uses %.3f", factor, change, took, after)
			}
		}
	}
}

// What a short queue has lost of probes does not keep BBR from a path that becomes
// many times as fast.
func TestBBRFollowsALeap(t *testing.T) {
	long(t)
	const (
		rate = 80e6
		rtt  = 100 * ms
		leap = 10 * time.Second
	)
	p := newPath(t, 1, simnet.Params{
		Rate: rate / 8, Delay: rtt / 2, Queue: 20_000, Steps: []simnet.Step{{At: leap, Rate: rate}},
	})
	c := p.transfer(0, 1e9, NewBBR(), simnet.Params{Delay: rtt / 2})
	p.run(leap + 8*time.Second)
	after := c.between(leap+5*time.Second, leap+8*time.Second) / (rate * 1456 / 1500)
	t.Logf("uses %.3f", after)
	if !(after >= 0.9) {
		t.Errorf("uses %.3f after fifty round trips", after)
	}
}

// The same as make bench-wan tells it: how many round trips after the rate has halved
// the queue stays shorter than half of one, and how many after it has doubled nine
// tenths of it are used. "Stays" is ten round trips.
func TestBBRSettlesAfterSteps(t *testing.T) {
	long(t)
	moments := 8
	if testing.Short() {
		moments = 2
	}
	for _, link := range []struct {
		rate  float64
		rtt   time.Duration
		queue int
	}{
		{200e6, 80 * ms, 2_000_000},
		{100e6, 20 * ms, 250_000},
		{100e6, 100 * ms, 2_500_000},
	} {
		for _, grain := range []Instant{0, batches} {
			var down, up float64
			for k := range moments {
				a, b := settles(t, link.rate, link.rtt, link.queue, grain, float64(k)/float64(moments))
				down, up = max(down, a), max(up, b)
			}
			name := fmt.Sprintf("%v Mbit/s, %v, taken every %v", link.rate/1e6, link.rtt, time.Duration(grain))
			t.Logf("%s: half after at most %.1f round trips, double after at most %.1f", name, down, up)
			if down > 5 || up > 15 {
				t.Errorf("%s: half after at most %.1f round trips, double after at most %.1f", name, down, up)
			}
		}
	}
}

// settles lets the rate of a path halve and double again, each at a point of BBR's
// cycle, and returns after how many round trips each is followed.
func settles(t *testing.T, rate float64, rtt time.Duration, queue int, grain Instant, point float64) (down, up float64) {
	cycle := float64(max(12*rtt, 250*ms))
	halved := 5*time.Second + time.Duration(point*cycle)
	doubled := halved + 5*time.Second + time.Duration(point*3*cycle)%time.Duration(cycle)
	p := newPath(t, uint64(point*1000), simnet.Params{
		Rate: rate, Delay: rtt / 2, Queue: queue,
		Steps: []simnet.Step{{At: halved, Rate: rate / 2}, {At: doubled, Rate: rate}},
	})
	p.grain, p.every = grain, 5*ms
	c := p.transfer(0, 1e10, NewBBR(), simnet.Params{Delay: rtt / 2})
	end := doubled + 60*rtt
	p.run(end)
	first := func(from, to time.Duration, holds func(from, to time.Duration) bool) float64 {
		const span = 10
		for at := from; at+span*rtt <= to; at += 5 * ms {
			if holds(at, at+span*rtt) {
				return float64(at-from) / float64(rtt)
			}
		}
		return math.Inf(1)
	}
	down = first(halved, doubled, func(from, to time.Duration) bool {
		return !slices.ContainsFunc(c.samples, func(s carrierSample) bool {
			return s.at >= Instant(from) && s.at <= Instant(to) && s.way > rtt
		})
	})
	up = first(doubled, end, func(from, to time.Duration) bool {
		return c.between(from, to) >= 0.9*rate*1456/1500
	})
	return down, up
}
