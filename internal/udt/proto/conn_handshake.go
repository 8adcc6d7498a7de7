package proto

import "time"

const (
	// handshakeRetry is the time between repeats of a request.
	handshakeRetry = 250 * time.Millisecond
	// staleCookieRetries is how many unanswered second requests mean that the
	// cookie has gone stale: libudt's listener refuses it silently when its
	// minute turns (protocol trap H1).
	staleCookieRetries = 2
	// earlyDataHold keeps a listener's first data back until the client was
	// heard from. A blocking libudt client loses what comes right behind the
	// response, and is dead for good if anything comes before it (traps H2,
	// H3); measured, 20 ms are enough. An end of ours keeps what is early.
	earlyDataHold = 20 * time.Millisecond
	// maxOvertaking is how many data packets a client keeps that overtook the
	// response.
	maxOvertaking = 256
)

// clientHandshake is the client's side of connection set-up.
type clientHandshake struct {
	request Handshake
	pending bool    // the request is to be sent
	second  int     // second requests sent
	sentAt  Instant // the latest of them
	unheard int     // second requests sent since the last challenge
	// assumed is whether what the listener's challenge said is taken for its
	// answer, so that early data can go, until that comes.
	assumed  bool
	overtook int // data packets kept so far
}

// responseHold is the server's side, and that of the end that is connected
// first in a rendezvous: the response that may have to be repeated, and the hold
// on early data.
type responseHold struct {
	response Handshake
	pending  bool
	sentAt   Instant // first; valid if sent
	sent     bool
	active   bool // the peer was not heard from yet
	early    bool // its early data do not count: they were sent before the response
	until    Instant
	repeated bool
}

// NewClient starts a connection to a listener. Transmit gives the first
// request.
func NewClient(now Instant, cfg Config) *Conn {
	c := newConn(now, cfg)
	c.isn, c.mss = cfg.ISN, cfg.MSS
	c.rcv.init(cfg.ISN, cfg.MSS, cfg.Window)
	c.rcv.narrow(cfg.FirstWindow)
	c.hs.request = Handshake{
		Version: Version, SocketType: cfg.Type, ISN: cfg.ISN,
		MSS: uint32(cfg.MSS), FlightFlag: uint32(cfg.Window),
		Request: RequestInduction, ID: cfg.ID, IP: WireIP(cfg.PeerIP), Info: extensionOffer,
	}
	c.hs.pending = true
	c.timers.set(timerConnect, now.Add(cfg.ConnectTimeout))
	return c
}

// NewServer starts the accepted end of a connection, from a second request
// that an Acceptor let through. Both directions use the client's initial
// sequence number.
func NewServer(now Instant, cfg Config, hs Handshake) *Conn {
	c := newConn(now, cfg)
	c.server, c.isn = true, hs.ISN
	mss := max(MinMSS, min(cfg.MSS, int(min(hs.MSS, MaxMSS))))
	c.rcv.init(hs.ISN, mss, cfg.Window)
	c.rcv.narrow(cfg.FirstWindow)
	c.hold = responseHold{
		response: Handshake{
			Version: Version, SocketType: cfg.Type, ISN: hs.ISN,
			MSS: uint32(mss), FlightFlag: uint32(cfg.Window),
			Request: RequestConclusion, ID: cfg.ID, Cookie: hs.Cookie, IP: WireIP(cfg.PeerIP),
		},
		pending: true,
		active:  true,
		early:   hs.early(),
		until:   never,
	}
	if hs.offered() {
		c.extended = true
		c.hold.response.Info = extensionAccept
	}
	c.establish(now, mss, hs.ID, clampFlight(hs.FlightFlag))
	return c
}

// clampFlight makes an announced flight size usable: at least the two packets
// that any receiver takes.
func clampFlight(f uint32) int { return int(max(2, min(f, 1<<30))) }

