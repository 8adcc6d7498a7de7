package proto

// A Fill is a place in the send buffer to copy payload to. The copying needs
// no lock: the engine neither moves nor sends what a Fill covers until it is
// committed.
type Fill struct {
	chunk   *sendChunk
	seq     Seq // of slot
	slot    int
	used    int // payload bytes in slot
	end     int // slots that may be used
	stride  int
	message uint32
	resumed bool // slot was partly filled before
	adopted bool // chunk came from a Stage
	filled  int  // bytes added
	begun   bool // a packet was begun, maybe an empty one
	draft   draft
	opening bool // slot is the first of the message
}

// reserve starts a Fill at the tail, in one chunk. ok is false without room.
// There is one Fill at a time.
func (b *sendBuffer) reserve() (f Fill, ok bool) {
	if b.space() <= 0 && !b.draft.open || b.filling {
		return Fill{}, false
	}
	at, used := b.tail, 0
	if b.room > 0 {
		at, used = b.tail-1, b.payload-b.room
	}
	n, slot := b.chunkOf(at)
	c := b.ring.get(n)
	if c == nil {
		c = b.newChunk()
		b.ring.put(int64(b.una)/int64(b.slots), n, c)
		b.sizeLosing()
	}
	end := min(b.slots, slot+b.limit-int(at-b.una))
	if b.draft.open { // room was made when it began
		end = min(b.slots, slot+b.packetsOf(b.draft.left))
	}
	if end <= slot {
		return Fill{}, false
	}
	b.filling = true
	return Fill{
		chunk: c, seq: at.seqOf(b.isn), slot: slot, used: used, end: end,
		stride: b.stride, message: b.message, resumed: b.room > 0,
		draft: b.draft, opening: at == b.draft.first,
	}, true
}

// Copy takes what fits of p and returns how much that was.
func (f *Fill) Copy(p []byte) int {
	total := 0
	for {
		dst := f.Next()
		if len(dst) == 0 {
			break
		}
		n := copy(dst, p)
		f.Advance(n)
		p = p[n:]
		total += n
		if len(p) == 0 {
			break
		}
	}
	return total
}

// Next returns the free payload space of the packet being filled, empty when
// the Fill is full.
func (f *Fill) Next() []byte {
	if f.slot >= f.end {
		return nil
	}
	base := f.slot * f.stride
	return f.chunk.buf[base+HeaderSize+f.used : base+f.stride]
}

// Advance says that n bytes of Next were filled.
func (f *Fill) Advance(n int) {
	if n == 0 && !f.draft.open {
		return
	}
	if f.used == 0 {
		f.begun = true
		putDataHeader(f.chunk.buf[f.slot*f.stride:], f.seq, f.word())
	}
	f.used += n
	f.filled += n
	f.draft.left -= n
	f.chunk.lens[f.slot] = uint16(f.used)
	if f.used == f.stride-HeaderSize || f.draft.open && f.draft.left == 0 {
		f.slot, f.used, f.seq = f.slot+1, 0, f.seq.Add(1)
	}
}

// word returns the message word of the packet being begun. In a stream each
// packet has a number of its own.
func (f *Fill) word() uint32 {
	word := f.message | f.draft.word
	if !f.draft.open || f.opening {
		word |= uint32(BoundaryFirst) << boundaryShift
	}
	if !f.draft.open || f.draft.left <= f.stride-HeaderSize {
		word |= uint32(BoundaryLast) << boundaryShift
		f.message = nextMessage(f.message)
	}
	f.opening = false
	return word
}

func nextMessage(m uint32) uint32 {
	if m >= maxMessage {
		return 1
	}
	return m + 1
}

// commit publishes what f was filled with.
func (b *sendBuffer) commit(f *Fill) {
	b.filling = false
	if f.empty() {
		return
	}
	n := int64(b.tail) / int64(b.slots)
	if f.resumed {
		n = int64(b.tail-1) / int64(b.slots)
	}
	if f.adopted {
		b.ring.put(int64(b.una)/int64(b.slots), n, f.chunk)
	}
	b.tail = packetIndex(n*int64(b.slots)) + packetIndex(f.slot)
	b.room = 0
	if f.used > 0 {
		b.tail++
		b.room = b.payload - f.used
	}
	number := b.message
	b.message, b.draft.left = f.message, f.draft.left
	if f.draft.open && f.draft.left == 0 {
		b.end(number)
	}
}

// empty reports whether nothing was filled.
func (f *Fill) empty() bool { return f.filled == 0 && !f.begun }
