package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// sample is how far a transfer has come.
type sample struct {
	bytes, total      int64 // payload; total -1: not known
	files, totalFiles int64 // totalFiles -1: not known
	name              string
	rtt               time.Duration
}

// barEvery is how often a bar is drawn; lines and events come at --interval.
const barEvery = 200 * time.Millisecond

// reporter shows how a transfer goes, as a bar or as lines, and as events.
type reporter struct {
	a      *app
	l      link
	peer   string // set where several peers are served side by side
	lines  bool
	sample func() sample

	start     time.Time
	last      time.Time
	lastBytes int64
}

// payload says which standard streams carry payload.
type payload struct{ in, out bool }

// report shows progress of l until stop is called. read must be safe to call at any time until then.
func (a *app) report(l link, peer string, carries payload, read func() sample) (stop func()) {
	o := a.opts
	now := time.Now()
	r := &reporter{a: a, l: l, peer: peer, sample: read, start: now, last: now}
	// Not unasked where it would be mixed on one screen with payload, typing or events.
	mixed := carries.in && a.env.StdinTerminal || carries.out && a.env.StdoutTerminal ||
		o.json && (carries.out || a.env.StdoutTerminal)
	show := o.progress || a.env.StderrTerminal && !o.quiet && !o.noProgress && !mixed
	drawBar := show && a.env.StderrTerminal && !a.env.dumb() && peer == ""
	r.lines = show && !drawBar
	if !show && a.events == nil && a.out.verbosity < 0 {
		return func() {}
	}
	if drawBar {
		a.out.setBar(newBar(a.env.Stderr, a.env.Width))
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { r.run(done, o.interval, drawBar) })
	return func() {
		close(done)
		wg.Wait()
		if drawBar {
			a.out.setBar(nil)
		}
	}
}

func (r *reporter) run(done <-chan struct{}, interval time.Duration, drawBar bool) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var frames <-chan time.Time
	if drawBar {
		t := time.NewTicker(min(barEvery, interval))
		defer t.Stop()
		frames = t.C
	}
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			r.interval()
		case <-frames:
			s := r.sample()
			st := r.l.Stats(false)
			s.rtt = statRTT(&st)
			r.a.out.draw(s)
		}
	}
}

// interval reports the time since the last report.
func (r *reporter) interval() {
	now := time.Now()
	s := r.sample()
	st := r.l.Stats(true)
	r.a.checkBuffers(r.l, &st)
	s.rtt = statRTT(&st)
	goodput := rate(s.bytes-r.lastBytes, now.Sub(r.last))
	r.last, r.lastBytes = now, s.bytes
	ev := progressEvent{Bytes: s.bytes, GoodputBPS: goodput, Stats: &st, Peer: r.peer}
	if s.total >= 0 {
		ev.Total = &s.total
	}
	r.a.events.emit("progress", ev)
	if r.lines {
		who := ""
		if r.peer != "" {
			who = r.peer + ": "
		}
		r.a.out.progress("%s%s", who, progressLine(s, goodput, now.Sub(r.start)))
	}
}

// progressLine is a sample in words.
func progressLine(s sample, goodput float64, elapsed time.Duration) string {
	var b strings.Builder
	b.WriteString(formatSize(s.bytes))
	if s.total > 0 {
		fmt.Fprintf(&b, " of %s (%d %%)", formatSize(s.total), s.bytes*100/s.total)
	}
	fmt.Fprintf(&b, ", %s, rtt %s", formatRate(goodput), formatSeconds(s.rtt))
	if s.total > s.bytes && s.bytes > 0 {
		left := time.Duration(float64(elapsed) * float64(s.total-s.bytes) / float64(s.bytes))
		fmt.Fprintf(&b, ", eta %s", formatSeconds(left))
	}
	if s.totalFiles > 1 {
		fmt.Fprintf(&b, ", file %d of %d", min(s.files+1, s.totalFiles), s.totalFiles)
	}
	if s.name != "" {
		b.WriteString(", ")
		b.WriteString(quote(shorten(s.name, 60)))
	}
	return b.String()
}
