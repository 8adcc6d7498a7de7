package proto

import "math/bits"

// labels are what a chunk of the receive buffer knows of its packets where
// they carry messages.
type labels struct {
	words        [maxRecvSlots]uint32 // message words, as on the wire
	begins, ends uint64               // the first, and the last, packet of a message
	taken        uint64               // belongs to a message that was found, or to none
	done         uint64               // read, discarded or never to come
}

func (l *labels) clear() { l.begins, l.ends, l.taken, l.done = 0, 0, 0, 0 }

// label notes the message word of packet i, which is there.
func (b *recvBuffer) label(i packetIndex, word uint32) {
	c, slot := b.chunk(i)
	c.words[slot] = word
	switch bit := uint64(1) << slot; Boundary(word >> boundaryShift) {
	case BoundaryFirst:
		c.begins |= bit
	case BoundaryLast:
		c.ends |= bit
	case BoundarySolo:
		c.begins |= bit
		c.ends |= bit
	case BoundaryMiddle:
	}
}

// word returns the message word of packet i, which is there.
func (b *recvBuffer) word(i packetIndex) uint32 {
	c, slot := b.chunk(i)
	return c.words[slot]
}

// messageAt returns the number of the message that packet i, which is there,
// is of.
func (b *recvBuffer) messageAt(i packetIndex) uint32 { return b.word(i) & messageMask }

// size returns how many bytes packet i, which is there, has.
func (b *recvBuffer) size(i packetIndex) int {
	c, slot := b.chunk(i)
	return int(c.lens[slot])
}

// notBody picks what is not a middle packet of a message yet to be found.
func notBody(c *recvChunk) uint64 {
	if c == nil {
		return ^uint64(0)
	}
	return ^c.present | c.taken | c.begins | c.ends
}

func notDone(c *recvChunk) uint64 {
	if c == nil {
		return ^uint64(0)
	}
	return ^c.done
}

// findBack returns the last packet before i and not before from that m picks;
// ok is false if there is none.
func (b *recvBuffer) findBack(i, from packetIndex, m mark) (at packetIndex, ok bool) {
	for i > from {
		n, slot := int64(i-1)/int64(b.slots), int(i-1)&(b.slots-1)
		if picked := m(b.ring.get(n)) & bitRange(0, slot+1); picked != 0 {
			at = packetIndex(n*int64(b.slots)) + packetIndex(bits.Len64(picked)-1)
			return at, at >= from
		}
		i = packetIndex(n * int64(b.slots))
	}
	return 0, false
}

// take marks the packets first..end as belonging to a message that was found, or
// with done set as not wanted any more.
func (b *recvBuffer) take(first, end packetIndex, done bool) {
	for first < end {
		c, slot := b.chunk(first)
		to := min(b.slots, slot+int(end-first))
		m := bitRange(slot, to)
		c.taken |= m
		if done {
			c.done |= m
		}
		first += packetIndex(to - slot)
	}
}

// forgo gives up what is missing of the given message among the packets from
// first on, up to end, to the window's end or to a packet of another message. It
// returns how many packets that is.
func (b *recvBuffer) forgo(first, end packetIndex, message uint32) (n int) {
	first = max(first, b.next)
	end = min(end, b.read+packetIndex(b.window()))
	for first < end {
		gap := b.find(first, end, missing)
		if gap > first && (b.messageAt(first) != message || b.messageAt(gap-1) != message) {
			break
		}
		for first = b.find(gap, end, arrived); gap < first; gap++ {
			c, slot := b.makeChunk(gap)
			bit := uint64(1) << slot
			c.words[slot], c.lens[slot] = message, 0
			c.present |= bit
			c.taken |= bit
			c.done |= bit
			b.high = max(b.high, gap+1)
			n++
		}
	}
	b.advance()
	return n
}
