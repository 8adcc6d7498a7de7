package proto

import "time"

const (
	// goodbyeCopies shutdown packets are sent: libudt never answers them.
	goodbyeCopies = 3
	goodbyeGap    = 5 * time.Millisecond
	// A shutdown is believed once the peer stays silent on being asked for a
	// sign of life. Bounds of the time it has for that.
	byePatience    = 20 * time.Millisecond
	maxByePatience = time.Second
	// lateACK is the least of that time while a libudt receiver may have got all we
	// sent: it gives data to its program before it sends the ACK, so that the
	// program's shutdown may come first, by as long as its threads need.
	lateACK     = 500 * time.Millisecond
	byeProbes   = 2
	maxByeSigns = 4
	// readerGrace is how long a libudt receiver of messages has to read what it
	// acknowledged: a shutdown that comes while its recvmsg is taking a message
	// makes it fail, and the message is lost.
	readerGrace = 100 * time.Millisecond
	// shutdownAborted in the additional-info word of a shutdown says that
	// the sender gave up. UDT sends 0 there and ignores it.
	shutdownAborted = 1
	// keepAliveHeard in the additional-info word of a keep-alive answers a
	// shutdown, so that the other end need not repeat it. Whether it is
	// believed is another matter. UDT sends 0 there and ignores it.
	keepAliveHeard = 1
)

type byeState uint8

const (
	byeNone byeState = iota
	byeDoubted
	byeBelieved
)

// goodbye is the end of the connection, from both sides.
type goodbye struct {
	// Ours:
	copies    int  // shutdown packets still to send
	pending   bool // one is to be sent now
	end       End  // for heard: EndPeer or EndPeerAbort
	delivered bool // all was acknowledged, the peer's reader has time to take it
	ours      End  // what to end with when the copies are sent
	leaving   bool // what is not acknowledged goes along with the copies
	// The peer's:
	answer   bool // tell it that its shutdown was heard
	heard    byeState
	info     uint32
	silences int  // probes unanswered in a row
	signs    int  // probes answered
	alive    bool // something came since the last probe
}

// Close ends the connection in good order: no more writes are taken, what was
// written is delivered for as long as linger, then the peer is told. Reading
// goes on until the connection is closed.
func (c *Conn) Close(now Instant, linger time.Duration) {
	switch c.state {
	case StateConnecting:
		c.terminate(now, EndLocal)
	case StateConnected:
		if c.bye.heard == byeBelieved {
			end := EndLocal
			if c.snd.held() > 0 {
				end = EndLinger // the peer is gone; this can't be delivered
			}
			c.terminate(now, end)
			return
		}
		c.state = StateDraining
		c.timers.set(timerLinger, now.Add(linger))
		c.drained(now)
	}
}

// Leave is Close for an end whose last words only spare the peer a wait. With a
// peer of ours it does not wait until they are acknowledged, once there are no
// more than maxTail packets of them, but sends them with each shutdown.
func (c *Conn) Leave(now Instant, linger time.Duration) {
	c.bye.leaving = c.extended && !c.messages()
	c.Close(now, linger)
}

// Abort gives the connection up at once; the peer is told so.
func (c *Conn) Abort(now Instant) {
	switch c.state {
	case StateConnecting:
		c.terminate(now, EndAborted)
	case StateConnected, StateDraining:
		if c.bye.heard == byeBelieved {
			c.terminate(now, EndAborted) // nobody is left to be told
			return
		}
		c.abandon(EndAborted)
	}
}

// abandon skips what is not delivered yet.
func (c *Conn) abandon(end End) {
	c.state = StateGoodbye
	c.bye.copies, c.bye.pending, c.bye.ours = goodbyeCopies, true, end
	if c.bye.heard == byeDoubted {
		c.bye.copies = 1 // a peer that closes as well need not know
	}
	c.timers.clear(timerLinger)
}

// unconfirmed is whether something written is not acknowledged. A light ACK is
// not enough: what a libudt receiver acknowledged in none of the others can't be
// read there, and is thrown away when our shutdown comes.
func (c *Conn) unconfirmed() bool {
	return c.snd.held() > 0 || !c.extended && c.ackedFull < c.snd.una
}

// drained moves on once everything written is acknowledged.
func (c *Conn) drained(now Instant) {
	if c.lastWords() {
		c.abandon(EndLocal)
		return
	}
	if c.state != StateDraining || c.unconfirmed() {
		return
	}
	if c.messages() && !c.extended && c.snd.una > 0 {
		if !c.bye.delivered {
			c.bye.delivered = true
			c.timers.set(timerLinger, now.Add(readerGrace))
		}
		return
	}
	c.abandon(EndLocal)
}

// drainedOrNot is the end of a Close that waits no longer.
func (c *Conn) drainedOrNot() End {
	if c.bye.delivered {
		return EndLocal
	}
	return EndLinger
}

// lastWords is whether all that is left to be done is to repeat a few packets.
func (c *Conn) lastWords() bool {
	return c.bye.leaving && c.state == StateDraining && c.snd.next == c.snd.tail && c.snd.lostCount == 0 && c.snd.held() <= maxTail
}

