package proto

import (
	"fmt"
	"math/bits"
)

// check returns the first invariant that does not hold. Tests call it after
// every input.
func (c *Conn) check() error {
	s, r := &c.snd, &c.rcv
	switch {
	case !(s.una <= s.next && s.next <= s.tail):
		return fmt.Errorf("send buffer: una %d, next %d, tail %d", s.una, s.next, s.tail)
	case !(r.read <= r.next && r.next <= r.high):
		return fmt.Errorf("receive buffer: read %d, next %d, high %d", r.read, r.next, r.high)
	case r.high > r.read+packetIndex(r.flight):
		return fmt.Errorf("receive buffer: high %d beyond the window of %d from %d", r.high, r.flight, r.read)
	case s.room > 0 && s.next == s.tail:
		return fmt.Errorf("send buffer: a packet sent still grows")
	case c.acks.window > c.cfg.Window:
		return fmt.Errorf("advertised %d packets, the handshake said %d", c.acks.window, c.cfg.Window)
	case c.acks.confirmed > c.acks.full || c.acks.full > r.next:
		return fmt.Errorf("ACKs: confirmed %d, sent %d, received %d", c.acks.confirmed, c.acks.full, r.next)
	}
	if err := c.checkMessages(); err != nil {
		return err
	}
	return c.checkLoss()
}

// checkMessages compares the assembler with the receive buffer, and the messages
// that may expire with the send buffer.
func (c *Conn) checkMessages() error {
	m, r := &c.assembler, &c.rcv
	if !c.messages() {
		return nil
	}
	if !(r.read <= m.scan && m.scan == r.next) {
		return fmt.Errorf("assembler: read %d, scanned %d, next %d", r.read, m.scan, r.next)
	}
	if m.inside && !(r.read <= m.partial.first && m.partial.first < m.scan) {
		return fmt.Errorf("assembler: message from %d, scanned %d", m.partial.first, m.scan)
	}
	for i, q := range m.queue.all() {
		if q.first < r.read || q.end > r.high || q.first >= q.end {
			return fmt.Errorf("assembler: message %d of packets %d to %d, buffer %d to %d", q.number, q.first, q.end, r.read, r.high)
		}
		if m.begun && i == 0 && (m.at < q.first || m.at > q.end) {
			return fmt.Errorf("assembler: reading %d of packets %d to %d", m.at, q.first, q.end)
		}
		for k := q.first; k < q.end; k++ {
			chunk, slot := r.chunk(k)
			if bit := uint64(1) << slot; chunk == nil || chunk.present&chunk.taken&^chunk.done&bit == 0 {
				return fmt.Errorf("assembler: packet %d of message %d is not there to be read", k, q.number)
			}
		}
	}
	last := c.snd.una
	for _, o := range c.snd.mortals.all() {
		if o.end <= last || o.first >= o.end || o.end > c.snd.tail || o.dropped && o.end > c.snd.next {
			return fmt.Errorf("drafts: message %d of packets %d to %d, buffer %d to %d", o.number, o.first, o.end, c.snd.una, c.snd.tail)
		}
		last = o.end
	}
	return nil
}

// checkLoss compares the loss list with its count.
func (c *Conn) checkLoss() error {
	s := &c.snd
	if s.slots == 0 {
		return nil
	}
	total := 0
	for n := int64(s.una) / int64(s.slots); n <= int64(s.next)/int64(s.slots); n++ {
		k := s.ring.get(n)
		if k == nil {
			continue
		}
		base := n * int64(s.slots)
		flight := bitRange(int(max(0, int64(s.una)-base)), int(min(int64(s.slots), int64(s.next)-base)))
		if k.lost&^flight != 0 {
			return fmt.Errorf("loss list: packets outside of the flight in chunk %d", n)
		}
		if first, ok := s.losing.first(n); (ok && first == n) != (k.lost != 0) {
			return fmt.Errorf("loss list: chunk %d has the losses %b, the set goes on with %d", n, k.lost, first)
		}
		total += bits.OnesCount64(k.lost)
	}
	if total != s.lostCount {
		return fmt.Errorf("loss list: %d packets, counted %d", total, s.lostCount)
	}
	return nil
}
