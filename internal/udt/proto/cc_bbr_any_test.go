package proto

import (
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