// transmitTail appends what is not acknowledged.
func (c *Conn) transmitTail(now Instant, out []Run) []Run {
	for i := c.snd.una; i < c.snd.next && len(out) < cap(out); {
		r := c.snd.runAt(i, c.snd.next, maxTail)
		c.count.Retransmitted += int64(r.n)
		c.count.DataSent += int64(r.n)
		out = append(out, Run{Buf: c.snd.bytes(r, now), Segment: c.snd.stride})
		i += packetIndex(r.n)
	}
	return out
}

func (c *Conn) transmitGoodbye(now Instant, out []Run) []Run {
	c.drained(now) // the last words may just have been sent
	if c.bye.answer && len(out) < cap(out) {
		c.bye.answer = false
		out = c.packet(out, func(b []byte) []byte {
			return appendEmptyControl(b, TypeKeepAlive, keepAliveHeard, c.peerID)
		})
	}
	if !c.bye.pending || len(out) == cap(out) {
		return out
	}
	c.bye.pending = false
	// The peer's own Close may wait for the last ACK; it goes along once.
	if c.rcv.next > c.acks.confirmed && (c.rcv.next > c.acks.full || now > c.acks.fullAt) {
		c.acks.pending = ackFull
		if out = c.transmitACK(now, out); len(out) == cap(out) {
			c.bye.pending = true
			return out
		}
	}
	if c.bye.leaving && c.bye.copies < goodbyeCopies {
		if out = c.transmitTail(now, out); len(out) == cap(out) {
			c.bye.pending = true
			return out
		}
	}
	out = c.packet(out, func(b []byte) []byte { return AppendShutdown(b, c.peerID, c.bye.ours != EndLocal) })
	c.bye.copies--
	if c.bye.copies == 0 {
		c.terminate(now, c.bye.ours)
		return out
	}
	c.timers.set(timerBye, now.Add(goodbyeGap))
	return out
}

// onShutdown takes the peer's goodbye. One forged packet must not end a
// transfer, so the peer is asked for a sign of life, by repeating an ACK: a
// living sender answers each. Silence confirms the end; stragglers that the
// network delayed only prolong the question.
func (c *Conn) onShutdown(now Instant, info uint32) {
	if c.state == StateGoodbye {
		c.farewell(now) // closed from both ends
		return
	}
	c.bye.answer = true
	if c.bye.heard != byeNone {
		return
	}
	c.bye.heard, c.bye.info = byeDoubted, info
	c.bye.silences, c.bye.signs, c.bye.alive = 0, 0, false
	c.askForLife(now)
}

// farewell ends our goodbye: the peer knows, unless it may have missed what
// went before the shutdown.
func (c *Conn) farewell(now Instant) {
	if c.state != StateGoodbye || c.bye.leaving && c.snd.held() > 0 {
		return
	}
	if c.bye.copies == goodbyeCopies {
		c.bye.copies = 1 // none was sent so far
		return
	}
	c.terminate(now, c.bye.ours)
}

func (c *Conn) askForLife(now Instant) {
	c.acks.pending = ackFull
	if c.snd.inFlight() > 0 {
		// If the peer had it all and its last ACK was lost, a copy of what is
		// not acknowledged brings that again (Epitaph).
		c.repeat(c.snd.markLost(c.snd.una, c.snd.una+1, now))
	}
	spread := c.rtt.spread()
	if c.ackRTT.measured && c.snd.inFlight() == 0 {
		// The peer's own estimate may still be its initial one. But while data
		// is under way its queues delay the question too, more than we knew.
		spread = min(spread, c.ackRTT.spread())
	}
	least := byePatience
	if !c.extended && c.snd.next == c.snd.tail && c.unconfirmed() {
		least = lateACK
	}
	wait := min(max(least, spread), maxByePatience) / byeProbes
	c.timers.set(timerBye, now.Add(wait))
}

// onByeTimer sends the next copy of our shutdown, or judges the peer's.
func (c *Conn) onByeTimer(now Instant) {
	if c.state == StateGoodbye {
		c.bye.pending = true
		return
	}
	if c.bye.heard != byeDoubted {
		return
	}
	if c.bye.alive {
		c.bye.alive, c.bye.silences = false, 0
		c.bye.signs++
	} else {
		c.bye.silences++
	}
	switch {
	case c.bye.silences >= byeProbes:
		c.believeShutdown(now)
	case c.bye.signs >= maxByeSigns:
		c.bye.heard = byeNone
		c.count.Invalid++
	default:
		c.askForLife(now)
	}
}

func (c *Conn) believeShutdown(now Instant) {
	c.bye.heard, c.bye.end = byeBelieved, EndPeer
	if c.bye.info == shutdownAborted || c.rcv.next != c.rcv.high {
		c.bye.end = EndPeerAbort
	}
	c.noteIdle(now)
	if c.state == StateDraining {
		c.terminate(now, c.drainedOrNot())
		return
	}
	// Nobody listens any more; what arrived stays readable.
	c.timers.init()
	c.acks.pending, c.ack2.n, c.keepAlive, c.bye.answer = ackNone, 0, false, false
}

// Lose ends the connection because its packets can't get out or in any more.
func (c *Conn) Lose(now Instant) { c.terminate(now, EndLost) }

// AppendShutdown appends a shutdown packet for the socket dst; aborted says
// that not everything was delivered.
func AppendShutdown(b []byte, dst uint32, aborted bool) []byte {
	info := uint32(0)
	if aborted {
		info = shutdownAborted
	}
	return appendEmptyControl(b, TypeShutdown, info, dst)
}
