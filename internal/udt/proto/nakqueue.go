package proto

import "time"

// A nakQueue remembers which gaps are to be reported, and when again. It does
// not track which packets of a gap have arrived since: the receive buffer
// knows, and is asked when a report is due. So a packet that fills a gap costs
// nothing here, whatever the number of gaps.
type nakQueue struct {
	fresh   fifo[gap] // not reported yet, as they were found
	waiting fifo[gap] // reported; in the order of that
	last    Instant   // latest report that was complete; valid if any
	any     bool
}

type gap struct {
	first, end packetIndex
	since      Instant // found, or last reported if known
	known      bool    // was reported before
}

// A nakClock says when gaps are reported. Its values are those of the moment,
// not of when a gap was found: the round trip may have been unknown then.
type nakClock struct {
	delay   time.Duration // from finding a gap to reporting it
	spacing time.Duration // least time between reports
	repeat  time.Duration // from one report of a gap to the next
}

func (q *nakQueue) discovered(now Instant, first, end packetIndex) {
	q.fresh.push(gap{first: first, end: end, since: now})
}

// next returns when the next report is due, never if none is.
func (q *nakQueue) next(k nakClock) Instant {
	at := never
	if !q.fresh.empty() {
		at = q.fresh.front().since.Add(k.delay)
	}
	if !q.waiting.empty() {
		at = min(at, q.waiting.front().since.Add(k.repeat))
	}
	if at != never && q.any {
		at = max(at, q.last.Add(k.spacing))
	}
	return at
}

// take returns the next gap to report at now.
func (q *nakQueue) take(now Instant, k nakClock) (gap, bool) {
	switch {
	case !q.fresh.empty() && q.fresh.front().since.Add(k.delay) <= now:
		return q.fresh.pop(), true
	case !q.waiting.empty() && q.waiting.front().since.Add(k.repeat) <= now:
		return q.waiting.pop(), true
	}
	return gap{}, false
}

// putBack returns the rest of a gap that the report had no room for; it is
// first in the next.
func (q *nakQueue) putBack(g gap) {
	g.since = 0
	q.fresh.putBack(g)
}

// reported notes that a report of all that was due has been made.
func (q *nakQueue) reported(now Instant) { q.last, q.any = now, true }
