package proto

import "net/netip"

// An Acceptor answers connection requests without keeping anything of them
// until a cookie has come back, and never sends more than it received.
type Acceptor struct {
	jar *CookieJar
	typ SocketType
}

// Terms are what a listener grants: a client that sends early data has to know
// before the answer.
type Terms struct {
	MSS    int // bytes, IP and UDP headers included
	Window int // packets the client may have in flight
}

// NewAcceptor returns an Acceptor for sockets of the given type.
func NewAcceptor(jar *CookieJar, typ SocketType) *Acceptor {
	return &Acceptor{jar: jar, typ: typ}
}

// Verdict is what to do with a request.
type Verdict uint8

// Verdicts.
const (
	VerdictIgnore Verdict = iota // drop it
	VerdictReply                 // send the reply
	VerdictAccept                // the cookie was good: make or find the connection
)

// Handle judges a datagram sent to socket ID 0. The reply, if any, is
// appended to buf. An expired cookie gets a fresh challenge: libudt's clients
// answer it at once, where libudt's listener falls silent.
func (a *Acceptor) Handle(now Instant, from netip.AddrPort, t Terms, b, buf []byte) (Verdict, Handshake, []byte) {
	ctl, ok := ParseControl(b)
	if !ok || ctl.Type != TypeHandshake || len(ctl.Body) != HandshakeSize {
		return VerdictIgnore, Handshake{}, nil
	}
	h, ok := ParseHandshake(ctl.Body)
	if !ok || h.ID == 0 || h.ID > SeqMask || h.Request.Rejected() {
		return VerdictIgnore, Handshake{}, nil
	}
	if h.Request == RequestInduction || !a.jar.Valid(now, from, h.Cookie) {
		// As libudt does, the challenge is the request with the cookie in it.
		h.Request, h.Cookie = RequestInduction, a.jar.Cookie(now, from)
		if h.Info = ctl.Info; h.offered() && a.matches(h) {
			h.grants(t, a.jar.SocketID(from, h.ID, h.ISN))
			ctl.Info = h.Info
		}
		return VerdictReply, h, replyTo(ctl, h, buf)
	}
	if !a.matches(h) {
		// Libudt's clients look at the request type alone; ours can tell from
		// the rest what the listener is.
		h.Version, h.SocketType = Version, a.typ
		return VerdictReply, h, Reject(ctl, h, buf)
	}
	if h.Info = ctl.Info; h.early() {
		h.EarlyID = a.jar.SocketID(from, h.ID, h.ISN)
	}
	return VerdictAccept, h, nil
}

// matches reports whether a client is one for this listener.
func (a *Acceptor) matches(h Handshake) bool {
	return h.Version == Version && h.SocketType == a.typ && h.MSS >= MinMSS
}

// Reject appends a rejection of request h, which came in ctl.
func Reject(ctl Control, h Handshake, buf []byte) []byte {
	h.Request = RequestRejected
	return replyTo(ctl, h, buf)
}

// replyTo re-uses the header of a request, as libudt does.
func replyTo(ctl Control, h Handshake, buf []byte) []byte {
	ctl.Dst, ctl.Body = h.ID, nil
	return h.Append(ctl.Append(buf))
}
