package proto

// recvChunkBytes is about how much payload memory is taken at a time.
const (
	recvChunkBytes = 96 << 10
	maxRecvSlots   = 64
)

// A recvChunk holds payloads by sequence number, one slot each.
type recvChunk struct {
	buf     []byte // slots × stride; nil before a packet has arrived
	lens    [maxRecvSlots]uint16
	present uint64 // arrived, or never to come
	labels         // of messages
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
	most   int // packets that have a place at most: flight, or fewer at first

	bound packetIndex // no packet from here on has a place; 0: the window alone counts

	ring             chunkRing[recvChunk]
	read, next, high packetIndex
	offset           int   // bytes of packet read already taken
	received         int64 // packets stored so far
	spare            chunkPool[recvChunk]
}

func (b *recvBuffer) init(isn Seq, mss, flight int) {
	b.isn, b.flight, b.most = isn, flight, flight
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
	return int(min(int64(b.most), initialRecvWindow+2*b.received))
}

// narrow leaves places for n packets alone, until widen; 0 changes nothing. A
// packet takes the memory of its whole chunk, so that a stranger who leaves
// gaps could fill the window's with a few bytes to each.
func (b *recvBuffer) narrow(n int) {
	if n > 0 {
		b.most = min(n, b.flight)
	}
}

func (b *recvBuffer) widen() { b.most = b.flight }

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
	// What the peer has given up frees its window while a packet of it may
	// still be on its way.
	if i < b.next-2*packetIndex(b.flight) {
		return recvOutside
	}
	if i < b.next {
		return recvDuplicate
	}
	if i >= b.read+packetIndex(b.window()) || b.bound > 0 && i >= b.bound || len(payload) > b.stride {
		return recvOutside
	}
	c, slot := b.makeChunk(i)
	bit := uint64(1) << slot
	if c.present&bit != 0 {
		return recvDuplicate
	}
	if c.buf == nil {
		c.buf = make([]byte, b.slots*b.stride)
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

// chunk returns the chunk that holds packet i, nil if there is none, and its
// slot there.
func (b *recvBuffer) chunk(i packetIndex) (*recvChunk, int) {
	return b.ring.get(int64(i) / int64(b.slots)), int(i) & (b.slots - 1)
}

// makeChunk is chunk for a packet within the window that is to be put there.
func (b *recvBuffer) makeChunk(i packetIndex) (*recvChunk, int) {
	c, slot := b.chunk(i)
	if c == nil {
		if c = b.spare.get(); c == nil {
			c = &recvChunk{}
		}
		c.present = 0
		c.clear()
		b.ring.put(int64(b.read)/int64(b.slots), int64(i)/int64(b.slots), c)
	}
	return c, slot
}

// advance moves next over what is there.
func (b *recvBuffer) advance() { b.next = b.find(b.next, b.high, missing) }

// A mark picks packets of a chunk by a property, a bit each. The chunk is nil
// where nothing has arrived.
type mark func(*recvChunk) uint64

func missing(c *recvChunk) uint64 { return ^arrived(c) }

func arrived(c *recvChunk) uint64 {
	if c == nil {
		return 0
	}
	return c.present
}

// find returns the first packet from i up to but not including to that m picks,
// to if there is none.
func (b *recvBuffer) find(i, to packetIndex, m mark) packetIndex {
	for i < to {
		n, slot := int64(i)/int64(b.slots), int(i)&(b.slots-1)
		if bits := m(b.ring.get(n)) & bitRange(slot, b.slots); bits != 0 {
			return min(to, packetIndex(n*int64(b.slots))+packetIndex(firstSet(bits)))
		}
		i = packetIndex((n + 1) * int64(b.slots))
	}
	return to
}

// nextGap returns the first run of missing packets in from..to; ok is false
// if nothing is missing there.
func (b *recvBuffer) nextGap(from, to packetIndex) (first, end packetIndex, ok bool) {
	to = min(to, b.high)
	first = b.find(max(from, b.next), to, missing)
	if first >= to {
		return 0, 0, false
	}
	return first, b.find(first, to, arrived), true
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

// peek appends to vs Views of what can be read, one for each chunk, at most n.
func (b *recvBuffer) peek(vs []View, n int) []View {
	for i, offset := b.read, b.offset; i < b.next && n > 0; n-- {
		v := b.view(i, b.next)
		i += packetIndex(v.end - v.slot)
		v.offset, offset = offset, 0
		vs = append(vs, v)
	}
	return vs
}

// view returns a View of the packets from i on, at most up to end, in one chunk.
func (b *recvBuffer) view(i, end packetIndex) View {
	c, slot := b.chunk(i)
	return View{chunk: c, slot: slot, end: min(b.slots, slot+int(end-i)), stride: b.stride}
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

// consume frees what vs, the first of what can be read, have taken.
func (b *recvBuffer) consume(vs []View) {
	for i := range vs {
		v := &vs[i]
		b.release(b.read + packetIndex(v.taken))
		b.offset = v.offset
		if v.slot < v.end {
			break
		}
	}
}

// release frees the packets before to.
func (b *recvBuffer) release(to packetIndex) {
	old := int64(b.read) / int64(b.slots)
	b.read = to
	for now := int64(b.read) / int64(b.slots); old < now; old++ {
		b.spare.put(b.ring.get(old))
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
