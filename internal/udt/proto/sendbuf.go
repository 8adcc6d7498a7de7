package proto

import "math/bits"

// maxRunSlots and maxRunBytes bound one GSO send: the kernel takes up to 64
// segments and 65,507 bytes in a run.
const (
	maxRunSlots = 64
	maxRunBytes = 65507
)

// A sendChunk holds consecutive packets as they go on the wire, header and
// payload, slot after slot, so that a run of them is one piece of memory and
// one GSO send.
type sendChunk struct {
	buf   []byte // slots × stride
	lens  [maxRunSlots]uint16
	sent  [maxRunSlots]Instant // last transmission
	lost  uint64               // slots waiting for retransmission
	rexmt uint64               // slots retransmitted at least once
}

// A sendBuffer keeps what was written until it is acknowledged:
//
//	una ≤ next ≤ tail    (packet indices)
//	una..next  in flight, next..tail  written but not sent
//
// The tail packet may be partly filled; it grows until it is sent.
type sendBuffer struct {
	isn     Seq
	stride  int    // bytes of a full packet
	payload int    // payload bytes of a full packet
	slots   int    // per chunk
	dst     uint32 // the peer's socket ID

	ring            chunkRing[sendChunk]
	una, next, tail packetIndex
	room            int  // payload bytes still free in packet tail-1; 0 unless it is unsent
	filling         bool // a Fill is out: the packet it started in can't be sent

	lostCount int
	losing    chunkSet // chunks with lost packets

	spare chunkPool[sendChunk]
	limbo []*sendChunk // acknowledged, but maybe still read by a send under way

	limit   int // most packets held
	message uint32
	draft   draft
	mortals fifo[mortal] // in sequence order
	wanted  int          // packets that a message needs which had no room
}

func (b *sendBuffer) init(isn Seq, mss int, dst uint32, limit int) {
	b.isn, b.dst, b.limit = isn, dst, limit
	b.stride = mss - IPUDPHeaders
	b.payload = b.stride - HeaderSize
	b.slots = max(1, min(maxRunSlots, maxRunBytes/b.stride))
	b.message = 1
}

func (b *sendBuffer) chunkOf(i packetIndex) (n int64, slot int) {
	return int64(i) / int64(b.slots), int(int64(i) % int64(b.slots))
}

// chunk returns the chunk that holds packet i, and its slot there.
func (b *sendBuffer) chunk(i packetIndex) (*sendChunk, int) {
	n, s := b.chunkOf(i)
	return b.ring.get(n), s
}

func (b *sendBuffer) inFlight() int { return int(b.next - b.una) }
func (b *sendBuffer) held() int     { return int(b.tail - b.una) }

// onWay is how many packets in flight do not wait for retransmission.
func (b *sendBuffer) onWay() int { return b.inFlight() - b.lostCount }

// sendable is the end of what may be sent now.
func (b *sendBuffer) sendable() packetIndex {
	if b.filling && b.room > 0 {
		return b.tail - 1
	}
	return b.tail
}

// space is how many bytes can be written now.
func (b *sendBuffer) space() int {
	return (b.limit-b.held())*b.payload + b.room
}

// sizeLosing lets the set of chunks with losses grow with the ring.
func (b *sendBuffer) sizeLosing() {
	if b.losing.room == len(b.ring.table) {
		return
	}
	b.losing = makeChunkSet(len(b.ring.table))
	first, _ := b.chunkOf(b.una)
	for n := first; n < b.ring.end; n++ {
		if c := b.ring.get(n); c != nil && c.lost != 0 {
			b.losing.add(n)
		}
	}
}

func (b *sendBuffer) newChunk() *sendChunk {
	if c := b.spare.get(); c != nil {
		c.lost, c.rexmt = 0, 0
		return c
	}
	return &sendChunk{buf: make([]byte, b.slots*b.stride)}
}

// run describes consecutive packets of one chunk, all of full size but maybe
// the last.
type run struct {
	chunk *sendChunk
	from  int // slot
	n     int
	first packetIndex
}

// runAt returns the longest run of at most most packets starting at i, ending
// before end, that one send can carry.
func (b *sendBuffer) runAt(i, end packetIndex, most int) run {
	c, slot := b.chunk(i)
	most = min(most, int(end-i), b.slots-slot)
	n := 0
	for n < most {
		full := int(c.lens[slot+n]) == b.payload
		n++
		if !full {
			break
		}
	}
	return run{chunk: c, from: slot, n: n, first: i}
}

// bytes returns the memory of a run and stamps its packets with the time.
func (b *sendBuffer) bytes(r run, now Instant) []byte {
	ts := now.microseconds()
	for s := r.from; s < r.from+r.n; s++ {
		stamp(r.chunk.buf[s*b.stride:], ts, b.dst)
		r.chunk.sent[s] = now
	}
	last := r.from + r.n - 1
	return r.chunk.buf[r.from*b.stride : last*b.stride+HeaderSize+int(r.chunk.lens[last])]
}

