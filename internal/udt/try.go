package udt

import (
	"net"

	"github.com/udtcp/udtcp/internal/udt/proto"
)

// This file is what goes with a Poller: calls on a Conn that do not wait.

// TryRead is Read without waiting: it gives EASYNCRCV if nothing is there.
func (c *Conn) TryRead(p []byte) (int, error) {
	if err := c.carries(Stream); err != nil {
		return 0, c.fail("read", err)
	}
	if err := c.reading.tryEnter(c.closing); err != nil {
		return 0, c.fail("read", err)
	}
	defer c.reading.leave()
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.readNow(p)
	if n == 0 && err == nil {
		err = ErrWouldBlock
	}
	if err != nil {
		return n, c.fail("read", err)
	}
	return n, nil
}

// TryWrite puts into the send buffer what fits of p, and returns how much that
// was. It does not wait: if nothing fits it gives EASYNCSND.
func (c *Conn) TryWrite(p []byte) (int, error) {
	if err := c.carries(Stream); err != nil {
		return 0, c.fail("write", err)
	}
	if err := c.writing.tryEnter(c.closing); err != nil {
		return 0, c.fail("write", err)
	}
	defer c.writing.leave()
	total, l := 0, load{bytes: p}
	for !l.empty() {
		n, err := c.writeNow(&l)
		total += n
		if err == nil && n == 0 {
			if total > 0 {
				break
			}
			err = ErrWouldBlock
		}
		if err != nil {
			return total, c.fail("write", err)
		}
	}
	return total, nil
}

// Err says why the connection is over: why it was not made, that it broke, or
// that its peer (ErrPeerClosed) or this end (net.ErrClosed) has closed it. It
// is nil while it is not over, and while it is being made.
func (c *Conn) Err() error {
	c.mu.Lock()
	end, peer := c.p.End(), c.p.PeerID()
	c.mu.Unlock()
	switch {
	case isClosed(c.closing):
		return c.fail("use", net.ErrClosed)
	case end == proto.EndNone:
		return nil
	case peer == 0:
		return c.setupError("dial")
	}
	return c.fail("use", writeError(end))
}

// setupError says why a connection that is over was not made.
func (c *Conn) setupError(op string) error {
	c.mu.Lock()
	end := c.p.End()
	c.mu.Unlock()
	why, known := ends[end]
	switch {
	case end == proto.EndTimeout:
		why.err = timeoutError(c.Config().ConnectTimeout)
	case !known:
		why.code, why.err = ECONNSETUP, net.ErrClosed
	}
	return &Error{Code: why.code, Op: op, Addr: c.RemoteAddr(), Err: why.err}
}

func (c *Conn) attach(w *watch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.source.attach(w)
}

func (c *Conn) detach(w *watch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.source.detach(w)
}

// wouldBlock is the code of a call that had nothing to do.
func wouldBlock(op string) Code {
	if op == "write" {
		return EASYNCSND
	}
	return EASYNCRCV
}
