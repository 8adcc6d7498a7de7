package proto

// A Run is one or more datagrams ready to be sent: Segment bytes each, the
// last may be shorter. Its memory is the engine's own and stays as it is until
// the next call of Transmit.
type Run struct {
	Buf     []byte
	Segment int
}

// Reserve starts a Fill, a place to copy data to without holding any lock.
// ok is false if there is no room or writing has come to an end. Commit must
// follow before the next Reserve.
func (c *Conn) Reserve() (f Fill, ok bool) {
	if c.state == StateConnecting || !c.CanWrite() {
		return Fill{}, false
	}
	return c.snd.reserve()
}

// CanWrite reports whether the connection takes data at all, now or later.
func (c *Conn) CanWrite() bool {
	return c.state <= StateConnected && c.bye.heard != byeBelieved
}

// Commit hands over what f was filled with.
func (c *Conn) Commit(now Instant, f *Fill) {
	if c.snd.held() == 0 && !f.empty() {
		c.noteBusy(now)
	}
	c.snd.commit(f)
}

// Write takes what fits of p and returns how much that was.
func (c *Conn) Write(now Instant, p []byte) int {
	total := 0
	for total < len(p) {
		f, ok := c.Reserve()
		if !ok {
			break
		}
		n := f.Copy(p[total:])
		c.Commit(now, &f)
		total += n
		if n == 0 {
			break
		}
	}
	return total
}

// Unacknowledged returns how many packets were written and not acknowledged.
func (c *Conn) Unacknowledged() int { return c.snd.held() }

// minBacklog is how many bytes may wait unsent, so that the sender does not
// run dry while the writer is being woken.
const minBacklog = 1 << 20

// sizeSendBuffer bounds what is buffered by what is in flight, so that memory
// follows use.
func (c *Conn) sizeSendBuffer() {
	backlog := max(maxRunSlots, minBacklog/c.snd.payload) + c.snd.inFlight()/4
	c.snd.limit = min(c.cfg.SendWindow, c.snd.inFlight()+backlog)
}

// writable wants a quarter of the backlog free, so that a blocked writer is
// woken for a decent piece of work, and room for the message that had none.
func (c *Conn) writable() bool {
	free := c.snd.limit - c.snd.held()
	return free > 0 && free >= (c.snd.limit-c.snd.inFlight())/4 && c.snd.held()+c.snd.wanted <= c.cfg.SendWindow
}

// Transmit appends what is to be sent now to out, up to its capacity. Call it
// until it appends nothing, sending what it gave in between.
func (c *Conn) Transmit(now Instant, out []Run) []Run {
	c.snd.settle()
	c.scratch = c.scratch[:0]
	if c.state == StateClosed || c.bye.heard == byeBelieved {
		return out
	}
	given := len(out)
	out = c.transmitHandshake(now, out)
	if c.state == StateConnecting || c.state == StateClosed {
		return out
	}
	out = c.transmitACK(now, out)
	out = c.transmitNAK(now, out)
	for c.ack2.n > 0 && len(out) < cap(out) {
		number := c.ack2.pop()
		out = c.packet(out, func(b []byte) []byte { return appendEmptyControl(b, TypeACK2, number, c.peerID) })
	}
	if c.keepAlive && !c.held(now) && len(out) < cap(out) {
		c.keepAlive = false
		out = c.packet(out, func(b []byte) []byte { return appendEmptyControl(b, TypeKeepAlive, 0, c.peerID) })
	}
	if !c.held(now) {
		out = c.transmitOutbox(out)
		out = c.transmitData(now, out)
		out = c.transmitGoodbye(now, out)
	}
	if len(out) > given {
		c.lastSent = now
	}
	return out
}

// packet appends a control packet that build writes, if it writes any.
func (c *Conn) packet(out []Run, build func([]byte) []byte) []Run {
	n := len(c.scratch)
	c.scratch = build(c.scratch)
	b := c.scratch[n:len(c.scratch):len(c.scratch)]
	if len(b) == 0 {
		return out
	}
	return append(out, Run{Buf: b, Segment: len(b)})
}

// transmitData appends data packets as far as the pacer and, for new ones, the
// windows let it: lost packets first, lowest number first.
func (c *Conn) transmitData(now Instant, out []Run) []Run {
	if !c.hasData() {
		c.pace.holds = false
		c.noteIdlePath()
		return out
	}
	budget := c.pace.budget(now)
	for len(out) < cap(out) {
		var r run
		if first, n, ok := c.snd.nextLost(); ok {
			if budget <= 0 {
				break
			}
			m, until := c.snd.mortalAt(first)
			if c.expired(now, m) {
				out = c.transmitDrop(now, out, m)
				budget--
				continue
			}
			r = c.snd.runAt(first, min(until, first+packetIndex(n)), budget)
			c.snd.resent(r)
			c.delivery.transmit(now, r.first, r.n, true)
			c.count.Retransmitted += int64(r.n)
			if c.events.sent != nil {
				c.tellSent(now, r, true)
			}
		} else {
			end := min(c.snd.sendable(), c.snd.next+packetIndex(c.windowLeft()))
			if c.probePair && budget <= 0 {
				budget = 1 // the second packet of a probe pair follows at once
			}
			if c.snd.next >= end || budget <= 0 {
				break
			}
			if c.snd.inFlight() == 0 {
				c.progressAt = now
			}
			m, until := c.snd.mortalAt(c.snd.next)
			if c.expired(now, m) {
				out = c.transmitDrop(now, out, m)
				budget--
				continue
			}
			r = c.snd.runAt(c.snd.next, min(until, end), budget)
			c.snd.advanceNext(r.first + packetIndex(r.n))
			c.delivery.transmit(now, r.first, r.n, false)
			last := (c.snd.next - 1).seqOf(c.isn)
			c.probePair = last%probeSpacing == 0
			c.count.BytesSent += int64(c.snd.payloadOf(r))
			if c.events.sent != nil {
				c.tellSent(now, r, false)
			}
		}
		buf := c.snd.bytes(r, now)
		budget -= r.n
		c.pace.sent(r.n)
		c.count.DataSent += int64(r.n)
		out = append(out, Run{Buf: buf, Segment: c.snd.stride})
	}
	c.pace.holds = c.hasData()
	c.sizeSendBuffer()
	c.noteIdlePath()
	return out
}

// noteIdlePath tells the delivery sampler if the path could take more than
// there is to send: no data, or no room at the receiver.
func (c *Conn) noteIdlePath() {
	if c.snd.lostCount == 0 && c.congestionEnd() > min(c.snd.next, c.flowEnd) &&
		(c.snd.next >= c.snd.sendable() || c.snd.next >= c.flowEnd) {
		c.delivery.idle()
	}
}

// hasData reports whether there is a packet that the windows let go.
func (c *Conn) hasData() bool {
	if c.state != StateConnected && c.state != StateDraining {
		return false
	}
	return c.snd.lostCount > 0 || c.snd.next < c.snd.sendable() && c.windowLeft() > 0
}

// windowLeft is how many new packets the flow and congestion windows let go.
func (c *Conn) windowLeft() int {
	return max(0, int(min(c.flowEnd, c.congestionEnd())-c.snd.next))
}

// congestionEnd is where the congestion window ends.
func (c *Conn) congestionEnd() packetIndex {
	return c.snd.una + packetIndex(max(1, min(c.cc.Window(), 1<<30)))
}
