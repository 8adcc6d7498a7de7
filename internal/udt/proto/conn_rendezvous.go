package proto

import "time"

// rendezvous is connection set-up between two ends that dial each other. There
// is no listener and no cookie, and each end keeps its own initial sequence
// number. An end asks with request type 0 until it hears the peer, and with -1
// from then on; it is connected by a -1 or -2, or by anything else that only a
// connected peer sends. -2 tells the peer so.
type rendezvous struct {
	active bool
	peer   Handshake // the latest that fits ours, if known
	known  bool
	told   bool // peer was sent to our socket ID, so its sender has heard us
	alien  bool // the other end speaks another version or has another socket type
	sent   int  // handshakes
	sentAt Instant
	next   Handshake // what to send when hs.pending, to the socket nextTo
	nextTo uint32
	last   bool // and nothing after it
}

// NewRendezvous starts a connection to a peer that dials us at the same time,
// or some time within both ends' ConnectTimeout. Transmit gives the first
// request.
func NewRendezvous(now Instant, cfg Config) *Conn {
	c := NewClient(now, cfg)
	c.rdv.active = true
	c.hs.request.Request = RequestRendezvous
	c.rdv.next = c.hs.request
	return c
}

// HandleRequest takes a datagram that came from the peer's address but, as its
// sender does not know ours yet, with the socket ID 0. It is of use only while
// a rendezvous is under way.
func (c *Conn) HandleRequest(now Instant, b []byte) {
	if c.state != StateConnecting || !c.rdv.active {
		return
	}
	ctl, ok := ParseControl(b)
	if !ok || ctl.Type != TypeHandshake || ctl.Dst != 0 {
		return
	}
	c.onHandshake(now, ctl)
}

// onRendezvous takes the peer's handshake. Anybody who can forge the peer's
// address can send one to the socket ID 0. What counts has our ID, which only
// the peer was told.
func (c *Conn) onRendezvous(now Instant, ctl Control, h Handshake) {
	told := ctl.Dst == c.cfg.ID
	if c.state != StateConnecting {
		c.onLateRendezvous(now, ctl, h)
		return
	}
	mine := h.ID == c.cfg.ID && h.ISN == c.isn // our own request, returned
	switch {
	case mine && told && h.Request == RequestInduction && h.Cookie != 0:
		// A listener's challenge to it. (Libudt's listeners keep silent.)
		c.terminate(now, EndListener)
		return
	case mine, h.ID == 0, h.ID > SeqMask, h.MSS < MinMSS, h.Request > 0, h.Request < RequestAgreement:
		c.count.Invalid++
		return
	case !c.fits(h):
		// The peer learns of it from our own request, and is not answered in
		// any way that could make it think that it is connected.
		c.rdv.alien = true
		c.say(RequestRendezvous, h, ctl.Timestamp)
		c.rdv.last = c.rdv.last || told
		return
	}
	c.sampleRendezvous(now, h, told)
	if told && c.hs.request.Request == RequestConclusion && h.Request != RequestRendezvous {
		c.meet(now, h, ctl.Timestamp)
		return
	}
	if told || !c.rdv.told {
		c.rdv.peer, c.rdv.known, c.rdv.told = h, true, told
	}
	c.hs.request.Request = RequestConclusion
	c.say(RequestConclusion, h, ctl.Timestamp)
}

// fits checks version and socket type, which libudt doesn't. In its answers
// from a connected end both are zero.
func (c *Conn) fits(h Handshake) bool {
	if h.Request == RequestAgreement && h.Version == 0 && h.SocketType == 0 {
		return true
	}
	return h.Version == Version && h.SocketType == c.cfg.Type
}

// say sends a handshake of the given type in answer to h at once.
func (c *Conn) say(r RequestType, h Handshake, stamp uint32) {
	c.rdv.next, c.rdv.nextTo = c.answerTo(h, r, stamp), h.ID
	c.hs.pending = true
}

