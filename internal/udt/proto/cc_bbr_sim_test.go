package proto

import (
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// bdpPackets is the bandwidth-delay product in packets.
func bdpPackets(rate float64, rtt time.Duration) float64 { return rate / 8 / 1500 * rtt.Seconds() }

func TestBBRPaths(t *testing.T) {
	const rtt = 80 * ms
	const rate = 100e6
	bdp := int(rate / 8 * rtt.Seconds())
	quiet := simnet.Params{Delay: rtt / 2}
	for _, test := range []struct {
		name string
		p    simnet.Params
		back simnet.Params
	}{
		{"quarter", simnet.Params{Rate: rate, Queue: bdp / 4}, quiet},
		{"eighth", simnet.Params{Rate: rate, Queue: bdp / 8}, quiet},
		{"jitter", simnet.Params{Rate: rate, Queue: bdp, Jitter: 20 * ms}, simnet.Params{Delay: rtt / 2, Jitter: 20 * ms}},
		{"ackloss 10%", simnet.Params{Rate: rate, Queue: bdp}, simnet.Params{Delay: rtt / 2, Loss: 0.1}},
		{"ackloss 30% + loss 1%", simnet.Params{Rate: rate, Queue: bdp, Loss: 0.01}, simnet.Params{Delay: rtt / 2, Loss: 0.3}},
		{"deep", simnet.Params{Rate: rate, Queue: 4 * bdp}, quiet},
		{"deep 1%", simnet.Params{Rate: rate, Queue: 4 * bdp, Loss: 0.01}, quiet},
		{"quarter 1%", simnet.Params{Rate: rate, Queue: bdp / 4, Loss: 0.01}, quiet},
	} {
		test.p.Delay = rtt / 2
		p := newPath(t, 1, test.p)
		c := p.transfer(0, 120e6, NewBBR(), test.back)
		p.run(60 * time.Second)
		worst, sum, n := time.Duration(0), time.Duration(0), 0
		for _, s := range c.samples {
			if s.at > Instant(time.Second) && s.at < c.doneAt {
				worst = max(worst, s.rtt)
				sum += s.rtt
				n++
			}
		}
		t.Logf("%-24s share %.3f steady %.3f overhead %.4f done %v held %.2f BDP rtt mean %v worst %v %+v", test.name, c.share(0),
			c.between(time.Second, c.doneAt.Sub(0)-time.Second)/(rate*1456/1500),
			c.overhead(), time.Duration(c.doneAt), float64(c.held)/bdpPackets(rate, rtt), sum/time.Duration(n), worst, p.link.Stats())
	}
}

func TestBBRRates(t *testing.T) {
	const rtt = 100 * ms
	for _, factor := range []float64{0.5, 2} {
		const rate = 100e6
		p := newPath(t, 1, simnet.Params{Rate: rate, Delay: rtt / 2, Queue: 2 * rate / 8 / 10, Steps: []simnet.Step{{At: 5 * time.Second, Rate: rate * factor}}})
		b := NewBBR()
		c := p.transfer(0, 1e9, b, simnet.Params{Delay: rtt / 2})
		p.every = 50 * ms
		followed := never
		p.onSample = func() {
			m := &b.model
			if p.now > Instant(4900*ms) && p.now < Instant(7*time.Second) {
				t.Logf("%6.2f ph %d r%d bw %.0f lo %.0f hi %.0f last.bw %.0f rtt %v minrtt %v loss %.3f rate %.0f cwnd %.0f pipe %d", float64(p.now)/1e9, b.phase, b.rounds, m.maxBW(), m.bwLo, m.hi, m.last.bw, m.last.rtt, m.minRTT(), m.last.share(), b.rate, b.cwnd, c.from.delivery.pipe())
			}
			bw := m.bandwidth() * 12000
			if p.now > Instant(5*time.Second) && followed == never && (factor < 1 && bw < 1.1*rate*factor || factor > 1 && bw > 0.9*rate*factor) {
				followed = p.now
			}
		}
		p.run(10 * time.Second)
		t.Logf("factor %v followed after %v; retr %d", factor, (followed - Instant(5*time.Second)).Sub(0), c.from.count.Retransmitted)
	}
}

func TestBBRFair(t *testing.T) {
	const rate = 100e6
	for _, test := range []struct {
		name     string
		queue    float64
		late     time.Duration
		rtt1, r2 time.Duration
	}{
		{"same 1 BDP", 1, 0, 40 * ms, 40 * ms},
		{"late 1 BDP", 1, 5 * time.Second, 40 * ms, 40 * ms},
		{"late 4 BDP", 4, 5 * time.Second, 40 * ms, 40 * ms},
		{"late .5 BDP", 0.5, 5 * time.Second, 40 * ms, 40 * ms},
		{"20/100", 1, 0, 20 * ms, 100 * ms},
		{"100/20", 1, 5 * time.Second, 100 * ms, 20 * ms},
		{"20/100 4", 4, 0, 20 * ms, 100 * ms},
	} {
		least := min(test.rtt1, test.r2)
		p := newPath(t, 1, simnet.Params{Rate: rate, Delay: least / 2, Queue: int(test.queue * rate / 8 * 0.04)})
		a := p.transfer(0, 1e10, NewBBR(), simnet.Params{Delay: least / 2})
		a.far = (test.rtt1 - least) / 2
		b := p.transfer(test.late, 1e10, NewBBR(), simnet.Params{Delay: least / 2})
		b.far = (test.r2 - least) / 2
		p.run(test.late + 30*time.Second)
		f := rate * 1456 / 1500
		for at := test.late; at < test.late+30*time.Second; at += 5 * time.Second {
			t.Logf("   %v  %.2f %.2f rtt %v %v", at, a.between(at, at+5*time.Second)/f, b.between(at, at+5*time.Second)/f, a.sampleAt(at+5*time.Second).rtt, b.sampleAt(at+5*time.Second).rtt)
		}
		x, y := a.between(test.late, test.late+30*time.Second)/f, b.between(test.late, test.late+30*time.Second)/f
		t.Logf("%s: %.3f %.3f jain %.3f  retr %.4f %.4f", test.name, x, y, jain(x, y), a.overhead(), b.overhead())
	}
}

func TestBBRBig(t *testing.T) {
	rate := 10e9
	p := newPath(t, 1, simnet.Params{Rate: rate, Delay: 50 * ms, Queue: int(rate / 8 / 10)})
	c := p.transfer(0, 2e9, NewBBR(), simnet.Params{Delay: 50 * ms})
	start := time.Now()
	p.run(20 * time.Second)
	t.Logf("share %.3f done %v held %.2f BDP retr %d cpu %v", c.share(0), time.Duration(c.doneAt), float64(c.held)/bdpPackets(rate, 100*ms), c.from.count.Retransmitted, time.Since(start))
	p = newPath(t, 1, simnet.Params{Rate: 100e6, Delay: 100 * ms, Queue: 2.5e6})
	c = p.transfer(0, 1e6, NewBBR(), simnet.Params{Delay: 100 * ms})
	p.run(20 * time.Second)
	t.Logf("1 MB: %v", time.Duration(c.doneAt))
}

func TestBBRCubic(t *testing.T) {
	const rate = 100e6
	const rtt = 40 * ms
	for _, queue := range []float64{1, 4} {
		for _, order := range []string{"together", "cubic first", "cubic late", "alone"} {
			p := newPath(t, 1, simnet.Params{Rate: rate, Delay: rtt / 2, Queue: int(queue * rate / 8 * rtt.Seconds())})
			var at, bt time.Duration
			if order == "cubic first" {
				at = 5 * time.Second
			}
			if order == "cubic late" {
				bt = 5 * time.Second
			}
			size := int64(1e10)
			if order == "alone" {
				size = 1
			}
			a := p.transfer(at, size, NewBBR(), simnet.Params{Delay: rtt / 2})
			b := p.transfer(bt, 1e10, newCubicFlow(), simnet.Params{Delay: rtt / 2})
			p.run(35 * time.Second)
			f := rate * 1456 / 1500
			for k := 5 * time.Second; k < 35*time.Second; k += 5 * time.Second {
				t.Logf("   %v %.2f %.2f", k, a.between(k, k+5*time.Second)/f, b.between(k, k+5*time.Second)/f)
			}
			t.Logf("queue %v %s: bbr %.3f cubic %.3f  overhead %.4f %.4f", queue, order, a.between(5*time.Second, 35*time.Second)/f, b.between(5*time.Second, 35*time.Second)/f, a.overhead(), b.overhead())
		}
	}
}

func TestBBROutage(t *testing.T) {
	const rtt = 100 * ms
	for _, dir := range []string{"both", "data", "acks"} {
		out := []simnet.Outage{{At: 3 * time.Second, For: 2 * time.Second}}
		fwd := simnet.Params{Rate: 100e6, Delay: rtt / 2, Queue: 1250e3}
		back := simnet.Params{Delay: rtt / 2}
		if dir != "acks" {
			fwd.Outages = out
		}
		if dir != "data" {
			back.Outages = out
		}
		p := newPath(t, 1, fwd)
		c := p.transfer(0, 80e6, NewBBR(), back)
		p.every = 5 * ms
		var before int64
		first := Instant(0)
		p.onSample = func() {
			if p.now < Instant(5*time.Second) {
				before = c.got
			} else if c.got > before && first == 0 {
				first = p.now
			}
		}
		p.run(20 * time.Second)
		t.Logf("%s: goes on %v after; done %v; share without outage %.3f; 5.5..6.5 %.3f; retr %d", dir, first.Sub(Instant(5*time.Second)), time.Duration(c.doneAt), 80e6*8/(c.doneAt.Sub(0)-2*time.Second).Seconds()/(100e6*1456/1500), c.between(5500*ms, 6500*ms)/97e6, c.from.count.Retransmitted)
	}
}
