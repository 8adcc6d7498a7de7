package proto

import (
	"cmp"
	"slices"
	"time"
)

// This file is the receiver's side of reliability: full and light ACKs, ACK2s
// and the reports of gaps.

// scheduleACK decides, after a batch of data, what to acknowledge and when.
// before is where the in-order data ended before the batch.
func (c *Conn) scheduleACK(now Instant, before packetIndex) {
	if c.state == StateConnecting {
		return
	}
	if c.unsettled() {
		c.timers.sooner(timerACK, max(now, c.afterFullACK(syn)))
	}
	if c.rcv.next == before {
		return
	}
	if !c.timers.isSet(timerACK) || c.acks.full == before {
		// The first data after everything was confirmed is acknowledged at
		// once, a stream of it every SYN.
		c.timers.sooner(timerACK, max(now, c.afterFullACK(syn)))
	}
	// A libudt sender keeps retransmitting losses that a light ACK covers, so
	// they are for streams without gaps only.
	if c.acks.since >= lightACKEvery(c.payload()) && c.rcv.next == c.rcv.high && c.acks.pending == ackNone {
		c.acks.pending = ackLight
	}
}

// hurryACK acknowledges a packet that isn't full soon: it may be the last for
// a while.
func (c *Conn) hurryACK(now Instant) {
	if c.state != StateConnecting {
		c.timers.sooner(timerACK, max(now, c.afterFullACK(shortACKGap)))
	}
}

// afterFullACK is the instant d after the last full ACK, 0 if there was none.
func (c *Conn) afterFullACK(d time.Duration) Instant {
	if !c.acks.sent {
		return 0
	}
	return c.acks.fullAt.Add(d)
}

// onACKTimer sends a full ACK if there is anything new to say, repeats the
// last one if it was not confirmed in time, and otherwise falls silent.
func (c *Conn) onACKTimer(now Instant) {
	switch {
	case c.rcv.next > c.acks.full:
		c.acks.pending = ackFull
	case c.unsettled():
		if at := c.acks.ratesAt.Add(syn); at > now { // a shorter ACK would not say it
			c.timers.set(timerACK, at)
			return
		}
		c.acks.pending = ackFull
	case c.acks.confirmed == c.acks.full:
		// Everything is confirmed.
	default:
		wait := c.rtt.spread()
		if c.acks.missed {
			wait = min(wait, outageProbe/2)
		}
		if repeat := c.afterFullACK(wait); repeat > now {
			c.timers.set(timerACK, repeat)
			return
		}
		c.acks.pending = ackFull
	}
}

// offerWindow tells the sender of room that a slow reader has made. UDT has no
// message for it, but any ACK carries the window.
func (c *Conn) offerWindow() {
	c.window.taken(c.unread())
	if c.state == StateConnecting || c.state == StateClosed || !c.acks.sent {
		return
	}
	room := c.rcv.window()
	due := c.acks.window < room/4 && c.rcv.free() >= room/2
	if c.window.limit > 0 {
		left := int(c.acks.edge() - c.rcv.next)
		due = c.offer()-left >= min(c.window.step(), room/4)
	}
	if due {
		c.acks.pending = ackFull
	}
}

// OpenWindow ends Config.FirstWindow: from now on the peer may fill the whole
// window, and is told so.
func (c *Conn) OpenWindow() {
	c.rcv.widen()
	c.offerWindow()
}

// offer is the window to advertise.
func (c *Conn) offer() int {
	// It never exceeds the flight size of our handshake: a libudt sender's loss
	// list has no more places (trap D2).
	n := min(c.rcv.free(), c.cfg.Window)
	if c.window.limit > 0 {
		n = min(n, c.window.limit-c.unread())
	}
	return max(minACKWindow, n)
}

// unread is how many packets the reader can take, gaps left by what was taken
// or dropped included.
func (c *Conn) unread() int {
	if c.messages() {
		return c.assembler.unread(&c.rcv)
	}
	return int(c.rcv.next - c.rcv.read)
}

