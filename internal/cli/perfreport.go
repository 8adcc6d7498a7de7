package cli

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// perfSummary is what the event "end" of perf has beside the fields it shares with transfers.
type perfSummary struct {
	Direction     string  `json:"direction"` // "send" or "receive": what this end did
	Streams       int     `json:"streams"`
	SentBytes     int64   `json:"sent_bytes"`
	ReceivedBytes int64   `json:"received_bytes"`
	CPU           float64 `json:"cpu_s"`              // this process, during the test
	PeerCPU       float64 `json:"peer_cpu_s"`         // the other end's
	LostPackets   int64   `json:"lost_packets"`       // found missing by the receiver, each at first sight
	Emulated      string  `json:"emulated,omitempty"` // the simulated path: cpu_s is then both ends'
}

// runPerfTest runs a test under its table and gives what it amounted to. peer is set where several tests are served side
// by side.
func runPerfTest(ctx context.Context, a *app, o *commonOptions, t *perfTest, peer string) (outcome, error) {
	began, cpu := time.Now(), cpuTime()
	for _, s := range t.streams {
		a.connected(s.l)
	}
	wctx, stopWatch := watchProgress(ctx, o.timeout, t.moved, func() bool { return true }, t.silence)
	table := &perfTable{a: a, t: t, peer: peer, start: began, last: make([]tally, len(t.streams))}
	stopTable := table.run(o)
	err := t.run(wctx)
	stopTable()
	stopWatch()
	elapsed := time.Since(began)
	st := t.stats(false)
	first := t.streams[0]
	sum := &perfSummary{Direction: "receive", Streams: len(t.streams), Emulated: t.emulated, CPU: (cpuTime() - cpu).Seconds()}
	if first.sends {
		sum.Direction = "send"
	}
	out := outcome{peer: peer, elapsed: elapsed, stats: &st, perf: sum}
	a.closeBuffers(first.l, &st)
	if err != nil {
		for _, s := range t.streams {
			sum.SentBytes += s.sent.Load()
			out.bytes += s.received().bytes
		}
		sum.ReceivedBytes = out.bytes
		return out, err
	}
	out.elapsed = 0
	var peerCPU time.Duration
	for _, s := range t.streams {
		sum.SentBytes += s.sender.bytes
		sum.LostPackets += s.receiver.lost
		out.bytes += s.receiver.bytes
		out.elapsed = max(out.elapsed, s.receiver.elapsed)
		if s.sends {
			peerCPU = max(peerCPU, s.receiver.cpu)
		} else {
			peerCPU = max(peerCPU, s.sender.cpu)
		}
	}
	sum.ReceivedBytes, sum.PeerCPU = out.bytes, peerCPU.Seconds()
	table.finish(out)
	return out, nil
}

// received is what the receiver of the stream has got so far: its own count, or its last report.
func (s *perfStream) received() tally {
	if s.sends {
		if r := s.report.Load(); r != nil {
			return *r
		}
		return tally{}
	}
	return tally{bytes: s.got.Load(), elapsed: time.Since(s.start)}
}

// silence is how long nothing has come on any stream.
func (t *perfTest) silence() time.Duration {
	least := t.streams[0].l.Silence()
	for _, s := range t.streams[1:] {
		least = min(least, s.l.Silence())
	}
	return least
}

// stats are those of all streams together.
func (t *perfTest) stats(clear bool) stats {
	all := make([]stats, len(t.streams))
	seen := make(map[string]bool, len(t.streams))
	for i, s := range t.streams {
		all[i] = s.l.Stats(clear)
		if at := s.l.LocalAddr().String(); seen[at] {
			all[i].PktSockDrop, all[i].PktSockDropTotal = 0, 0 // the same socket's
		} else {
			seen[at] = true
		}
	}
	return mergeStats(all)
}

// perfTable prints a line for each interval.
type perfTable struct {
	a      *app
	t      *perfTest
	peer   string
	start  time.Time
	shown  time.Duration // end of the last interval
	last   []tally       // of each stream, at that time
	header bool
}

// run prints until stop is called.
func (p *perfTable) run(o *commonOptions) (stop func()) {
	lines := !o.quiet && !o.noProgress || o.progress
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(o.interval)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				p.interval(lines)
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}

func (p *perfTable) interval(lines bool) {
	now := time.Since(p.start)
	var bytes, total int64
	var goodput float64
	for i, s := range p.t.streams {
		r := s.received()
		bytes += r.bytes - p.last[i].bytes
		total += r.bytes
		// By the receiver's own clock: a report that came late must not look like a pause and a burst.
		goodput += rate(r.bytes-p.last[i].bytes, r.elapsed-p.last[i].elapsed)
		p.last[i] = r
	}
	st := p.t.stats(true)
	p.a.checkBuffers(p.t.streams[0].l, &st)
	ev := progressEvent{Bytes: total, GoodputBPS: goodput, Stats: &st, Peer: p.peer}
	if n := p.t.total(); n > 0 {
		ev.Total = &n
	}
	p.a.events.emit("progress", ev)
	if lines {
		p.head()
		p.a.out.table("%s%14s  %10s  %14s  %10s  %6d  %6d", p.who(), span(p.shown, now), formatSize(bytes), formatRate(goodput),
			formatSeconds(statRTT(&st)), st.PktRetrans, statLoss(&st, p.t.streams[0].sends))
	}
	p.shown = now
}

// total is how much the test is to move, 0 where time decides.
func (t *perfTest) total() int64 {
	n := int64(0)
	for _, s := range t.streams {
		n += s.hello.bytes
	}
	return n
}

func (p *perfTable) head() {
	if !p.header {
		p.header = true
		p.a.out.table("%s%14s  %10s  %14s  %10s  %6s  %6s", p.who(), "interval", "received", "goodput", "rtt", "retr", "loss")
	}
}

func (p *perfTable) who() string {
	if p.peer == "" {
		return ""
	}
	return p.peer + "  "
}

// finish prints the sum of a test that went well.
func (p *perfTable) finish(o outcome) {
	if p.a.out.verbosity < 0 {
		return
	}
	p.head()
	sends := p.t.streams[0].sends
	p.a.out.table("%s%14s  %10s  %14s  %10s  %6d  %6d  total", p.who(), span(0, o.elapsed), formatSize(o.bytes),
		formatRate(rate(o.bytes, o.elapsed)), formatSeconds(statRTT(o.stats)), o.stats.PktRetransTotal, statLossTotal(o.stats, sends))
	if p.t.emulated != "" {
		p.a.out.table("cpu: both ends and the simulated link %.2f s, for %.2f s", o.perf.CPU, o.elapsed.Seconds())
		return
	}
	mine, theirs := "sender", "receiver"
	if !sends {
		mine, theirs = theirs, mine
	}
	p.a.out.table("%scpu: %s (this end) %.2f s, %s %.2f s, for %.2f s", p.who(), mine, o.perf.CPU, theirs, o.perf.PeerCPU, o.elapsed.Seconds())
}

func span(from, to time.Duration) string {
	return fmt.Sprintf("%.2f-%.2f s", from.Seconds(), to.Seconds())
}