// answerTo makes a handshake of the given type in answer to h. A libudt peer
// adopts the MSS that it is told; so it is told the smaller one. Between ends of
// ours the cookie, of no other use here, takes the timestamp of h back.
func (c *Conn) answerTo(h Handshake, r RequestType, stamp uint32) Handshake {
	a := c.hs.request
	a.Request, a.MSS = r, uint32(min(c.cfg.MSS, int(min(h.MSS, MaxMSS))))
	if h.metOurs() {
		a.Info, a.Cookie = extensionAccept, stamp
	}
	return a
}

// metOurs says whether a handshake of a rendezvous comes from an end of ours.
func (h Handshake) metOurs() bool {
	return h.offered() && h.Request == RequestRendezvous || h.accepted()
}

// sampleRendezvous takes the first round trip, if h tells it. Another end's
// timestamps aside, only the answer to the one handshake we have sent does.
func (c *Conn) sampleRendezvous(now Instant, h Handshake, told bool) {
	switch {
	case !told || c.rtt.measured:
	case h.accepted():
		if h.Cookie != 0 {
			d := time.Duration(now.microseconds()-h.Cookie) * time.Microsecond
			c.sampleHandshake(min(d, now.Sub(c.opened)))
		}
	case c.rdv.sent == 1:
		c.sampleHandshake(now.Sub(c.rdv.sentAt))
	}
}

// meet connects to the peer that sent h. Unless h says that it is connected, it
// is told so before anything else is sent, as by a listener.
func (c *Conn) meet(now Instant, h Handshake, stamp uint32) {
	if p := c.rdv.peer; h.Version == 0 && p.ID == h.ID && p.ISN == h.ISN {
		h.FlightFlag = p.FlightFlag // of its buffer; libudt's -2 has a constant (trap H5)
	}
	c.timers.clear(timerConnect)
	c.hs.pending = false
	c.rcv.isn = h.ISN
	c.extended = h.metOurs()
	c.hold.response = c.answerTo(h, RequestAgreement, stamp)
	c.establish(now, int(c.hold.response.MSS), h.ID, clampFlight(h.FlightFlag))
	if h.Request == RequestAgreement {
		c.keepAlive = true // lets the peer's data go, if it holds any back
		return
	}
	c.hold.active, c.hold.pending = true, true
	c.hold.until = never
}

// metSilently reports whether a packet that is no handshake, sent to our socket
// ID by the peer, shows that the peer has met us: its handshake that said so was
// lost or overtaken. Where the packet is data it must fit the peer's numbers.
func (c *Conn) metSilently(now Instant, seq *Seq) bool {
	p := c.rdv.peer
	if c.hs.request.Request != RequestConclusion || !c.rdv.known {
		return false
	}
	if seq != nil {
		if i := indexOf(*seq, p.ISN, 0); i < 0 || i >= packetIndex(c.cfg.Window) {
			c.count.Invalid++
			return false
		}
	}
	if p.metOurs() {
		p.Info = extensionAccept
	}
	p.Request = RequestAgreement // as good as
	c.meet(now, p, 0)
	return true
}

// onLateRendezvous takes a handshake of a peer that has met us already.
func (c *Conn) onLateRendezvous(now Instant, ctl Control, h Handshake) {
	switch h.Request {
	case RequestAgreement:
		c.heard(now, true)
	case RequestRendezvous, RequestConclusion:
		if h.ID != c.peerID {
			c.count.Invalid++
			return
		}
		c.hold.pending = true
		if c.extended {
			c.hold.response.Cookie = ctl.Timestamp
		}
	default:
		c.count.Invalid++
	}
}

// transmitRendezvous appends the handshake that is due.
func (c *Conn) transmitRendezvous(now Instant, out []Run) []Run {
	h, to := c.rdv.next, c.rdv.nextTo
	c.rdv.sent++
	c.rdv.sentAt = now
	out = c.packet(out, func(b []byte) []byte { return appendRequest(b, h, to, now.microseconds()) })
	if c.rdv.last {
		c.terminate(now, EndMismatched)
	}
	return out
}

// onRendezvousTimer repeats the request.
func (c *Conn) onRendezvousTimer() {
	if c.rdv.known {
		c.say(c.hs.request.Request, c.rdv.peer, 0)
		return
	}
	c.rdv.next, c.rdv.nextTo = c.hs.request, 0
	c.hs.pending = true
}
