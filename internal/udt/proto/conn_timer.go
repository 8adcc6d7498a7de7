package proto

import "time"

// keepAliveInterval is how long the connection may be silent. UDT's own EXP
// timer sends the first keep-alive after 300 ms, later ones ever more slowly;
// once a second keeps a libudt peer's 46 s limit far away.
const keepAliveInterval = time.Second

// NextTimeout returns when HandleTimeout or Transmit next has something to do,
// which may be in the past; ok is false if that depends on packets or calls
// alone.
func (c *Conn) NextTimeout() (at Instant, ok bool) {
	if c.state == StateClosed || c.bye.heard == byeBelieved {
		return 0, false
	}
	if c.hs.pending || c.hold.pending || c.acks.pending != ackNone || c.ack2.n > 0 {
		return 0, true
	}
	at = min(c.timers.next(), c.lossTimeout())
	if c.state != StateConnecting {
		at = min(at, c.naks.next(c.nakClock()))
	}
	atOnce := c.keepAlive || c.bye.pending || c.bye.answer || !c.outbox.empty()
	if atOnce || c.hasData() {
		due := Instant(0)
		if !atOnce {
			due = c.pace.due()
		}
		if c.holds() {
			due = max(due, c.hold.until)
		}
		at = min(at, due)
	}
	return at, at != never
}

// HandleTimeout does what is due at now. Early or spurious calls do nothing.
func (c *Conn) HandleTimeout(now Instant) {
	if c.state == StateClosed || c.bye.heard == byeBelieved {
		return
	}
	if c.timers.expire(timerHandshake, now) {
		c.onHandshakeTimer()
	}
	if c.timers.expire(timerConnect, now) {
		end := EndTimeout
		if c.rdv.alien {
			end = EndMismatched
		}
		c.terminate(now, end)
		return
	}
	if c.timers.expire(timerPeer, now) {
		if limit := c.lastHeard.Add(c.cfg.PeerTimeout); limit > now {
			c.timers.set(timerPeer, limit)
		} else {
			c.terminate(now, EndLost)
			return
		}
	}
	if c.timers.expire(timerLinger, now) {
		c.abandon(c.drainedOrNot())
	}
	if c.timers.expire(timerHold, now) {
		c.onHoldTimer(now)
	}
	if c.timers.expire(timerACK, now) {
		c.onACKTimer(now)
	}
	if c.timers.expire(timerKeepAlive, now) {
		c.onKeepAliveTimer(now)
	}
	if c.timers.expire(timerBye, now) {
		c.onByeTimer(now)
	}
	if c.lossTimeout() <= now {
		c.onLossTimeout(now)
	}
}

// onKeepAliveTimer breaks our silence, and lets memory go that an idle
// connection has no use for, or a slower one than before. It is called about
// once a second.
func (c *Conn) onKeepAliveTimer(now Instant) {
	c.snd.spare.relax()
	c.rcv.spare.relax()
	if c.window.wait(now, &c.rcv) && c.acks.sent {
		c.acks.pending = ackFull
	}
	at := c.lastSent.Add(keepAliveInterval)
	if at <= now {
		c.keepAlive = true
		at = now.Add(keepAliveInterval)
		c.snd.trim()
		c.rcv.trim()
		if c.naks.fresh.empty() && c.naks.waiting.empty() {
			c.naks = nakQueue{}
		}
		if c.snd.held() == 0 {
			c.delivery.repeats = fifo[repeat]{}
		}
		c.reorder.trim()
	}
	c.timers.set(timerKeepAlive, at)
}