// payloadOf returns the payload bytes of a run.
func (b *sendBuffer) payloadOf(r run) int {
	return (r.n-1)*b.payload + int(r.chunk.lens[r.from+r.n-1])
}

// advanceNext marks everything up to i as sent; a partly filled packet that
// was sent grows no more.
func (b *sendBuffer) advanceNext(i packetIndex) {
	b.next = i
	if i == b.tail {
		b.room = 0
	}
}

// acknowledge drops everything before i and returns how many packets that was.
func (b *sendBuffer) acknowledge(i packetIndex) int {
	n := int(i - b.una)
	old, _ := b.chunkOf(b.una)
	cur, slot := b.chunkOf(i)
	for ; old < cur; old++ {
		c := b.ring.get(old)
		b.found(old, c, ^uint64(0))
		b.ring.clear(old)
		b.limbo = append(b.limbo, c)
	}
	if c := b.ring.get(cur); c != nil {
		b.found(cur, c, bitRange(0, slot))
	}
	b.una = i
	b.bury()
	return n
}

// found takes slots of chunk number n off the loss list.
func (b *sendBuffer) found(n int64, c *sendChunk, slots uint64) {
	slots &= c.lost
	if slots == 0 {
		return
	}
	b.lostCount -= bits.OnesCount64(slots)
	c.lost &^= slots
	if c.lost == 0 {
		b.losing.remove(n)
	}
}

// settle says that no send is reading the buffer any more, so that chunks
// acknowledged in the meantime can be used again.
func (b *sendBuffer) settle() {
	for i, c := range b.limbo {
		b.spare.put(c)
		b.limbo[i] = nil
	}
	b.limbo = b.limbo[:0]
}

// trim gives all memory back that an empty buffer doesn't need.
func (b *sendBuffer) trim() {
	b.spare = chunkPool[sendChunk]{}
	if b.held() == 0 && !b.filling {
		b.ring, b.losing = chunkRing[sendChunk]{}, chunkSet{}
	}
}

// markLost queues the packets from..to (to excluded) for retransmission,
// skipping those retransmitted after the given instant: their copy may still
// be on its way. It returns how many were newly queued.
func (b *sendBuffer) markLost(from, to packetIndex, after Instant) int {
	from, to = max(from, b.una), min(to, b.next)
	marked := 0
	for from < to {
		n, slot := b.chunkOf(from)
		c := b.ring.get(n)
		end := min(b.slots, slot+int(to-from))
		m := bitRange(slot, end) &^ c.lost
		for again := m & c.rexmt; again != 0; again &= again - 1 {
			if s := firstSet(again); c.sent[s] > after {
				m &^= 1 << s
			}
		}
		if m != 0 {
			c.lost |= m
			marked += bits.OnesCount64(m)
			b.losing.add(n)
		}
		from += packetIndex(end - slot)
	}
	b.lostCount += marked
	return marked
}

// nextLost returns the lowest packet waiting for retransmission and how many
// follow it directly in the same chunk.
func (b *sendBuffer) nextLost() (first packetIndex, n int, ok bool) {
	lowest, _ := b.chunkOf(b.una)
	k, ok := b.losing.first(lowest)
	if !ok {
		return 0, 0, false
	}
	c := b.ring.get(k)
	s := firstSet(c.lost)
	n = firstSet(^(c.lost >> s))
	return packetIndex(k*int64(b.slots)) + packetIndex(s), n, true
}

// resent takes a run off the loss list.
func (b *sendBuffer) resent(r run) {
	m := bitRange(r.from, r.from+r.n)
	n, _ := b.chunkOf(r.first)
	b.found(n, r.chunk, m)
	r.chunk.rexmt |= m
}

// lastSent returns when packet i was last transmitted.
func (b *sendBuffer) lastSent(i packetIndex) Instant {
	c, s := b.chunk(i)
	return c.sent[s]
}

// again reports whether packet i was retransmitted.
func (b *sendBuffer) again(i packetIndex) bool {
	c, s := b.chunk(i)
	return c.rexmt&(1<<s) != 0
}

// anyAgain reports whether one of the packets from una up to but not including
// i was retransmitted.
func (b *sendBuffer) anyAgain(i packetIndex) bool {
	for from := b.una; from < i; {
		n, slot := b.chunkOf(from)
		end := min(b.slots, slot+int(i-from))
		if b.ring.get(n).rexmt&bitRange(slot, end) != 0 {
			return true
		}
		from += packetIndex(end - slot)
	}
	return false
}