// RepeatResponse sends the response again: the client repeated its request,
// so the first was lost. It is harmless at any time.
func (c *Conn) RepeatResponse() {
	if c.server && c.state != StateClosed {
		c.hold.pending = true
	}
}

// heard lifts the hold on early data. It is the first round trip of a
// listener's end; a client of libudt may have taken its time, though, so that
// only less than the guess is believed. From a client that sends early data only
// an answer counts, to something that it was sent.
func (c *Conn) heard(now Instant, answer bool) {
	if !c.hold.active || c.hold.early && !answer {
		return
	}
	c.hold.active = false
	c.timers.clear(timerHold)
	if c.rdv.active {
		return // what was heard may have crossed the response
	}
	if d := now.Sub(c.hold.sentAt); c.hold.sent && (c.extended || d < initialRTT) {
		c.sampleHandshake(d)
	}
}

// sampleHandshake takes a round trip of the handshake as the first one.
func (c *Conn) sampleHandshake(d time.Duration) {
	c.rtt.sample(d)
	c.ackRTT.sample(d)
}

// holds reports whether data are not understood yet: a peer of libudt was not
// heard from.
func (c *Conn) holds() bool { return c.hold.active && !c.extended }

func (c *Conn) held(now Instant) bool { return c.holds() && now < c.hold.until }

// onHoldTimer repeats the response once half-way through the hold, which begins
// with the first, and then lets the data go. Where this end is late, the time
// between the response and the data is kept all the same: had the first been lost,
// data right behind or before the second would do harm. In a rendezvous data also connect a peer of libudt, but a
// blocking one for nothing: there the response is repeated before them, too.
func (c *Conn) onHoldTimer(now Instant) {
	if !c.hold.repeated {
		c.hold.repeated = true
		c.hold.pending = true
		c.hold.until = max(c.hold.until, now.Add(earlyDataHold/2))
		c.timers.set(timerHold, c.hold.until)
		return
	}
	c.hold.pending = c.hold.pending || c.rdv.active
}

// onHandshake takes a handshake packet addressed to this connection's ID.
func (c *Conn) onHandshake(now Instant, ctl Control) {
	h, ok := ParseHandshake(ctl.Body)
	if !ok {
		c.count.Invalid++
		return
	}
	if c.rdv.active {
		h.Info = ctl.Info
		c.onRendezvous(now, ctl, h)
		return
	}
	if c.state != StateConnecting && !c.hs.assumed {
		if h.Request > 0 && !h.Request.Rejected() {
			c.RepeatResponse()
		}
		return
	}
	h.Info = ctl.Info
	switch {
	case h.Request.Rejected():
		c.terminate(now, c.rejection(h))
	case h.Request == RequestInduction:
		if h.Cookie == 0 {
			c.count.Invalid++
			return
		}
		if c.hs.assumed && h.Cookie == c.hs.request.Cookie {
			return // a copy
		}
		// A listener's challenge is the request with a cookie in it, so the
		// request's timestamp tells the round trip even if it was repeated.
		if d := now.microseconds() - ctl.Timestamp; ctl.Timestamp != 0 && c.hs.request.Request == RequestInduction {
			c.sampleHandshake(min(time.Duration(d)*time.Microsecond, now.Sub(c.opened)))
		}
		c.hs.request.Request, c.hs.request.Cookie = RequestConclusion, h.Cookie
		c.hs.request.Info = extensionOffer
		c.hs.unheard = 0
		c.hs.pending = true
		c.timers.clear(timerHandshake)
		if c.cfg.EarlyData && c.hs.second == 0 {
			c.assume(now, h)
		}
	default:
		c.onResponse(now, h)
	}
}

// assume starts the data phase on what the listener's challenge promises. The
// second request goes first, and is repeated until it is answered.
func (c *Conn) assume(now Instant, challenge Handshake) {
	id := challenge.granted()
	if id == 0 {
		return
	}
	c.hs.request.Info = extensionEarly
	c.hs.assumed, c.extended = true, true
	c.establish(now, min(c.cfg.MSS, int(min(challenge.MSS, MaxMSS))), id, clampFlight(challenge.FlightFlag))
}

