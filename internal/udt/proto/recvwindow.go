package proto

import "time"

// A recvWindow keeps data from standing in the receive buffer. Where the reader
// is slower than the path, a sender fills any window, and the backlog gains
// nothing: it takes memory, and is cold when it is read. As in CoDel (RFC 8289)
// what counts is the least there was over an interval: what a reader that reads
// all the time has not once got below, and does not get closer to, is too much.
// The limit cuts the window by a part of that, and is taken back as soon as the
// reader gets to the bottom.
//
// A backlog that comes and goes is what a buffer is for, and one that shrinks
// will be gone. So a transfer that the path limits never meets a limit, nor does
// a reader that stalls now and then but is faster on the whole.
type recvWindow struct {
	limit  int // most packets unread and allowed under way; 0: what the buffer takes
	floor  int // packets that are never too much
	target int // packets that suffice at the reader's speed

	since      Instant     // the interval's beginning
	read, next packetIndex // of the buffer, then
	least      int         // packets unread
	most       int
	before     int // the least of the interval before
	need       int // the target of that interval alone

	grownAt Instant
	idleAt  Instant     // last look whether the reader reads at all
	idle    packetIndex // where it stood then
}

const (
	// An interval is four round trips, so that what the sender does in answer
	// is seen, and long enough for the reader to have had the processor a few
	// times.
	recvSpan       = 25 * time.Millisecond
	recvSpanRounds = 4
	// It goes on until the reader has read half of the backlog, which shows
	// where the backlog is going, but not for ever.
	maxRecvSpan = 500 * time.Millisecond

	// The target is what is read in two round trips, in which the sender can
	// be told of room and fill it, and recvSlack for schedulers.
	recvSlack    = 5 * time.Millisecond
	recvMinBytes = 1 << 20
)

func (w *recvWindow) init(now Instant, payload int) {
	*w = recvWindow{floor: recvMinBytes / payload, since: now}
}

// taken notes that the reader has left so many packets.
func (w *recvWindow) taken(unread int) { w.least = min(w.least, unread) }

// update is called with every full ACK. Of the buffer b so many packets can be
// read; the sender was allowed all before edge.
func (w *recvWindow) update(now Instant, rtt time.Duration, b *recvBuffer, unread int, edge packetIndex) {
	w.taken(unread)
	w.most = max(w.most, unread)
	if w.limit > 0 && unread < w.target/4 && now.Sub(w.grownAt) >= rtt {
		w.grownAt = now
		w.grow(b)
	}
	span, taken := now.Sub(w.since), int(b.read-w.read)
	if taken > 0 && span >= max(recvSpan, recvSpanRounds*rtt) && (taken >= w.least/2 || span >= maxRecvSpan) {
		w.judge(span, rtt, b, edge)
		w.since, w.read, w.next = now, b.read, b.next
		w.least, w.most = unread, unread
	}
	if w.limit > 0 {
		// No ACK says less than two packets: they may come, and get a slow
		// sender going, but not for ever.
		b.bound = max(b.bound, b.next+packetIndex(w.limit+w.target-unread))
	}
}

// judge cuts the limit if at the end of an interval something stood in it.
func (w *recvWindow) judge(span, rtt time.Duration, b *recvBuffer, edge packetIndex) {
	in := func(d time.Duration, packets packetIndex) int {
		return int(min(float64(b.flight), float64(packets)*float64(d)/float64(span)))
	}
	need := max(w.floor, in(2*rtt+recvSlack, b.read-w.read))
	w.target = max(need, w.need)
	w.need = need
	standing := w.before
	if w.before = w.least; standing > w.least || standing <= w.target {
		return
	}
	used := w.most + in(rtt+syn, b.next-w.next) // in the buffer, and on the way
	if w.limit > 0 {
		used = min(used, w.limit)
	}
	cut := (standing - w.target) / 2
	limit := max(w.target, used-cut)
	if limit >= b.flight {
		return
	}
	if w.limit == 0 {
		b.bound = edge
	}
	w.limit = limit
}

// grow doubles the limit.
func (w *recvWindow) grow(b *recvBuffer) {
	if w.limit *= 2; w.limit >= b.flight {
		w.lift(b)
	}
}

func (w *recvWindow) lift(b *recvBuffer) { w.limit, b.bound = 0, 0 }

// step is how many packets more the sender is told of at once. The backlog may
// fall by no more than that, which is still no sign of a reader at the bottom.
func (w *recvWindow) step() int { return min(w.limit, w.target) / 4 }

// wait doubles the limit if the reader has read nothing for a second: it is not
// slow but waits, perhaps for more than the limit lets in. It says whether it did.
func (w *recvWindow) wait(now Instant, b *recvBuffer) bool {
	if now.Sub(w.idleAt) < time.Second {
		return false
	}
	stands := w.limit > 0 && b.read == w.idle
	w.idleAt, w.idle = now, b.read
	if stands {
		w.grow(b)
	}
	return stands
}
