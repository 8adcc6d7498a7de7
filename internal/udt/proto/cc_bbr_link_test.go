package proto

import (
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// wideLink is a link of the table in docs/congestion.md: what is sent over it,
// and how much of it has to be used.
type wideLink struct {
	name string
	p    simnet.Params
	rtt  time.Duration
	loss float64 // share of packets
	size int64
	want float64 // share for bbr
}

var wideLinks = []wideLink{
	{"100M 20ms clean", simnet.Params{Rate: 100e6, Queue: 250e3}, 20 * ms, 0, 64e6, 0.90},
	{"500M 100ms clean", simnet.Params{Rate: 500e6, Queue: 3100e3}, 100 * ms, 0, 400e6, 0.90},
	{"500M 100ms 0.1%", simnet.Params{Rate: 500e6, Queue: 3100e3, Loss: 0.001}, 100 * ms, 0.001, 400e6, 0.90},
	{"200M 200ms 1%", simnet.Params{Rate: 200e6, Queue: 2500e3, Loss: 0.01}, 200 * ms, 0.01, 200e6, 0.82},
	{"50M 300ms 3%", simnet.Params{Rate: 50e6, Queue: 900e3, Loss: 0.03}, 300 * ms, 0.03, 64e6, 0.78},
	{"200M 80ms bursts", simnet.Params{Rate: 200e6, Queue: 1000e3, BurstStart: 0.0005, BurstMean: 20}, 80 * ms, 0.01, 200e6, 0.85},
	{"100M 60ms 2% reordered", simnet.Params{Rate: 100e6, Queue: 750e3, Reorder: 0.02, ReorderBy: 5 * ms}, 60 * ms, 0, 64e6, 0.90},
}

// over makes a path and one transfer over it.
func (l wideLink) over(t testing.TB, cc Controller) (*path, *carrier) {
	l.p.Delay = l.rtt / 2
	p := newPath(t, 1, l.p)
	return p, p.transfer(0, l.size, cc, simnet.Params{Delay: l.rtt / 2})
}

func TestWideLinks(t *testing.T) {
	for _, l := range wideLinks {
		for _, cc := range []Controller{NewBBR(), NewNative()} {
			start := time.Now()
			p, c := l.over(t, cc)
			p.run(60 * time.Second)
			t.Logf("%-24s %-6s share %.3f overhead %.4f done %v held %d retr %d cpu %v  %+v", l.name, cc.Name(), c.share(l.loss), c.overhead(),
				time.Duration(c.doneAt), c.held, c.from.count.Retransmitted, time.Since(start), p.link.Stats())
		}
	}
}
