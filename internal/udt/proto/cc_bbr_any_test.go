package proto

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// Whatever link it is, BBR uses most of it: of what is drawn here at random no
// combination is a trap.
func TestBBRUsesAnyLink(t *testing.T) {
	long(t)
	links := 60
	if testing.Short() {
		links = 15
	}
	var mean, again float64
	for k := range links {
		rng := rand.New(rand.NewPCG(uint64(k), 5))
		pick := func(of ...float64) float64 { return of[rng.IntN(len(of))] }
		var (
			rate   = pick(10e6, 20e6, 50e6, 100e6, 200e6, 500e6)
			rtt    = time.Duration(pick(5, 10, 20, 30, 50, 80, 120, 200, 300, 600) * 1e6)
			queue  = max(int(pick(0.1, 0.125, 0.25, 0.5, 1, 2, 4)*rate/8*rtt.Seconds()), 50*1500)
			jitter = time.Duration(pick(0, 0, 0, 0.5, 2, 5) * 1e6)
			loss   = pick(0, 0, 0.001, 0.01)
			unsaid = pick(0, 0, 0.05) // ACKs lost
			grain  = Instant(pick(0, 100, 300, 1000) * 1e3)
			whole  = 6*time.Second + 20*rtt
		)
		p := newPath(t, uint64(k), simnet.Params{Rate: rate, Delay: rtt / 2, Queue: queue, Jitter: jitter, Loss: loss})
		p.grain = grain
		c := p.transfer(0, int64(rate/8*whole.Seconds()), NewBBR(), simnet.Params{Delay: rtt / 2, Jitter: jitter, Loss: unsaid})
		p.run(4 * whole)
		// Eight round trips for the handshake, the trains and the last ACK.
		share := c.share(loss) * (whole + 8*rtt).Seconds() / whole.Seconds()
		if !(share >= 0.8) {
			t.Errorf("%d: %.0f Mbit/s, %v, %d packets of queue, %v of jitter, %v lost, %v of ACKs, taken every %v: uses %.3f",
				k, rate/1e6, rtt, queue/1500, jitter, loss, unsaid, time.Duration(grain), share)
		}
		mean += share / float64(links)
		again += (c.overhead() - loss) / float64(links)
	}
	t.Logf("%d links: uses %.3f, %.4f sent again beyond what is lost", links, mean, again)
	if !(mean >= 1) || again > 0.008 {
		t.Errorf("uses %.3f, %.4f sent again beyond what is lost", mean, again)
	}
}

// Whatever link two of them share they fill it, and where its queue holds a BDP neither
// is left with little.
func TestBBRSharesAnyLink(t *testing.T) {
	long(t)
	pairs := 40
	if testing.Short() {
		pairs = 10
	}
	mean := map[bool]float64{} // index, by whether the queue holds a BDP
	count := map[bool]float64{}
	for k := range pairs {
		rng := rand.New(rand.NewPCG(uint64(k), 11))
		pick := func(of ...float64) float64 { return of[rng.IntN(len(of))] }
		var (
			rate  = pick(10e6, 20e6, 50e6, 100e6, 200e6)
			rtt   = time.Duration(pick(10, 20, 40, 80, 150) * 1e6)
			other = time.Duration(float64(rtt) * pick(1, 1, 1.5, 3))
			bdps  = pick(0.25, 0.5, 1, 2, 4)
			queue = max(int(bdps*rate/8*rtt.Seconds()), 40*1500)
			late  = time.Duration(pick(0, 1, 5) * 1e9)
			grain = Instant(pick(0, 100, 300, 1000) * 1e3)
			until = 40 * time.Second
		)
		p := newPath(t, uint64(k), simnet.Params{Rate: rate, Delay: rtt / 2, Queue: queue})
		p.grain = grain
		a := p.transfer(0, 1e11, NewBBR(), simnet.Params{Delay: rtt / 2})
		b := p.transfer(late, 1e11, NewBBR(), simnet.Params{Delay: rtt / 2})
		b.far = (other - rtt) / 2
		p.run(until)
		one, two := a.between(late+10*time.Second, until)/(rate*1456/1500), b.between(late+10*time.Second, until)/(rate*1456/1500)
		index := jain(one, two)
		what := fmt.Sprintf("%d: %.0f Mbit/s, %v and %v, a queue of %v BDP, %v late, taken every %v: %.3f and %.3f, %.3f and %.3f sent again",
			k, rate/1e6, rtt, other, bdps, late, time.Duration(grain), one, two, a.overhead(), b.overhead())
		if index < 0.8 {
			t.Log(what)
		}
		if !(one+two >= 0.95) || bdps >= 1 && index < 0.75 {
			t.Error(what)
		}
		mean[bdps >= 1] += index
		count[bdps >= 1]++
	}
	for whole, sum := range mean {
		t.Logf("%.0f pairs, a BDP of queue %v: index %.3f", count[whole], whole, sum/count[whole])
		if want := map[bool]float64{true: 0.96, false: 0.85}[whole]; !(sum/count[whole] >= want) {
			t.Errorf("a BDP of queue %v: index %.3f", whole, sum/count[whole])
		}
	}
}
