package udt

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/udtcp/udtcp/internal/udt/proto"
)

// Conn is a UDT connection: a stream, or of messages (Config.Type), which then
// are read and written with methods of their own. It is a net.Conn: all methods
// may be called from several goroutines, and deadlines and Close end calls that
// wait.
type Conn struct {
	endpoint *Endpoint
	remote   netip.AddrPort
	epoch    time.Time
	drops    uint64 // of the socket, before the connection

	mu     sync.Mutex // guards what follows; never held across a system call
	cfg    Config
	p      *proto.Conn
	ready  proto.Ready
	source source        // what gates and Pollers see of ready
	wakeAt proto.Instant // when run looks again by itself
	perf   perfmon

	peerError *PeerError // reported by the peer, for the next Write
	user      chan UserPacket

	reading, writing gate
	wake             chan struct{} // ends run's sleep
	connected        chan struct{} // closed when the handshake is over
	closing          chan struct{} // closed when Close or Abort is called
	closeOnce        sync.Once
	done             chan struct{} // closed when run has ended
}

var _ net.Conn = (*Conn)(nil)

const (
	awake = proto.Instant(-1 << 63)  // wakeAt while run is busy
	never = proto.Instant(1<<63 - 1) // wakeAt without a timer
)

func newConn(e *Endpoint, cfg Config, remote netip.AddrPort, now time.Time) *Conn {
	c := &Conn{
		endpoint:  e,
		remote:    remote,
		epoch:     now,
		cfg:       cfg,
		drops:     e.SocketInfo().Drops,
		wakeAt:    awake,
		wake:      make(chan struct{}, 1),
		connected: make(chan struct{}),
		closing:   make(chan struct{}),
		done:      make(chan struct{}),
	}
	if n := cfg.UserPackets; n > 0 {
		c.user = make(chan UserPacket, n)
	}
	c.reading.init()
	c.writing.init()
	return c
}

// at turns a time into the connection's own.
func (c *Conn) at(t time.Time) proto.Instant { return proto.Instant(t.Sub(c.epoch)) }

func (c *Conn) now() proto.Instant { return c.at(time.Now()) }

// changed compares what is possible now with before and wakes who waits for
// it. It follows every use of c.p and is called with c.mu held.
func (c *Conn) changed() {
	c.passUser()
	r := c.p.Ready()
	was := c.ready
	c.ready = r
	if code, ok := c.p.PeerError(); ok && !c.cfg.IgnorePeerErrors {
		c.peerError = &PeerError{Code: code}
	}
	risen := c.source.set(c.events())
	if risen&PollIn != 0 {
		c.reading.wake()
	}
	if risen&PollOut != 0 {
		c.writing.wake()
	}
	if r.Connected && !was.Connected {
		close(c.connected)
	}
	if at, ok := c.p.NextTimeout(); ok && at < c.wakeAt || r.Closed && c.wakeAt != awake {
		notify(c.wake)
	}
}

// events is what can be done at once.
func (c *Conn) events() Events {
	var e Events
	if c.ready.Readable {
		e |= PollIn
	}
	if c.ready.Writable || c.peerError != nil {
		e |= PollOut
	}
	if c.p.End() != proto.EndNone {
		e |= PollErr
	}
	return e
}

// Read implements net.Conn. It returns io.EOF once the peer has closed in good
// order and everything was read, and ErrConnLost if the connection broke.
func (c *Conn) Read(p []byte) (int, error) {
	if err := c.carries(Stream); err != nil {
		return 0, c.fail("read", err)
	}
	if err := c.reading.enter(c.closing); err != nil {
		return 0, c.fail("read", err)
	}
	defer c.reading.leave()
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, err := c.readNow(p)
		if n > 0 {
			return n, nil
		}
		if err != nil {
			return 0, c.fail("read", err)
		}
		if err := c.reading.wait(c.closing); err != nil {
			return 0, c.fail("read", err)
		}
	}
}

// readNow copies what is there. The copying itself is done without the lock.
func (c *Conn) readNow(p []byte) (int, error) {
	total := 0
	var one [1]proto.View
	for total < len(p) {
		c.mu.Lock()
		vs := c.p.Peek(one[:0], 1)
		if len(vs) == 0 {
			end := c.p.End()
			c.mu.Unlock()
			if total > 0 {
				return total, nil
			}
			return 0, readError(end)
		}
		c.mu.Unlock()
		total += vs[0].Copy(p[total:])
		c.mu.Lock()
		c.p.Consume(vs)
		c.changed()
		c.mu.Unlock()
	}
	return total, nil
}