// rejection says why a listener refused. Libudt's sends the request back, so
// that what differs comes from a listener of ours.
func (c *Conn) rejection(h Handshake) End {
	switch {
	case h.Version != Version:
		return EndOtherVersion
	case h.SocketType != c.cfg.Type:
		return EndOtherType
	}
	return EndRejected
}

// onResponse takes the listener's final answer. Repeated answers of libudt
// have version, type and cookie zero, so only what is there is checked.
func (c *Conn) onResponse(now Instant, h Handshake) {
	if c.hs.second == 0 || h.ID == 0 || h.ID > SeqMask {
		c.count.Invalid++
		return
	}
	if h.Version != 0 && h.Version != Version ||
		h.SocketType != 0 && h.SocketType != c.cfg.Type || h.ISN != c.isn {
		c.terminate(now, EndMismatched)
		return
	}
	mss, flight := c.cfg.MSS, clampFlight(h.FlightFlag)
	if h.MSS >= MinMSS && int64(h.MSS) < int64(mss) {
		mss = int(h.MSS)
	}
	c.timers.clear(timerConnect)
	c.hs.pending = false
	if c.hs.second == 1 { // else it isn't known which one this answers
		c.sampleHandshake(now.Sub(c.hs.sentAt))
	}
	if c.hs.assumed {
		if !h.accepted() || mss != c.mss || flight != c.peerFlight {
			c.terminate(now, EndMismatched) // another listener than the one that challenged
			return
		}
		// What went to another ID than the listener's choice is lost.
		c.hs.assumed, c.peerID, c.snd.dst = false, h.ID, h.ID
		c.timers.clear(timerHandshake)
	} else {
		c.extended = h.accepted()
		c.establish(now, mss, h.ID, flight)
	}
	c.keepAlive = true // lets the listener know that its data may come
	if c.rcv.next > 0 {
		c.timers.set(timerACK, now)
	}
}

// onHandshakeTimer repeats the request.
func (c *Conn) onHandshakeTimer() {
	if c.rdv.active {
		c.onRendezvousTimer()
		return
	}
	if c.hs.request.Request == RequestConclusion {
		c.hs.unheard++
		if c.hs.unheard > staleCookieRetries {
			c.hs.request.Request, c.hs.request.Cookie = RequestInduction, 0
			c.hs.request.Info = extensionOffer
		}
	}
	c.hs.pending = true
}

// transmitHandshake appends what connection set-up has to send.
func (c *Conn) transmitHandshake(now Instant, out []Run) []Run {
	if c.hs.pending && (c.state == StateConnecting || c.hs.assumed) && len(out) < cap(out) {
		c.hs.pending = false
		c.timers.set(timerHandshake, now.Add(handshakeRetry))
		if c.rdv.active {
			return c.transmitRendezvous(now, out)
		}
		if c.hs.request.Request == RequestConclusion {
			c.hs.second++
			c.hs.sentAt = now
		}
		out = c.packet(out, func(b []byte) []byte { return appendRequest(b, c.hs.request, 0, now.microseconds()) })
	}
	if c.hold.pending && len(out) < cap(out) {
		c.hold.pending = false
		if !c.hold.sent {
			c.hold.sent, c.hold.sentAt = true, now
			if c.hold.active {
				c.hold.until = now.Add(earlyDataHold)
				c.timers.set(timerHold, now.Add(earlyDataHold/2))
			}
		}
		out = c.packet(out, func(b []byte) []byte { return appendHandshake(b, c.hold.response, c.peerID) })
		if c.rdv.active {
			c.hold.response.Cookie = 0 // the timestamp is sent back at once or not at all
		}
	}
	return out
}
