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
	return c.checkLoss()
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
