package udt

import (
	"fmt"
	"slices"

	"github.com/udtcp/udtcp/internal/udt/proto"
)

// MessageOptions say how a message is to be delivered: within what time, and
// whether behind those written before it.
type MessageOptions = proto.MessageOptions

// WriteMessage writes p as one message. It returns when all of it is in the send
// buffer; until there is room for that nothing of it is. What is not
// acknowledged within o.TTL is not sent any more, and the receiver told not to
// wait for it. ErrTooLarge says that p has more than MaxMessage bytes.
//
// An empty message takes a packet like any other. To a libudt peer nothing is
// sent: its receiver delivers no empty message, and after the end nothing behind
// one either.
func (c *Conn) WriteMessage(p []byte, o MessageOptions) error {
	if err := c.carries(Datagram); err != nil {
		return c.fail("write", err)
	}
	if err := c.writing.await(c.connected, c.closing); err != nil {
		return c.fail("write", err)
	}
	if err := c.writing.enter(c.closing); err != nil {
		return c.fail("write", err)
	}
	defer c.writing.leave()
	// The time to live begins here, and not when there is room.
	written := c.now()
	for {
		begun, err := c.beginMessage(written, len(p), o)
		if err == nil && !begun {
			err = c.writing.wait(c.closing)
		}
		if err != nil {
			return c.fail("write", err)
		}
		if begun {
			break
		}
	}
	return c.finishMessage(p)
}

// TryWriteMessage is WriteMessage without waiting: it gives EASYNCSND if there is
// no room for the message. A Poller reports PollOut once there is.
func (c *Conn) TryWriteMessage(p []byte, o MessageOptions) error {
	if err := c.carries(Datagram); err != nil {
		return c.fail("write", err)
	}
	if err := c.writing.tryEnter(c.closing); err != nil {
		return c.fail("write", err)
	}
	defer c.writing.leave()
	if !isClosed(c.connected) {
		return c.fail("write", ErrWouldBlock)
	}
	begun, err := c.beginMessage(c.now(), len(p), o)
	if err == nil && !begun {
		err = ErrWouldBlock
	}
	if err != nil {
		return c.fail("write", err)
	}
	return c.finishMessage(p)
}

// finishMessage fills the message that was begun.
func (c *Conn) finishMessage(p []byte) error {
	for more := c.inMessage(); more; {
		var (
			n   int
			err error
		)
		if n, more, err = c.fillMessage(p); err != nil {
			return c.fail("write", err)
		}
		p = p[n:]
	}
	return nil
}

// beginMessage makes room for a message; begun is false if there is none yet.
func (c *Conn) beginMessage(written proto.Instant, n int, o MessageOptions) (begun bool, err error) {
	if err := c.writing.check(c.closing); err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.peerError; err != nil {
		c.peerError = nil
		c.changed()
		return false, err
	}
	if !c.p.CanWrite() {
		return false, writeError(c.p.End())
	}
	if most := c.p.MaxMessage(); n > most {
		return false, fmt.Errorf("%w: %d bytes, the buffers of both ends take %d", ErrTooLarge, n, most)
	}
	if n == 0 && !c.p.DeliversEmpty() {
		return true, nil
	}
	begun = c.p.BeginMessage(written, n, o)
	c.changed()
	return begun, nil
}

// inMessage reports whether a message was begun that is not complete.
func (c *Conn) inMessage() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.p.InMessage()
}

// fillMessage puts what fits of p into one piece of the send buffer and says
// whether there is more of the message to come. The copying is done without the
// lock.
func (c *Conn) fillMessage(p []byte) (n int, more bool, err error) {
	c.mu.Lock()
	f, ok := c.p.Reserve()
	if !ok {
		err := writeError(c.p.End())
		c.mu.Unlock()
		return 0, false, err
	}
	c.mu.Unlock()
	n = f.Copy(p)
	c.mu.Lock()
	c.p.Commit(c.now(), &f)
	more = c.p.InMessage()
	c.changed()
	c.mu.Unlock()
	return n, more, nil
}

