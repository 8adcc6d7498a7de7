//go:build linux

package main

import (
	"fmt"
	"strings"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// peerNames are all who take part, ours first.
func (r *runner) peerNames() []string { return append(append([]string(nil), r.ours...), r.others...) }

// isOurs tells udtcp's controllers from the peers to compare with.
func isOurs(peer string) bool { return peer == "bbr" || peer == "native" }

// title is how a column is headed.
func title(peer string) string {
	switch {
	case isOurs(peer):
		return "udtcp " + peer
	case peer == toOurs:
		return "to udtcp"
	}
	return strings.Replace(peer, "tcp-", "TCP ", 1)
}

// cell shows a run: goodput in Mbit/s and share, "<" where it did not finish.
func cell(res *result) string {
	switch {
	case res.Error != "":
		return "failed"
	case !res.Finished:
		return fmt.Sprintf("<%.3g", res.Goodput/1e6)
	}
	return fmt.Sprintf("%.3g %.2f", res.Goodput/1e6, res.Share)
}

// heading prints what a suite is about and the names of its columns.
func heading(s suite, names ...string) {
	fmt.Printf("\n%s: %s\n%-24s", s.name, s.about, "")
	for _, n := range names {
		fmt.Printf("%15s", n)
	}
	fmt.Println()
}

// runFiles moves one file over each link by each peer: Mbit/s and link share. For ours follow, controller by controller,
// the share without the first and last second, packets sent again in percent, and the mean of the smoothed round-trip
// time in ms.
func runFiles(r *runner, s suite) error { return r.files(s, r.peerNames()) }

// toOurs is libudt sending to udtcp.
const toOurs = "libudt-udtcp"

// runReceiver compares udtcp with libudt as the receiver for libudt.
func runReceiver(r *runner, s suite) error {
	if r.udtpeer == "" {
		say("%s: left out: no libudt", s.name)
		return nil
	}
	return r.files(s, []string{"libudt", toOurs})
}

// files moves a file over each link by each of the peers.
func (r *runner) files(s suite, peers []string) error {
	var names []string
	for _, p := range peers {
		names = append(names, title(p))
	}
	for _, p := range peers {
		if isOurs(p) {
			names = append(names, p+" steady", "retr %", "rtt ms")
		}
	}
	heading(s, names...)
	for _, l := range s.links {
		if !r.wanted(l.name) {
			continue
		}
		fmt.Printf("%-24s", l.name)
		var more []string
		for _, p := range peers {
			res, _, err := r.transferOver(s.name, l, p)
			if err != nil {
				return err
			}
			if err := r.keep(res); err != nil {
				return err
			}
			fmt.Printf("%15s", cell(res))
			if isOurs(p) {
				more = append(more, figure("%.3f", res.Steady), figure("%.2f", res.Retransmitted*100), figure("%.1f", res.RTT*1000))
			}
		}
		for _, m := range more {
			fmt.Printf("%15s", m)
		}
		fmt.Println()
	}
	return nil
}

// figure shows a number that was measured.
func figure(format string, v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

// measured runs peers over each link and shows what measure finds in each trace. A measure of -1 was never reached.
func (r *runner) measured(s suite, peers, names []string, measure func(t *trace, p simnet.Path) map[string]float64) error {
	heading(s, append([]string{"Mbit/s share"}, names...)...)
	for _, l := range s.links {
		if !r.wanted(l.name) {
			continue
		}
		path, err := simnet.ParsePath(l.path)
		if err != nil {
			return err
		}
		for _, peer := range peers {
			res, t, err := r.transferOver(s.name, l, peer)
			if err != nil {
				return err
			}
			if res.Error == "" {
				res.Measures = measure(t, path)
			}
			if err := r.keep(res); err != nil {
				return err
			}
			fmt.Printf("%-24s%15s", l.name+" "+peer, cell(res))
			for _, n := range names {
				v, ok := res.Measures[n]
				switch {
				case !ok:
					fmt.Printf("%15s", "-")
				case v < 0:
					fmt.Printf("%15s", "never")
				default:
					fmt.Printf("%15.3f", v)
				}
			}
			fmt.Println()
		}
	}
	return nil
}

// runShort tells how many round-trip times little work takes.
func runShort(r *runner, s suite) error {
	return r.measured(s, r.ours, []string{"seconds", "rtts"}, func(t *trace, p simnet.Path) map[string]float64 {
		rtt := (p.There.Delay + p.Back.Delay).Seconds()
		return map[string]float64{"seconds": t.seconds, "rtts": t.seconds / rtt}
	})
}

// runOutage measures what outage does.
func runOutage(r *runner, s suite) error {
	return r.measured(s, r.ours, []string{"resumed s", "beyond rtt s"}, outage)
}

// outage tells how long after an outage data arrives again, and what that is beyond a round-trip time.
func outage(t *trace, p simnet.Path) map[string]float64 {
	o := p.There.Outages[0]
	end := t.at(t.began) + (o.At + o.For).Seconds()
	arrived := t.arrived()
	idle := bytesAt(arrived, end)
	for _, v := range arrived {
		if v.At > end && float64(v.Bytes) > idle {
			rtt := (p.There.Delay + p.Back.Delay).Seconds()
			return map[string]float64{"resumed s": v.At - end, "beyond rtt s": max(0, v.At-end-rtt)}
		}
	}
	return map[string]float64{"resumed s": -1}
}

// runSteps measures what steps does, of everybody: the link tells it.
func runSteps(r *runner, s suite) error {
	return r.measured(s, r.peerNames(), []string{"down rtts", "up rtts"}, steps)
}

// settled is for how many round-trip times a sender must have followed a change to count as having done so: what
// waited in the queue when the rate rose does not look like following then.
const settled = 10

// steps tells how many round-trip times after the rate fell the queue is no longer than half of one, to stay, and how
// many after it rose nine tenths of the new rate arrive on average from then on. -1 is never.
func steps(t *trace, p simnet.Path) map[string]float64 {
	rtt := (p.There.Delay + p.Back.Delay).Seconds()
	down := t.at(t.began) + p.There.Steps[0].At.Seconds()
	up := t.at(t.began) + p.There.Steps[1].At.Seconds()
	return map[string]float64{
		"down rtts": since(t.link, down, up, settled*rtt, func(from, to float64) bool {
			return worstRTT(t.link, from, to) <= 1.5*rtt
		}) / rtt,
		"up rtts": since(t.link, up, t.seconds, settled*rtt, func(from, to float64) bool {
			return goodput(t.link, from, to) >= 0.9*p.There.Steps[1].Rate
		}) / rtt,
	}
}

// since is how long after a time something begins to hold for a span that ends before another, at the samples; less
// than 0 if it never does.
func since(s []sample, after, before, span float64, holds func(from, to float64) bool) float64 {
	for _, v := range s {
		if v.At >= after && v.At+span <= before && holds(v.At, v.At+span) {
			return v.At - after
		}
	}
	return -1
}
