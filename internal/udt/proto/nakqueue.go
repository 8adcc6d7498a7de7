package proto

import "time"

// A nakQueue remembers which gaps are to be reported, and when again. It does
// not track which packets of a gap have arrived since: the receive buffer
// knows, and is asked when a report is due. So a packet that fills a gap costs
// nothing here, whatever the number of gaps.
type nakQueue struct {
	fresh   gapFIFO // not reported yet
	waiting gapFIFO // reported; in the order of that
}

type gap struct {
	first, end packetIndex
	reported   Instant // last; valid if waiting
}

func (q *nakQueue) discovered(first, end packetIndex) {
	q.fresh.push(gap{first: first, end: end})
}

// pending reports whether a gap is to be reported at now.
func (q *nakQueue) pending(now Instant, repeat time.Duration) bool {
	return !q.fresh.empty() || q.next(repeat) <= now
}

// next returns when the first repeat is due. The interval is that of now, not
// of the report: the round trip may have been unknown then.
func (q *nakQueue) next(repeat time.Duration) Instant {
	if q.waiting.empty() {
		return never
	}
	return q.waiting.front().reported.Add(repeat)
}

// take returns the next gap to report at now.
func (q *nakQueue) take(now Instant, repeat time.Duration) (gap, bool) {
	switch {
	case !q.fresh.empty():
		return q.fresh.pop(), true
	case q.next(repeat) <= now:
		return q.waiting.pop(), true
	}
	return gap{}, false
}

// A gapFIFO is a queue on a slice.
type gapFIFO struct {
	q    []gap
	head int
}

func (f *gapFIFO) empty() bool { return f.head == len(f.q) }
func (f *gapFIFO) front() gap  { return f.q[f.head] }

func (f *gapFIFO) push(g gap) {
	if f.head > 64 && f.head > len(f.q)/2 {
		n := copy(f.q, f.q[f.head:])
		f.q, f.head = f.q[:n], 0
	}
	f.q = append(f.q, g)
}

func (f *gapFIFO) pop() gap {
	g := f.q[f.head]
	f.head++
	if f.head == len(f.q) {
		f.q, f.head = f.q[:0], 0
	}
	return g
}

// putBack returns a gap just taken.
func (f *gapFIFO) putBack(g gap) {
	if f.head > 0 {
		f.head--
		f.q[f.head] = g
		return
	}
	f.q = append(f.q, gap{})
	copy(f.q[1:], f.q)
	f.q[0] = g
}