// transmitACK appends the pending ACK.
func (c *Conn) transmitACK(now Instant, out []Run) []Run {
	if c.acks.pending == ackNone || len(out) == cap(out) {
		return out
	}
	kind := c.acks.pending
	c.acks.pending = ackNone
	a := ACK{Next: c.rcv.next.seqOf(c.rcv.isn)}
	if kind == ackLight {
		c.acks.since = 0
		return c.packet(out, func(b []byte) []byte {
			return a.AppendLight(Control{Type: TypeACK, Dst: c.peerID}.Append(b))
		})
	}
	c.acks.number = nextACKNumber(c.acks.number)
	c.window.update(now, c.rtt.srtt, &c.rcv, c.unread(), c.acks.edge())
	c.acks.window = c.offer()
	a.RTT, a.RTTVar = c.rtt.words()
	a.Window = uint32(c.acks.window)
	if !c.acks.sent || now.Sub(c.acks.ratesAt) >= syn {
		a.HasRates = true
		c.acks.ratesAt = now
		speed := c.arrival.rate()
		a.ArrivalRate = rateWord(speed)
		a.Capacity = max(placeholderRate, rateWord(c.capacity.rate()))
		if c.arrival.known() {
			// Where there are no pairs what has arrived is the best lower bound.
			a.Capacity = max(a.Capacity, a.ArrivalRate)
			switch {
			case !c.capacity.unresolved():
			case c.extended:
				a.Capacity = -a.Capacity
			default:
				a.Capacity = unresolvedWord(c.mss, a.ArrivalRate)
			}
		}
		if c.missed(now) {
			a.ArrivalRate = rateWord(missedRoom * speed)
		}
		if c.extended {
			c.acks.settled = c.settled()
			a.HasSettled, a.Settled = true, c.acks.settled.seqOf(c.rcv.isn)
		}
	}
	c.acks.record(now, c.rcv.next)
	c.timers.set(timerACK, now.Add(syn))
	c.count.ACKSent++
	return c.packet(out, func(b []byte) []byte {
		return a.AppendFull(Control{Type: TypeACK, Info: c.acks.number, Dst: c.peerID}.Append(b))
	})
}

func rateWord(packets float64) int32 { return int32(min(packets+0.5, 1<<31-1)) }

// onACK2 takes the sender's confirmation of a full ACK: the only true
// round-trip sample of the protocol.
func (c *Conn) onACK2(now Instant, number uint32) {
	when, ok := c.acks.confirm(number)
	if !ok {
		return
	}
	c.rtt.sample(now.Sub(when))
}

// nakClock returns when gaps are reported. Reports are spaced, by no more than
// is small against the round trip they start, so that losses which come one by
// one on a fast link share packets; and a gap is given the time that packets
// out of order were seen to need.
func (c *Conn) nakClock() nakClock {
	spacing := min(c.rtt.srtt/nakShare, syn/2)
	if !c.extended {
		spacing = c.rtt.srtt / nakShareLibudt
	}
	return nakClock{
		delay:   c.reorder.delay(c.reorderLimit()),
		spacing: spacing,
		repeat:  c.rtt.spread() + syn,
	}
}

// nakShare is how many reports a round trip may have. To libudt each is a
// congestion event, and one more interval in which its rate does not grow.
const (
	nakShare       = 32
	nakShareLibudt = 4
)

// missed tells whether something was reported missing of late to a libudt sender.
// Its window is what arrives, by our word, in a round trip, and begins at the
// lowest packet missing: what is sent while that is repaired finds no room, less is
// sent, and less again for what arrives is less. So the word then makes room for a
// repair and for what gets lost again.
func (c *Conn) missed(now Instant) bool {
	return !c.extended && c.naks.any && now.Sub(c.naks.last) < missedRoom*c.rtt.srtt
}

// missedRoom is how many round trips the window is to hold then.
const missedRoom = 3

// reorderLimit is the longest that a gap is kept from being reported, and that
// a packet may be late without being taken for a copy.
func (c *Conn) reorderLimit() time.Duration { return max(c.rtt.srtt, syn) }

// maxNAKEntries is how many gaps one NAK reports at most.
const maxNAKEntries = 128

// transmitNAK appends a report of new gaps and of old ones whose time has
// come, merged into one packet and in sequence order: each NAK is a congestion
// event to libudt, judged by its first entry.
func (c *Conn) transmitNAK(now Instant, out []Run) []Run {
	clock := c.nakClock()
	if len(out) == cap(out) || c.naks.next(clock) > now {
		return out
	}
	var gaps [maxNAKEntries]gap
	n := c.takeGaps(now, clock, gaps[:min(maxNAKEntries, c.payload()/8)])
	if n == 0 {
		return out
	}
	slices.SortFunc(gaps[:n], func(a, b gap) int { return cmp.Compare(a.first, b.first) })
	c.count.NAKSent++
	return c.packet(out, func(b []byte) []byte {
		b = Control{Type: TypeNAK, Dst: c.peerID}.Append(b)
		for _, g := range gaps[:n] {
			b = AppendLoss(b, SeqRange{First: g.first.seqOf(c.rcv.isn), Last: (g.end - 1).seqOf(c.rcv.isn)})
		}
		return b
	})
}

// takeGaps fills gaps with what is due to be reported and still missing, and
// schedules its repeat.
func (c *Conn) takeGaps(now Instant, clock nakClock, gaps []gap) (n int) {
	for {
		g, ok := c.naks.take(now, clock)
		if !ok {
			if n > 0 {
				c.naks.reported(now)
			}
			return n
		}
		for g.first < g.end {
			first, end, missing := c.rcv.nextGap(g.first, g.end)
			if !missing {
				break
			}
			if n == len(gaps) {
				c.naks.putBack(g)
				return n
			}
			if !g.known {
				c.count.ReceiveLoss += int64(end - first)
			}
			gaps[n] = gap{first: first, end: end, since: now, known: true}
			c.naks.waiting.push(gaps[n])
			g.first = end
			n++
		}
	}
}