// MaxMessage is the most bytes a message may have, by the buffers of both ends.
func (c *Conn) MaxMessage() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.p.MaxMessage()
}

// ReadMessage reads the next message into p and returns its length. Of one that
// has no room in p the rest is discarded, and n bytes are returned with
// ErrTruncated. The ends are those of Read.
func (c *Conn) ReadMessage(p []byte) (n int, err error) {
	return c.readMessage(func(int) []byte { return p })
}

// AppendMessage appends the next message to b, whatever its length, and returns
// the result. ErrTruncated comes only where a peer sent more than our receive
// buffer holds, which is then lost.
func (c *Conn) AppendMessage(b []byte) ([]byte, error) {
	have := len(b)
	n, err := c.readMessage(func(size int) []byte {
		b = slices.Grow(b, size)
		return b[have : have+size]
	})
	return b[:have+n], err
}

// readMessage reads the next message into the space it is given for its size.
func (c *Conn) readMessage(space func(size int) []byte) (int, error) {
	if err := c.carries(Datagram); err != nil {
		return 0, c.fail("read", err)
	}
	if err := c.reading.enter(c.closing); err != nil {
		return 0, c.fail("read", err)
	}
	defer c.reading.leave()
	for {
		if err := c.reading.check(c.closing); err != nil {
			return 0, c.fail("read", err)
		}
		n, ok, err := c.readMessageNow(space)
		if !ok && err == nil {
			err = c.reading.wait(c.closing)
		}
		if err != nil {
			return n, c.fail("read", err)
		}
		if ok {
			return n, nil
		}
	}
}

// TryReadMessage is ReadMessage without waiting: it gives EASYNCRCV if no message
// is there.
func (c *Conn) TryReadMessage(p []byte) (int, error) {
	if err := c.carries(Datagram); err != nil {
		return 0, c.fail("read", err)
	}
	if err := c.reading.tryEnter(c.closing); err != nil {
		return 0, c.fail("read", err)
	}
	defer c.reading.leave()
	n, ok, err := c.readMessageNow(func(int) []byte { return p })
	if !ok && err == nil {
		err = ErrWouldBlock
	}
	if err != nil {
		return n, c.fail("read", err)
	}
	return n, nil
}

// readMessageNow takes the next message; ok is false if none is there.
func (c *Conn) readMessageNow(space func(size int) []byte) (n int, ok bool, err error) {
	c.mu.Lock()
	size, cut, ok := c.p.NextMessage()
	end := c.p.End()
	c.mu.Unlock()
	if !ok {
		return 0, false, readError(end)
	}
	n = c.takeMessage(space(size))
	switch {
	case n < size:
		err = fmt.Errorf("%w: %d of %d bytes", ErrTruncated, n, size)
	case cut:
		err = fmt.Errorf("%w: it is larger than the receive buffer, which held %d bytes of it", ErrTruncated, n)
	}
	return n, true, err
}

// takeMessage copies what fits of the next message to p, without the lock, and
// discards the rest.
func (c *Conn) takeMessage(p []byte) int {
	total := 0
	for more := true; more; {
		c.mu.Lock()
		v, ok := c.p.PeekMessage()
		c.mu.Unlock()
		if ok {
			total += v.Copy(p[total:])
		}
		c.mu.Lock()
		if more = ok && total < len(p); more {
			c.p.ConsumeMessage(&v)
		} else {
			c.p.FinishMessage()
			c.changed()
		}
		c.mu.Unlock()
	}
	return total
}

// carries refuses calls that are for the other type of socket.
func (c *Conn) carries(t SocketType) error {
	switch {
	case c.p.Type() == t:
		return nil
	case t == Stream:
		return ErrMessages
	}
	return ErrStream
}
