package proto

// A light ACK waits for lightACKPackets, as in libudt, or for lightACKBytes if
// fewer packets carry as much: with jumbo packets over a short path the sender
// would otherwise wait for the full ACK, once every 10 ms.
const (
	lightACKPackets = 64
	lightACKBytes   = 96 << 10
)

// lightACKEvery is how many packets of the given payload a light ACK waits for.
func lightACKEvery(payload int) int {
	return min(lightACKPackets, (lightACKBytes+payload-1)/payload)
}

// shortACKGap is the least time between full ACKs hurried by a short packet.
const shortACKGap = syn / 10

type pendingACK uint8

const (
	ackNone pendingACK = iota
	ackLight
	ackFull
)

// ackHistorySize bounds how many full ACKs can await their ACK2.
const ackHistorySize = 256

// ackSender is the receiver's side of acknowledgement: what was acknowledged,
// when, and what the sender is known to have heard.
type ackSender struct {
	pending pendingACK
	number  uint32 // of the last full ACK

	full      packetIndex // position of the last full ACK
	fullAt    Instant     // when it was sent; valid if sent
	sent      bool
	ratesAt   Instant     // last six-word ACK
	confirmed packetIndex // highest confirmed by an ACK2
	settled   packetIndex // last reported to an extended peer
	window    int         // last advertised, packets
	since     int         // packets stored since any ACK
	missed    bool        // the sender repeats what the last full ACK covered

	history [ackHistorySize]struct {
		number uint32
		at     packetIndex
		when   Instant
		used   bool
	}
}

func (a *ackSender) init() { a.number = 0 }

// record remembers a full ACK sent at now.
func (a *ackSender) record(now Instant, at packetIndex) {
	h := &a.history[a.number%ackHistorySize]
	h.number, h.at, h.when, h.used = a.number, at, now, true
	a.full, a.fullAt, a.sent = at, now, true
	a.since, a.missed = 0, false
}

// edge is where the window ends that was advertised last.
func (a *ackSender) edge() packetIndex { return a.full + packetIndex(a.window) }

// confirm looks up the ACK that an ACK2 answers; each is answered once.
func (a *ackSender) confirm(number uint32) (when Instant, ok bool) {
	h := &a.history[number%ackHistorySize]
	if !h.used || h.number != number {
		return 0, false
	}
	h.used = false
	a.confirmed = max(a.confirmed, h.at)
	return h.when, true
}

// An ack2Queue holds the numbers of the peer's full ACKs that are still to be
// answered, the latest few.
type ack2Queue struct {
	numbers [8]uint32
	n       int
}

func (q *ack2Queue) push(number uint32) {
	if q.n == len(q.numbers) {
		q.pop()
	}
	q.numbers[q.n] = number
	q.n++
}

func (q *ack2Queue) pop() uint32 {
	number := q.numbers[0]
	copy(q.numbers[:], q.numbers[1:q.n])
	q.n--
	return number
}
