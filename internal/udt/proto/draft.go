package proto

import "sort"

// This file is what a send buffer knows of messages. Each begins a packet of
// its own and is all there, or not at all.

// draft is the message that is being put into the buffer.
type draft struct {
	open    bool
	left    int // bytes
	first   packetIndex
	word    uint32 // order bit
	expires Instant
}

// A mortal is a message that is given up when its time is over.
type mortal struct {
	first, end packetIndex
	number     uint32
	at         Instant
	dropped    bool
}

// packetsOf is how many packets a message of n bytes takes.
func (b *sendBuffer) packetsOf(n int) int { return max(1, (n+b.payload-1)/b.payload) }

// begin starts a message of n bytes; Fills follow until it is complete.
func (b *sendBuffer) begin(n int, inOrder bool, expires Instant) {
	b.draft = draft{open: true, left: n, first: b.tail, expires: expires}
	if inOrder {
		b.draft.word = inOrderBit
	}
}

// end completes a message.
func (b *sendBuffer) end(number uint32) {
	b.draft.open = false
	if b.draft.expires != never {
		b.mortals.push(mortal{first: b.draft.first, end: b.tail, number: number, at: b.draft.expires})
	}
}

// mortalAt returns the message that packet i is of if that has a time to live,
// nil otherwise, and the end of the packets for which this is so.
func (b *sendBuffer) mortalAt(i packetIndex) (m *mortal, until packetIndex) {
	all := b.mortals.all()
	n := sort.Search(len(all), func(k int) bool { return all[k].end > i })
	switch {
	case n == len(all):
		return nil, packetIndex(never)
	case all[n].first > i:
		return nil, all[n].first
	}
	return &all[n], all[n].end
}

// drop gives a message up, as far as it is not acknowledged.
func (b *sendBuffer) drop(m *mortal, now Instant) {
	m.dropped = true
	for i := max(m.first, b.una); i < m.end; {
		n, slot := b.chunkOf(i)
		c := b.ring.get(n)
		end := min(b.slots, slot+int(m.end-i))
		b.found(n, c, bitRange(slot, end))
		c.rexmt |= bitRange(slot, end) // measures no round trip
		for s := slot; s < end; s++ {
			c.sent[s] = now
		}
		i += packetIndex(end - slot)
	}
}

// bury forgets messages that are acknowledged.
func (b *sendBuffer) bury() {
	for !b.mortals.empty() && b.mortals.front().end <= b.una {
		b.mortals.pop()
	}
}