func readError(end proto.End) error {
	switch end {
	case proto.EndNone:
		return nil
	case proto.EndPeer:
		return io.EOF
	case proto.EndLocal, proto.EndAborted:
		return net.ErrClosed
	}
	return ends[end].err
}

// Write implements net.Conn. It returns when everything is in the send buffer,
// not when it has arrived; Close waits for that. What is written first on a
// connection begins a packet and fills it before another is begun, so that up
// to MSS-44 bytes of one Write travel together there.
func (c *Conn) Write(p []byte) (int, error) { return c.write(load{bytes: p}) }

// A load is what is to be put into the send buffer: bytes, or a stage of
// packets.
type load struct {
	bytes []byte
	stage *proto.Stage
}

func (l *load) empty() bool { return len(l.bytes) == 0 && (l.stage == nil || l.stage.Len() == 0) }

// fill puts what fits into f and returns how much that was.
func (l *load) fill(f *proto.Fill) int {
	if l.stage != nil {
		return f.Take(l.stage)
	}
	n := f.Copy(l.bytes)
	l.bytes = l.bytes[n:]
	return n
}

// write puts all of l into the send buffer and returns how much it could.
func (c *Conn) write(l load) (int, error) {
	if err := c.carries(Stream); err != nil {
		return 0, c.fail("write", err)
	}
	if err := c.writing.enter(c.closing); err != nil {
		return 0, c.fail("write", err)
	}
	defer c.writing.leave()
	total := 0
	for !l.empty() {
		if err := c.writing.check(c.closing); err != nil {
			return total, c.fail("write", err)
		}
		n, err := c.writeNow(&l)
		total += n
		if err == nil && n == 0 {
			err = c.writing.wait(c.closing)
		}
		if err != nil {
			return total, c.fail("write", err)
		}
	}
	return total, nil
}

// writeNow fills what there is of one piece of the send buffer. The filling
// itself is done without the lock.
func (c *Conn) writeNow(l *load) (int, error) {
	c.mu.Lock()
	if err := c.peerError; err != nil {
		c.peerError = nil
		c.changed()
		c.mu.Unlock()
		return 0, err
	}
	f, ok := c.p.Reserve()
	if !ok {
		end, open := c.p.End(), c.p.CanWrite()
		c.mu.Unlock()
		if open {
			return 0, nil
		}
		return 0, writeError(end)
	}
	c.mu.Unlock()
	n := l.fill(&f)
	c.mu.Lock()
	c.p.Commit(c.now(), &f)
	c.changed()
	c.mu.Unlock()
	return n, nil
}

func writeError(end proto.End) error {
	switch end {
	case proto.EndPeer:
		return ErrPeerClosed
	case proto.EndNone, proto.EndLocal, proto.EndAborted:
		return net.ErrClosed
	}
	return ends[end].err
}

// fail dresses an error up; io.EOF stays bare.
func (c *Conn) fail(op string, err error) error {
	if errors.Is(err, io.EOF) {
		return err
	}
	code := ECONNLOST
	var peer *PeerError
	switch {
	case errors.As(err, &peer):
		code = EPEERERR
	case errors.Is(err, ErrWouldBlock):
		code = wouldBlock(op)
	case errors.Is(err, ErrNoServer):
		code = ENOSERVER
	case errors.Is(err, ErrRejected):
		code = ECONNREJ
	case errors.Is(err, ErrMismatch):
		code = ESECFAIL
	case errors.Is(err, net.ErrClosed):
		code = EINVSOCK
	case errors.Is(err, os.ErrDeadlineExceeded):
		code = ETIMEOUT
	case errors.Is(err, ErrStream):
		code = ESTREAMILL
	case errors.Is(err, ErrMessages):
		code = EDGRAMILL
	case errors.Is(err, ErrTooLarge), errors.Is(err, ErrTruncated):
		code = ELARGEMSG
	}
	return &Error{Code: code, Op: op, Addr: c.RemoteAddr(), Err: err}
}

// Close ends the connection: calls that wait are woken, no more data is taken,
// what was written is delivered, for as long as Config.Linger, and the peer is
// told. It returns ErrUndelivered if the peer did not acknowledge everything.
func (c *Conn) Close() error { return c.finish(c.p.Close) }

