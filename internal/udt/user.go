package udt

import (
	"errors"
	"net"
)

// SendUser sends a user-defined control packet (type 0x7FFF), once: it may get
// lost. A libudt peer hands it to its congestion controller, an end of ours to
// its own and to UserPackets. EINVPARAM says that it is longer than a packet
// (MSS-44 bytes), EASYNCSND that too many wait to be sent already.
func (c *Conn) SendUser(p UserPacket) error {
	if len(p.Words)*4 > c.MSS()-44 {
		return &Error{Code: EINVPARAM, Op: "send user packet", Addr: c.RemoteAddr(), Err: errors.New("longer than a packet")}
	}
	return c.post("send user packet", func() bool { return c.p.SendUser(p) })
}

// ReportError tells the peer that what it sends can't be used, as libudt's
// recvfile does when its file fails (with EFILE). The peer's next Write, or one
// that waits, fails with EPEERERR. It is sent once: it may get lost.
func (c *Conn) ReportError(code Code) error {
	return c.post("report error", func() bool { return c.p.SendError(uint32(code)) })
}

// post queues a control packet.
func (c *Conn) post(op string, queue func() bool) error {
	if isClosed(c.closing) {
		return c.fail(op, net.ErrClosed)
	}
	c.mu.Lock()
	ok := queue()
	end, open := c.p.End(), c.p.CanWrite()
	c.changed()
	c.mu.Unlock()
	switch {
	case ok:
		return nil
	case open:
		return &Error{Code: EASYNCSND, Op: op, Addr: c.RemoteAddr(), Err: errors.New("too many packets wait to be sent")}
	}
	return c.fail(op, writeError(end))
}

// UserPackets gives the user-defined control packets that come, up to
// Config.UserPackets of them at a time: what is not taken in time is dropped.
// It is closed when the connection is over, and nil if none are kept.
func (c *Conn) UserPackets() <-chan UserPacket { return c.user }

// passUser hands over what has come. c.mu is held; nothing waits.
func (c *Conn) passUser() {
	for {
		p, ok := c.p.TakeUser()
		if !ok {
			return
		}
		select {
		case c.user <- p:
		default:
		}
	}
}
