package proto

import "time"

// This file is what a connection of type Datagram does besides: messages in
// place of bytes.

// MessageOptions say how a message is to be delivered.
type MessageOptions struct {
	// TTL is the message's time to live, from when it is written. What is not
	// acknowledged by then is not sent, or sent again, any more. 0 is for ever.
	TTL time.Duration
	// InOrder keeps the message from being read before all that were written
	// before it. Others may overtake what is still missing.
	InOrder bool
}

func (c *Conn) messages() bool { return c.cfg.Type == Datagram }

// MaxMessage is the most bytes a message may have: what fits our send buffer,
// and the receive buffer that the peer's handshake tells of less the packet that
// libudt keeps free. A larger one would never be delivered, and nothing behind
// it (protocol trap D20).
func (c *Conn) MaxMessage() int { return min(c.cfg.SendWindow, c.peerFlight-1) * c.snd.payload }

// DeliversEmpty reports whether the peer is one that delivers empty messages.
func (c *Conn) DeliversEmpty() bool { return c.extended }

// BeginMessage starts a message of n bytes, at most MaxMessage; Reserve and
// Commit follow until it is complete. ok is false if there is no room for all of
// it, or if writing has come to an end.
func (c *Conn) BeginMessage(now Instant, n int, o MessageOptions) (ok bool) {
	packets := c.snd.packetsOf(n)
	c.snd.wanted = packets
	if !c.CanWrite() || c.snd.held() >= c.snd.limit || c.snd.held()+packets > c.cfg.SendWindow {
		return false
	}
	c.snd.wanted = 0
	expires := never
	if o.TTL > 0 {
		expires = now.Add(o.TTL)
	}
	c.snd.begin(n, o.InOrder, expires)
	return true
}

// InMessage reports whether a message was begun that is not complete.
func (c *Conn) InMessage() bool { return c.snd.draft.open }

// WriteMessage writes a whole message, or nothing and returns false.
func (c *Conn) WriteMessage(now Instant, p []byte, o MessageOptions) bool {
	if len(p) > c.MaxMessage() || !c.BeginMessage(now, len(p), o) {
		return false
	}
	for c.InMessage() {
		f, ok := c.Reserve()
		if !ok {
			return false
		}
		p = p[f.Copy(p):]
		c.Commit(now, &f)
	}
	return true
}

// expired reports whether m, which may be nil, is to be dropped.
func (c *Conn) expired(now Instant, m *mortal) bool {
	switch {
	case m == nil || m.at > now:
		return false
	case m.dropped:
		return true
	}
	// Unsent packets are dropped only where the receiver has room for them: a
	// sequence number that it can't take can't be skipped either. And libudt
	// never gets over the loss of the highest number of all if it is in a range
	// that is dropped (protocol trap D9).
	toHighest := packetIndex(SeqMask - m.first.seqOf(c.isn))
	return m.end <= max(c.flowEnd, c.snd.next) && (c.extended || toHighest >= m.end-m.first)
}

// transmitDrop appends a request to drop m.
func (c *Conn) transmitDrop(now Instant, out []Run, m *mortal) []Run {
	if !m.dropped {
		c.count.MessagesExpired++
	}
	c.snd.advanceNext(max(c.snd.next, m.end))
	c.snd.drop(m, now)
	c.pace.sent(1)
	d := DropRequest{Message: m.number, SeqRange: SeqRange{First: m.first.seqOf(c.isn), Last: (m.end - 1).seqOf(c.isn)}}
	return c.packet(out, func(b []byte) []byte { return d.Append(b, c.peerID) })
}

// onDropRequest takes the peer's word that a message is not sent any more.
func (c *Conn) onDropRequest(now Instant, ctl Control) {
	if !c.messages() {
		return // a stream has no messages to drop
	}
	d, ok := ParseDropRequest(ctl)
	first, end := indexOf(d.First, c.rcv.isn, c.rcv.next), indexOf(d.Last, c.rcv.isn, c.rcv.next)+1
	if !ok || end <= first || first >= c.rcv.read+packetIndex(c.rcv.window()) {
		c.count.Invalid++
		return
	}
	before, high := c.rcv.next, c.rcv.high
	if !c.extended && end > first+1 && !c.assembler.goesOn(&c.rcv, end-1) {
		// Libudt's ranges are one too long. What is missing there may be of the
		// next message, or a number that libudt then skips, as it does with the
		// one behind; it sends other packets under these if asked to.
		if end > high {
			c.assembler.doubt = end
		}
		end--
	}
	if c.rcv.forgo(first, end, d.Message) == 0 {
		// The sender has missed our ACK of it.
		c.acks.confirmed = min(c.acks.confirmed, max(0, first))
		c.acks.missed = true
		c.timers.sooner(timerACK, now.Add(syn))
		return
	}
	c.count.MessagesDropped++
	if first > high {
		c.naks.discovered(now, high, first)
	}
	c.reorder.passed(c.rcv.next)
	c.scheduleACK(now, before)
	c.hurryACK(now)
}

// label notes what packet i, just stored, is of; again says that it was sent
// before.
func (c *Conn) label(i packetIndex, d Data, again bool) {
	c.rcv.label(i, d.messageWord())
	c.assembler.suspect(i)
	if again && c.assembler.drifted && d.Boundary != BoundarySolo {
		c.rcv.take(i, i+1, true) // belongs elsewhere in its message, which is discarded
	}
	if i >= c.rcv.next {
		c.assembler.overtake(&c.rcv, i)
	}
}

// arrange finds the messages that new packets complete.
func (c *Conn) arrange() {
	if c.messages() {
		c.assembler.search(&c.rcv)
	}
}

// NextMessage returns the size in bytes of the message to be read next; cut says
// that there is more of it than the receive buffer holds, which is lost. ok is
// false if there is no message, and End says why if there will be none.
func (c *Conn) NextMessage() (size int, cut, ok bool) {
	if c.assembler.queue.empty() {
		return 0, false, false
	}
	m := c.assembler.queue.front()
	return m.size, m.cut, true
}

// PeekMessage returns a View of the next piece of the message that NextMessage
// tells of; ok is false at its end. Between PeekMessage and ConsumeMessage the
// View may be read without holding any lock.
func (c *Conn) PeekMessage() (v View, ok bool) { return c.assembler.peek(&c.rcv) }

// ConsumeMessage goes on to the packets that v has not taken.
func (c *Conn) ConsumeMessage(v *View) { c.assembler.at += packetIndex(v.taken) }

// FinishMessage discards the message, read or not.
func (c *Conn) FinishMessage() {
	c.assembler.finish(&c.rcv)
	c.offerWindow()
}

// ReadMessage copies the next message, or what fits of it, to p and returns its
// size; ok is false if there is none.
func (c *Conn) ReadMessage(p []byte) (size int, cut, ok bool) {
	if size, cut, ok = c.NextMessage(); !ok {
		return 0, false, false
	}
	for len(p) > 0 {
		v, ok := c.PeekMessage()
		if !ok {
			break
		}
		p = p[v.Copy(p):]
		c.ConsumeMessage(&v)
	}
	c.FinishMessage()
	return size, cut, true
}