// Leave is Close for an end whose last words only spare the peer a wait: it
// need not stay a round trip for their acknowledgement. They are sent three
// times within 10 ms instead, and once if they are acknowledged before that.
// Where they are more than a few packets, or the peer is not of our kind,
// Leave is Close.
func (c *Conn) Leave() error {
	err := c.finish(c.p.Leave)
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(err, ErrUndelivered) && c.p.End() == proto.EndLocal {
		return nil // as intended
	}
	return err
}

// finish closes in good order, as how says.
func (c *Conn) finish(how func(now proto.Instant, linger time.Duration)) error {
	linger := c.Config().Linger
	if linger < 0 {
		return c.end(c.p.Abort)
	}
	c.close()
	<-c.writing.turn // what a Write under way has taken is to be delivered too
	defer c.writing.leave()
	return c.end(func(now proto.Instant) { how(now, linger) })
}

// Abort gives the connection up at once. The peer reads ErrConnLost.
func (c *Conn) Abort() error {
	err := c.end(c.p.Abort)
	if errors.Is(err, ErrUndelivered) {
		return nil // as intended
	}
	return err
}

// close wakes calls that wait and refuses new ones.
func (c *Conn) close() {
	c.closeOnce.Do(func() {
		close(c.closing)
		c.mu.Lock()
		watches := c.source.close()
		c.mu.Unlock()
		dropAll(watches)
	})
}

func (c *Conn) end(how func(now proto.Instant)) error {
	c.close()
	c.mu.Lock()
	how(c.now())
	c.changed()
	c.mu.Unlock()
	<-c.done
	c.mu.Lock()
	why, left := ends[c.p.End()].err, c.p.Unacknowledged()
	c.mu.Unlock()
	switch {
	case left > 0 && (why == nil || errors.Is(why, ErrUndelivered)):
		return c.fail("close", ErrUndelivered)
	case left > 0:
		return c.fail("close", fmt.Errorf("%w: %w", ErrUndelivered, why))
	case why != nil:
		return c.fail("close", why)
	}
	return nil
}

// LocalAddr implements net.Conn. Where the socket is bound to all addresses of
// the machine, it is the one from which packets go to the peer.
func (c *Conn) LocalAddr() net.Addr {
	a := c.endpoint.socket.LocalAddr()
	if a.Addr().IsUnspecified() {
		a = netip.AddrPortFrom(sourceFor(c.remote, a.Addr()), a.Port())
	}
	return net.UDPAddrFromAddrPort(a)
}

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return net.UDPAddrFromAddrPort(c.remote) }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setLimit(&c.reading, t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setLimit(&c.writing, t) }

func (c *Conn) setLimit(g *gate, t time.Time) error {
	select {
	case <-c.closing:
		return c.fail("set deadline", net.ErrClosed)
	default:
	}
	g.limit.set(t)
	return nil
}

// Stats returns UDT's perfmon; clear starts a new interval.
func (c *Conn) Stats(clear bool) Stats {
	drops := int64(c.endpoint.SocketInfo().Drops - c.drops)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	return c.perf.snapshot(time.Duration(now), c.p.Stats(now), drops, clear)
}

// SocketBuffers tells how large the UDP socket's buffers are.
func (c *Conn) SocketBuffers() SocketBuffers {
	info, cfg := c.endpoint.SocketInfo(), &c.endpoint.cfg
	return SocketBuffers{Read: info.ReadBuffer, Write: info.WriteBuffer, WantRead: cfg.ReadBuffer, WantWrite: cfg.WriteBuffer}
}

// Silence is how long nothing has come from the peer.
func (c *Conn) Silence() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now().Sub(c.p.LastHeard())
}

// Unacknowledged is how many packets were written and are not acknowledged
// (UDT_SNDDATA).
func (c *Conn) Unacknowledged() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.p.Unacknowledged()
}

// Unread is how many packets have arrived in order and wait to be read
// (UDT_RCVDATA).
func (c *Conn) Unread() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.p.Unread()
}

// MSS returns the negotiated packet size in bytes, headers included.
func (c *Conn) MSS() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.p.MSS()
}

// CongestionControl names the sender's controller.
func (c *Conn) CongestionControl() string { return c.p.Controller().Name() }
