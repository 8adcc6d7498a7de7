package proto

import (
	"fmt"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// A wideLink is a link that UDT is for: what is sent over it, and the share of
// it that BBR has to reach, handshake and last round trips included.
type wideLink struct {
	name string
	p    simnet.Params
	rtt  time.Duration
	loss float64 // share of packets, reordered ones not
	size int64
	want float64
}

// wideLinks are those of docs/congestion.md.
var wideLinks = []wideLink{
	{"100M 20ms clean", simnet.Params{Rate: 100e6, Queue: 250e3}, 20 * ms, 0, 64e6, 0.95},
	{"500M 100ms clean", simnet.Params{Rate: 500e6, Queue: 3100e3}, 100 * ms, 0, 400e6, 0.91},
	{"500M 100ms 0.1%", simnet.Params{Rate: 500e6, Queue: 3100e3, Loss: 0.001}, 100 * ms, 0.001, 400e6, 0.90},
	{"200M 200ms 1%", simnet.Params{Rate: 200e6, Queue: 2500e3, Loss: 0.01}, 200 * ms, 0.01, 200e6, 0.82},
	{"50M 300ms 3%", simnet.Params{Rate: 50e6, Queue: 900e3, Loss: 0.03}, 300 * ms, 0.03, 64e6, 0.78},
	{
		"200M 80ms bursts", simnet.Params{Rate: 200e6, Queue: 1000e3, BurstStart: 0.0005, BurstMean: 20},
		80 * ms, 0.01, 200e6, 0.85,
	},
	{
		"100M 60ms 2% reordered", simnet.Params{Rate: 100e6, Queue: 750e3, Reorder: 0.02, ReorderBy: 5 * ms},
		60 * ms, 0, 64e6, 0.90,
	},
}

// over runs one transfer over the link.
func (l wideLink) over(t testing.TB, seed uint64, cc Controller) *carrier {
	l.p.Delay = l.rtt / 2
	p := newPath(t, seed, l.p)
	c := p.transfer(0, l.size, cc, simnet.Params{Delay: l.rtt / 2})
	p.run(60 * time.Second)
	return c
}

// BBR uses the links it is for, and sends little again beyond what they lose.
func TestBBRUsesWideLinks(t *testing.T) {
	seeds := uint64(2)
	if brief() {
		seeds = 1
	}
	for _, l := range wideLinks {
		if brief() && l.size > 200e6 {
			continue
		}
		for seed := range seeds {
			c := l.over(t, seed+1, NewBBR())
			share, again := c.share(l.loss), c.overhead()
			t.Logf("%-24s share %.3f, sent again %.4f", l.name, share, again)
			if !(share >= l.want) {
				t.Errorf("%s, seed %d: share %.3f, want %.2f", l.name, seed, share, l.want)
			}
			lost := c.p.link.Stats()
			loss := float64(lost.Lost+lost.Reordered) / float64(lost.Seen)
			if again > 1.2*loss+0.003 {
				t.Errorf("%s, seed %d: %.4f sent again at a loss of %.4f", l.name, seed, again, loss)
			}
		}
	}
}

// Native is slower on each of them, as it is meant to be: it takes all loss
// for congestion.
func TestBBRBeatsNative(t *testing.T) {
	if brief() {
		t.Skip("takes seconds")
	}
	for _, l := range wideLinks {
		l.size /= 4
		l.p.Rate /= 2
		bbr, native := l.over(t, 1, NewBBR()), l.over(t, 1, NewNative())
		t.Logf("%-24s a quarter at half the rate: bbr %.3f native %.3f", l.name, bbr.share(l.loss), native.share(l.loss))
		if bbr.doneAt >= native.doneAt {
			t.Errorf("%s: bbr needs %v, native %v", l.name, time.Duration(bbr.doneAt), time.Duration(native.doneAt))
		}
	}
}

// steady is the share of the rate between the first and the last second.
func (c *carrier) steady() float64 {
	return c.between(c.start.Sub(0)+time.Second, c.doneAt.Sub(0)-time.Second) / (c.p.rate * 1456 / 1500)
}

// BBR keeps its share with little queue, jitter and lost ACKs, and without a
// standing queue where there is room for one.
func TestBBRUsesAwkwardLinks(t *testing.T) {
	long(t)
	const (
		rtt  = 80 * ms
		rate = 100e6
		bdp  = 1_000_000 // bytes
	)
	quiet := simnet.Params{Delay: rtt / 2}
	for _, test := range []struct {
		name  string
		p     simnet.Params
		back  simnet.Params
		share float64 // in the steady state
		again float64 // sent again, at most
	}{
		{"a queue of a quarter BDP", simnet.Params{Queue: bdp / 4}, quiet, 0.97, 0.003},
		{"a queue of four BDP", simnet.Params{Queue: 4 * bdp}, quiet, 0.97, 0.003},
		{
			"20 ms of jitter", simnet.Params{Queue: bdp, Jitter: 20 * ms},
			simnet.Params{Delay: rtt / 2, Jitter: 20 * ms}, 0.93, 0.006,
		},
		{"every third ACK lost", simnet.Params{Queue: bdp}, simnet.Params{Delay: rtt / 2, Loss: 0.33}, 0.97, 0.003},
		{
			"1 % lost there and 30 % back", simnet.Params{Queue: bdp, Loss: 0.01},
			simnet.Params{Delay: rtt / 2, Loss: 0.3}, 0.90, 0.015,
		},
	} {
		// One fate of the packets is luck, their mean is not.
		seeds := 6
		if test.p.Jitter > 0 && !testing.Short() {
			seeds = 24
		}
		var steady, again float64
		var worst time.Duration
		test.p.Rate, test.p.Delay = rate, rtt/2
		for seed := range uint64(seeds) {
			p := newPath(t, seed, test.p)
			c := p.transfer(0, 100e6, NewBBR(), test.back)
			p.run(60 * time.Second)
			t.Logf("%-30s share %.3f, steady %.3f, sent again %.4f, round trip up to %v",
				test.name, c.share(0), c.steady(), c.overhead(), c.slowest(time.Second))
			steady += c.steady() / float64(seeds)
			again += c.overhead() / float64(seeds)
			worst += c.slowest(time.Second) / time.Duration(seeds)
		}
		if !(steady >= test.share) || again > test.again {
			t.Errorf("%s: share %.3f, %.4f sent again", test.name, steady, again)
		}
		if limit := rtt + 2*test.p.Jitter; worst > limit*3/2 {
			t.Errorf("%s: round trip up to %v", test.name, worst)
		}
	}
}

// A queue of 5 ms is shorter than what a receiver keeps to itself at the rate, and no
// probe can see it: little is lost to them all the same.
func TestBBRUsesAShortQueue(t *testing.T) {
	long(t)
	for grain, most := range map[Instant]float64{0: 0.005, batches: 0.006, Instant(ms): 0.006} {
		p := newPath(t, 1, simnet.Params{Rate: 100e6, Delay: 10 * ms, Queue: 62_500})
		p.grain = grain
		c := p.transfer(0, 100e6, NewBBR(), simnet.Params{Delay: 10 * ms})
		p.run(60 * time.Second)
		t.Logf("taken every %v: steady %.3f, sent again %.4f", time.Duration(grain), c.steady(), c.overhead())
		if !(c.steady() >= 0.97) || c.overhead() > most {
			t.Errorf("taken every %v: uses %.3f, %.4f sent again", time.Duration(grain), c.steady(), c.overhead())
		}
	}
}

// A train of packets is longer than a queue of an eighth BDP, and loses its end there.
func TestBBRStartsOverAShallowQueue(t *testing.T) {
	long(t)
	for _, link := range []struct {
		rate float64
		rtt  time.Duration
		size int64
	}{{100e6, 40 * ms, 64e6}, {200e6, 80 * ms, 100e6}, {500e6, 20 * ms, 200e6}} {
		for _, grain := range []Instant{batches, Instant(ms)} {
			delay := link.rtt / 2
			p := newPath(t, 1, simnet.Params{Rate: link.rate, Delay: delay, Queue: int(link.rate * link.rtt.Seconds() / 8 / 8)})
			p.grain = grain
			c := p.transfer(0, link.size, NewBBR(), simnet.Params{Delay: delay})
			p.run(60 * time.Second)
			name := fmt.Sprintf("%v Mbit/s, %v, taken every %v", link.rate/1e6, link.rtt, time.Duration(grain))
			t.Logf("%s: share %.3f, sent again %.4f", name, c.share(0), c.overhead())
			if !(c.share(0) >= 0.85) {
				t.Errorf("%s: uses %.3f", name, c.share(0))
			}
		}
	}
}

// Jitter as long as the round trip itself, each way, is no queue, and the rate of a
// round trip is not the path's.
func TestBBRUsesAJitteryPath(t *testing.T) {
	long(t)
	p := simnet.Params{Rate: 100e6, Delay: 10 * ms, Jitter: 20 * ms, Queue: 250e3}
	if _, steady := meanShares(t, p, 0, 60e6, 12); !(steady >= 0.93) {
		t.Errorf("uses %.3f", steady)
	}
}

// Where a train was drawn out by jitter Startup is not held back by what it seems
// to tell.
func TestBBRStartsOnAJitteryPath(t *testing.T) {
	long(t)
	p := simnet.Params{Rate: 500e6, Delay: 50 * ms, Jitter: 20 * ms, Queue: 3100e3}
	if share, _ := meanShares(t, p, batches, 400e6, 6); !(share >= 0.84) {
		t.Errorf("uses %.3f", share)
	}
}

// meanShares is what transfers of so many bytes use of a path with jitter each way,
// as the mean over so many seeds.
func meanShares(t *testing.T, p simnet.Params, grain Instant, size int64, seeds int) (share, steady float64) {
	for seed := range uint64(seeds) {
		path := newPath(t, seed, p)
		path.grain = grain
		c := path.transfer(0, size, NewBBR(), simnet.Params{Delay: p.Delay, Jitter: p.Jitter})
		path.run(60 * time.Second)
		t.Logf("share %.3f, steady %.3f, sent again %.4f", c.share(0), c.steady(), c.overhead())
		share += c.share(0) / float64(seeds)
		steady += c.steady() / float64(seeds)
	}
	return share, steady
}

// slowest is the longest smoothed round trip of a transfer after its first
// time.
func (c *carrier) slowest(after time.Duration) time.Duration {
	worst := time.Duration(0)
	for _, s := range c.samples {
		if s.at >= c.start.Add(after) && s.at < c.doneAt {
			worst = max(worst, s.rtt)
		}
	}
	return worst
}

// An outage costs BBR nothing of its model: afterwards it goes on at the rate
// from before.
func TestBBRAfterAnOutage(t *testing.T) {
	const (
		rate = 100e6
		rtt  = 100 * ms
	)
	for _, where := range []string{"both ways", "data", "ACKs"} {
		out := []simnet.Outage{{At: 3 * time.Second, For: 2 * time.Second}}
		there := simnet.Params{Rate: rate, Delay: rtt / 2, Queue: 1_250_000}
		back := simnet.Params{Delay: rtt / 2}
		if where != "ACKs" {
			there.Outages = out
		}
		if where != "data" {
			back.Outages = out
		}
		p := newPath(t, 1, there)
		c := p.transfer(0, 80e6, NewBBR(), back)
		p.every = 5 * ms
		before, first := int64(0), never
		p.onSample = func() {
			switch end := Instant(5 * time.Second); {
			case p.now < end:
				before = c.got
			case c.got > before && first == never:
				first = p.now
			}
		}
		p.run(20 * time.Second)
		took, after := first.Sub(Instant(5*time.Second)), c.between(5600*ms, 7000*ms)/(rate*1456/1500)
		t.Logf("%s: goes on after %v, then uses %.3f", where, took, after)
		if took > rtt+250*ms || after < 0.9 {
			t.Errorf("%s: goes on after %v, then uses %.3f", where, took, after)
		}
	}
}

// A path of 10 Gbit/s and 100 ms is filled, with memory for 2.5 BDP.
func TestBBRFillsTenGigabits(t *testing.T) {
	if brief() {
		t.Skip("a million packets")
	}
	const rtt = 100 * ms
	p := newPath(t, 1, simnet.Params{Rate: 10e9, Delay: rtt / 2, Queue: 125_000_000})
	c := p.transfer(0, 1.5e9, NewBBR(), simnet.Params{Delay: rtt / 2})
	p.run(20 * time.Second)
	const bdp = 10e9 / 8 / 1500 / 10 // packets
	full := c.between(1200*ms, c.doneAt.Sub(0)-2*rtt) / (p.rate * 1456 / 1500)
	t.Logf("uses %.3f once started, done at %v, holds %.2f BDP", full, time.Duration(c.doneAt), float64(c.held)/bdp)
	if !(full >= 0.97) || float64(c.held) > 2.5*bdp {
		t.Errorf("uses %.3f, holds %.2f BDP", full, float64(c.held)/bdp)
	}
}

// Who greets first, as transfers do, has lost nothing but the round trip. Nor
// does it matter much that the receiver gets the processor only now and then.
func TestBBRUsesTheLinkAfterAGreeting(t *testing.T) {
	const rtt = 100 * ms
	for _, grain := range []time.Duration{0, 100 * time.Microsecond, ms, 3 * ms} {
		p := newPath(t, 1, simnet.Params{Rate: 500e6, Delay: rtt / 2, Queue: 3_100_000})
		p.grain = Instant(grain)
		c := p.transfer(0, 100e6, NewBBR(), simnet.Params{Delay: rtt / 2})
		c.greeting = 100
		p.run(20 * time.Second)
		const least = 1650 * ms // for the link
		t.Logf("looking every %v: took %v, %v of it for the link", grain, time.Duration(c.doneAt), least)
		if took := time.Duration(c.doneAt); took > least+9*rtt {
			t.Errorf("looking every %v: took %v, %v of it for the link", grain, took, least)
		}
	}
}

// A megabyte over 100 Mbit/s and 200 ms takes 5 round trips, two of them for
// the handshake: the packet pairs tell what the second flight may be.
func TestBBRIsQuickWithLittle(t *testing.T) {
	const rtt = 200 * ms
	p := newPath(t, 1, simnet.Params{Rate: 100e6, Delay: rtt / 2, Queue: 2_500_000})
	c := p.transfer(0, 1e6, NewBBR(), simnet.Params{Delay: rtt / 2})
	p.run(20 * time.Second)
	if took := time.Duration(c.doneAt); took > 5*rtt {
		t.Errorf("took %v", took)
	}
}

// A short path through schedulers that hold packets up for longer than a round
// trip, again and again, is used in spite of that.
func TestBBRUsesAPathThatStalls(t *testing.T) {
	long(t)
	const rate = 1e9
	var share float64
	const seeds = 5
	for seed := range uint64(seeds) {
		p := newPath(t, seed+1, simnet.Params{Rate: rate, Delay: 100 * time.Microsecond, Queue: 4_000_000, Jitter: 5 * ms})
		c := p.transfer(0, 200e6, NewBBR(), simnet.Params{Delay: 100 * time.Microsecond, Jitter: 5 * ms})
		c.greeting = 100
		p.run(60 * time.Second)
		t.Logf("share %.3f, %.4f sent again", c.share(0), c.overhead())
		share += c.share(0) / seeds
	}
	if !(share > 0.5) {
		t.Errorf("share %.3f", share)
	}
}

// On a path as short as a local network's ACKs come at their own clock, a
// hundred round trips apart.
func TestBBRUsesAShortPath(t *testing.T) {
	long(t)
	for _, rate := range []float64{100e6, 2e9} {
		const rtt = 200 * time.Microsecond
		p := newPath(t, 1, simnet.Params{Rate: rate, Delay: rtt / 2, Queue: 1_000_000})
		c := p.transfer(0, int64(rate/8), NewBBR(), simnet.Params{Delay: rtt / 2})
		p.run(5 * time.Second)
		if share := c.share(0); !(share > 0.95) || c.overhead() > 0.003 {
			t.Errorf("%v Mbit/s: share %.3f, %.4f sent again", rate/1e6, share, c.overhead())
		}
		p = newPath(t, 1, simnet.Params{
			Rate: rate, Delay: rtt / 2, Queue: 1_000_000, Steps: []simnet.Step{{At: 100 * ms, Rate: 4 * rate}},
		})
		p.every = ms
		c = p.transfer(0, int64(rate/8*4), NewBBR(), simnet.Params{Delay: rtt / 2})
		p.run(5 * time.Second)
		if after := c.between(900*ms, c.doneAt.Sub(0)-20*ms) / (4 * rate * 1456 / 1500); !(after > 0.95) {
			t.Errorf("%v Mbit/s: uses %.3f of four times that", rate/1e6, after)
		}
	}
}
