package proto

import (
	"sort"
	"time"
)

// reordering learns how late packets come that nobody had to send again, so
// that gaps they leave are not reported before. It starts at no delay, and
// forgets: RFC 8985 (RACK), section 6.2, does the like at a sender.
//
// A packet that fills a gap came by itself if its timestamp isn't later than
// that of the packet that showed the gap: senders stamp each transmission,
// libudt's too, and a copy is sent at least a round trip later.
type reordering struct {
	shown        fifo[shownGap] // gaps not yet filled from below, in sequence order
	late, before time.Duration  // most seen in this period and in the last one
	since        Instant        // start of this period
	newest       uint32         // latest timestamp that arrived
}

// A shownGap is the packet that showed a gap below it.
type shownGap struct {
	by    packetIndex
	stamp uint32
	at    Instant // of its arrival
}

// reorderMemory is how many round trips, and how long at least, a period lasts.
const (
	reorderMemory    = 16
	minReorderMemory = time.Second
)

// gap notes that packet i arrived and left a gap below it.
func (r *reordering) gap(now Instant, i packetIndex, stamp uint32, rtt time.Duration) {
	if period := max(minReorderMemory, reorderMemory*rtt); now.Sub(r.since) >= period {
		if now.Sub(r.since) >= 2*period {
			r.late = 0
		}
		r.before, r.late, r.since = r.late, 0, now
	}
	r.shown.push(shownGap{by: i, stamp: stamp, at: now})
}

// filled notes that packet i arrived, below the highest, and says whether it
// came by itself. What is later than limit counts as sent again: it can't be
// waited for, and a peer may stamp nothing.
func (r *reordering) filled(now Instant, i packetIndex, stamp uint32, limit time.Duration) bool {
	gaps := r.shown.all()
	n := sort.Search(len(gaps), func(k int) bool { return gaps[k].by > i })
	if n == len(gaps) {
		return false
	}
	late := now.Sub(gaps[n].at)
	if stamp == 0 || int32(stamp-gaps[n].stamp) > 0 || late > limit {
		return false
	}
	r.late = max(r.late, late)
	return true
}

// twice notes a packet that was there already. On a path shorter than its
// packets are late, copies overtake what they were made for; all there is then
// to tell the lateness from is what was sent in the meantime.
func (r *reordering) twice(stamp uint32, limit time.Duration) {
	late := time.Duration(int32(r.newest-stamp)) * time.Microsecond
	if stamp != 0 && late > 0 && late <= limit {
		r.late = max(r.late, late)
	}
}

// arrived notes the timestamp of any packet.
func (r *reordering) arrived(stamp uint32) {
	if int32(stamp-r.newest) > 0 || r.newest == 0 {
		r.newest = stamp
	}
}

// passed forgets the gaps below next.
func (r *reordering) passed(next packetIndex) {
	for !r.shown.empty() && r.shown.front().by <= next {
		r.shown.pop()
	}
}

// delay is how long a gap may last before it is reported: a quarter more than
// any was seen to last of late, at most limit.
func (r *reordering) delay(limit time.Duration) time.Duration {
	return min(max(r.late, r.before)*5/4, limit)
}

// trim gives the memory back that isn't needed while nothing is missing.
func (r *reordering) trim() {
	if r.shown.empty() {
		r.shown = fifo[shownGap]{}
	}
}
