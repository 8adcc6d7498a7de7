package proto

// An assembler finds the messages among the packets of a receive buffer. In-order
// packets are looked through once, from scan on. A message that may overtake
// others is found behind a gap as soon as its last missing packet comes.
//
//	read ≤ scan ≤ next    (packet indices)
type assembler struct {
	queue fifo[message] // whole messages, unread, as they were found
	at    packetIndex   // the next packet to read of the front one; valid if begun
	begun bool

	scan    packetIndex
	ended   bool    // packet scan-1 is the last of a message
	inside  bool    // a message has begun before scan
	partial message // that one, so far

	seen    numberSet
	doubt   packetIndex // where libudt's sender, having dropped an unsent packet, goes on behind; 0 if it has not
	drifted bool        // its retransmissions carry other packets than their numbers say (protocol trap D7)
}

// A message is a run of packets.
type message struct {
	first, end packetIndex
	number     uint32
	size       int  // bytes
	cut        bool // filled the whole buffer before it ended
}

// search looks through the in-order packets that are new, and frees what is of
// no use.
func (m *assembler) search(b *recvBuffer) {
	for ; m.scan < b.next; m.scan++ {
		c, slot := b.chunk(m.scan)
		word, bit := c.words[slot], uint64(1)<<slot
		m.ended = c.ends&bit != 0
		switch begins := c.begins&bit != 0; {
		case c.taken&bit != 0:
			m.giveUp(b, m.scan)
			continue
		case begins:
			m.giveUp(b, m.scan)
			m.inside, m.partial = true, message{first: m.scan, number: word & messageMask}
		case !m.inside || m.partial.number != word&messageMask:
			// The rest of a message that was dropped, cut or never begun.
			m.giveUp(b, m.scan)
			b.take(m.scan, m.scan+1, true)
			continue
		}
		m.partial.size += int(c.lens[slot])
		if m.ended {
			m.partial.end = m.scan + 1
			m.found(b, m.partial)
			m.inside = false
		}
	}
	m.free(b)
	if m.inside && m.partial.first == b.read && b.free() <= 0 {
		// It is larger than the buffer: nobody could ever read it. What there
		// is of it is delivered, what follows is discarded above.
		m.partial.end, m.partial.cut = m.scan, true
		m.found(b, m.partial)
		m.inside = false
	}
}

// giveUp discards a message that has begun and can't be completed any more.
func (m *assembler) giveUp(b *recvBuffer, end packetIndex) {
	if m.inside {
		b.take(m.partial.first, end, true)
		m.inside = false
	}
}

// found puts a message into the queue, unless its number was seen before.
func (m *assembler) found(b *recvBuffer, found message) {
	isNew := m.seen.add(found.number)
	b.take(found.first, found.end, !isNew)
	if isNew {
		m.queue.push(found)
	}
}

// unread is how many in-order packets there are before a message that is not
// yet whole: such a one, however large, waits for its sender and not for us.
func (m *assembler) unread(b *recvBuffer) int {
	if m.inside {
		return int(m.partial.first - b.read)
	}
	return int(m.scan - b.read)
}

// free releases what is done at the buffer's beginning.
func (m *assembler) free(b *recvBuffer) {
	if to := b.find(b.read, m.scan, notDone); to > b.read {
		b.release(to)
	}
}

// overtake looks whether packet i, which arrived behind a gap, completes a
// message that need not wait for what comes before it.
func (m *assembler) overtake(b *recvBuffer, i packetIndex) {
	first, last := i, i
	c, slot := b.chunk(i)
	bit := uint64(1) << slot
	if c.taken&bit != 0 {
		return
	}
	if c.ends&bit == 0 {
		last = b.find(i+1, b.high, notBody)
		if last == b.high || !b.bounds(last, false) {
			return
		}
	}
	if b.word(last)&inOrderBit != 0 {
		return
	}
	if c.begins&bit == 0 {
		at, ok := b.findBack(i, b.next, notBody)
		if !ok || !b.bounds(at, true) {
			return
		}
		first = at
	}
	found := message{first: first, end: last + 1, number: b.messageAt(first)}
	for k := first; k <= last; k++ {
		if b.messageAt(k) != found.number {
			return
		}
		found.size += b.size(k)
	}
	m.found(b, found)
}

// bounds reports whether packet i is there, not yet taken, and the first packet
// of a message of several, or the last one.
func (b *recvBuffer) bounds(i packetIndex, first bool) bool {
	c, slot := b.chunk(i)
	if c == nil {
		return false
	}
	bit := uint64(1) << slot
	if c.present&^c.taken&bit == 0 {
		return false
	}
	want := BoundaryLast
	if first {
		want = BoundaryFirst
	}
	return Boundary(c.words[slot]>>boundaryShift) == want
}

// goesOn reports whether the packet before i, which is missing, arrived or was
// given up, and was not the last of its message.
func (m *assembler) goesOn(b *recvBuffer, i packetIndex) bool {
	if i <= b.next {
		return !m.ended
	}
	c, slot := b.chunk(i - 1)
	bit := uint64(1) << slot
	return c != nil && c.present&^c.ends&bit != 0
}

// suspect looks at the first packet i that follows dropped ones which were never
// sent. If it skips numbers, the sender is libudt's and takes no packet any more
// for what its number says when it is to send it again.
func (m *assembler) suspect(i packetIndex) {
	if m.doubt == 0 || i < m.doubt-1 {
		return
	}
	m.drifted = m.drifted || i > m.doubt
	m.doubt = 0
}

// peek returns a View of the next piece of the message to read, which must be
// there; ok is false at its end.
func (m *assembler) peek(b *recvBuffer) (v View, ok bool) {
	front := m.queue.front()
	if !m.begun {
		m.at, m.begun = front.first, true
	}
	if m.at == front.end {
		return View{}, false
	}
	return b.view(m.at, front.end), true
}

// finish takes the front message out of the queue.
func (m *assembler) finish(b *recvBuffer) {
	front := m.queue.pop()
	m.begun = false
	b.take(front.first, front.end, true)
	m.search(b)
}
