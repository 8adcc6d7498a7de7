package proto

// recvChunkBytes is about how much payload memory is taken at a time.
const (
	recvChunkBytes = 96 << 10
	maxRecvSlots   = 64
)

// A recvChunk holds payloads by sequence number, one slot each.
type recvChunk struct {
	buf     []byte // slots × stride
	lens    [maxRecvSlots]uint16
	present uint64
}

// A recvBuffer puts packets in order. It is indexed by sequence number: a
// payload is copied once, into its slot, and read out from there.
//
//	read ≤ next ≤ high    (packet indices)
//	read..next  in order, unread;  next..high  with gaps
type recvBuffer struct {
	isn    Seq // of the peer, which has one of its own in a rendezvous
	stride int // most payload bytes of a packet
	slots  int // per chunk, a power of two
	flight int // packets the peer was told it may have in flight

	ring             chunkRing[recvChunk]
	read, next, high packetIndex
	offset           int   // bytes of packet read already taken
	received         int64 // packets stored so far
	spare            chunkPool[recvChunk]
}

func (b *recvBuffer) init(isn Seq, mss, flight int) {
	b.isn, b.flight = isn, flight
	b.stride = mss - IPUDPHeaders - HeaderSize
	b.slots = 1
	for b.slots < maxRecvSlots && b.slots*2*b.stride <= recvChunkBytes {
		b.slots *= 2
	}
}

// window is how many packets from read on have a place. It starts small and
// doubles with what really arrived, so that a peer can't make us take memory
// by sending one packet far ahead.
func (b *recvBuffer) window() int {
	return int(min(int64(b.flight), initialRecvWindow+2*b.received))
}

// initialRecvWindow is libudt's default receive buffer in packets.
const initialRecvWindow = 8192

// free is how many packets beyond next can be taken, the window to advertise.
func (b *recvBuffer) free() int { return b.window() - int(b.next-b.read) }

// recvOutcome says what became of a packet.
type recvOutcome uint8

const (
	recvStored recvOutcome = iota
	recvDuplicate
	recvOutside // beyond the window, or so old that it can't be a copy
)

// store takes the packet with index i.
func (b *recvBuffer) store(i packetIndex, payload []byte) recvOutcome {
	if i < b.next-packetIndex(b.flight) {
		return recvOutside
	}
	if i < b.next {
		return recvDuplicate
	}
	if i >= b.read+packetIndex(b.window()) || len(payload) > b.stride {
		return recvOutside
	}
	n, slot := int64(i)/int64(b.slots), int(i)&(b.slots-1)
	c := b.ring.get(n)
	if c == nil {
		c = b.newChunk()
		b.ring.put(int64(b.read)/int64(b.slots), n, c)
	}
	bit := uint64(1) << slot
	if c.present&bit != 0 {
		return recvDuplicate
	}
	copy(c.buf[slot*b.stride:], payload)
	c.lens[slot] = uint16(len(payload))
	c.present |= bit
	b.received++
	if i >= b.high {
		b.high = i + 1
	}
	if i == b.next {
		b.advance()
	}
	return recvStored
}

func (b *recvBuffer) newChunk() *recvChunk {
	if c := b.spare.get(); c != nil {
		c.present = 0
		return c
	}
	return &recvChunk{buf: make([]byte, b.slots*b.stride)}
}

// advance moves next over what is there.
func (b *recvBuffer) advance() { b.next = b.runEnd(b.next, b.high, true) }

// runEnd returns the end of the run of packets from i on that are all there
// (or, with there false, all missing), at most to, which is at most high.
func (b *recvBuffer) runEnd(i, to packetIndex, there bool) packetIndex {
	for i < to {
		n, slot := int64(i)/int64(b.slots), int(i)&(b.slots-1)
		var m uint64 // bits of packets that end the run
		if c := b.ring.get(n); c != nil {
			m = c.present
		}
		if there {
			m = ^m
		}
		m &= bitRange(slot, b.slots)
		if m != 0 {
			return min(to, packetIndex(n*int64(b.slots))+packetIndex(firstSet(m)))
		}
		i = packetIndex((n + 1) * int64(b.slots))
	}
	return to
}

// nextGap returns the first run of missing packets in from..to; ok is false
// if nothing is missing there.
func (b *recvBuffer) nextGap(from, to packetIndex) (first, end packetIndex, ok bool) {
	to = min(to, b.high)
	first = b.runEnd(max(from, b.next), to, true)
	if first >= to {
		return 0, 0, false
	}
	return first, b.runEnd(first, to, false), true
}

// A View is a stretch of in-order data in the receive buffer. Its bytes stay
// put until it is consumed, so copying them needs no lock.
type View struct {
	chunk  *recvChunk
	slot   int
	end    int // slots, exclusive
	offset int // bytes of slot already taken
	stride int
	taken  int // whole packets taken
}

// peek returns a View of what can be read, in one chunk. ok is false if there
// is nothing.
func (b *recvBuffer) peek() (v View, ok bool) {
	if b.read == b.next {
		return View{}, false
	}
	n, slot := int64(b.read)/int64(b.slots), int(b.read)&(b.slots-1)
	end := min(b.slots, slot+int(b.next-b.read))
	return View{chunk: b.ring.get(n), slot: slot, end: end, offset: b.offset, stride: b.stride}, true
}

// Next returns at most most unread bytes that lie together in memory: those of
// one packet and, while packets are full, of the ones behind it. It is nil when
// the View is used up.
func (v *View) Next(most int) []byte {
	for v.slot < v.end {
		from, last := v.slot*v.stride+v.offset, v.slot
		for last+1 < v.end && int(v.chunk.lens[last]) == v.stride && (last+1)*v.stride-from < most {
			last++
		}
		if to := last*v.stride + int(v.chunk.lens[last]); to > from {
			return v.chunk.buf[from:min(to, from+most)]
		}
		v.slot, v.offset, v.taken = v.slot+1, 0, v.taken+1 // an empty packet
	}
	return nil
}

// Advance says that n bytes of Next were taken.
func (v *View) Advance(n int) {
	v.offset += n
	for v.slot < v.end && v.offset >= int(v.chunk.lens[v.slot]) {
		v.offset -= int(v.chunk.lens[v.slot])
		v.slot, v.taken = v.slot+1, v.taken+1
	}
}

// Copy fills p as far as the View goes and returns how much that was.
func (v *View) Copy(p []byte) int {
	total := 0
	for total < len(p) {
		src := v.Next(len(p) - total)
		if src == nil {
			break
		}
		n := copy(p[total:], src)
		v.Advance(n)
		total += n
	}
	return total
}

// consume frees what v has taken.
func (b *recvBuffer) consume(v *View) {
	old := int64(b.read) / int64(b.slots)
	b.read += packetIndex(v.taken)
	b.offset = v.offset
	if now := int64(b.read) / int64(b.slots); now > old {
		b.spare.put(v.chunk)
		b.ring.clear(old)
	}
}

// trim gives all memory back that an empty buffer doesn't need.
func (b *recvBuffer) trim() {
	b.spare = chunkPool[recvChunk]{}
	if b.read == b.high {
		b.ring = chunkRing[recvChunk]{}
	}
}
