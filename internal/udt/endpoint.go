package udt

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/udtcp/udtcp/internal/udt/proto"
	"github.com/udtcp/udtcp/internal/udt/udpio"
)

// Endpoint is one UDP socket with any number of connections on it.
type Endpoint struct {
	socket udpio.Socket
	cfg    Config
	epoch  time.Time

	mu       sync.RWMutex
	conns    map[uint32]*Conn // by our ID
	peers    map[peerKey]*Conn
	meeting  map[netip.AddrPort]*Conn // rendezvous under way, by the peer's address
	gone     graves
	listener *Listener
	owned    bool // closes with its last user
	closed   bool
	failure  error // of the socket, which reads no more
	readDone chan struct{}
}

// peerKey tells the connections of listeners' clients apart.
type peerKey struct {
	addr netip.AddrPort
	id   uint32
	isn  proto.Seq
}

// NewEndpoint takes over a socket. The Endpoint must be closed.
func NewEndpoint(s udpio.Socket, cfg Config) *Endpoint {
	e := &Endpoint{
		socket:   s,
		cfg:      cfg.withDefaults(),
		epoch:    time.Now(),
		conns:    map[uint32]*Conn{},
		peers:    map[peerKey]*Conn{},
		meeting:  map[netip.AddrPort]*Conn{},
		readDone: make(chan struct{}),
	}
	e.trace("socket %v: %s", e.LocalAddr(), abilities(s.Info()))
	go e.read()
	return e
}

// LocalAddr is the UDP address of the socket.
func (e *Endpoint) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(e.socket.LocalAddr()) }

// SocketInfo tells what the UDP socket can do and what the kernel dropped.
func (e *Endpoint) SocketInfo() udpio.Info { return e.socket.Info() }

// Close gives up all connections, ends the listener and closes the socket.
func (e *Endpoint) Close() error {
	e.mu.Lock()
	l := e.listener
	conns := make([]*Conn, 0, len(e.conns))
	for _, c := range e.conns {
		conns = append(conns, c)
	}
	already := e.closed
	e.closed = true
	e.mu.Unlock()
	if already {
		<-e.readDone
		return nil
	}
	if l != nil {
		l.leave()
		l.shut()
	}
	abortAll(conns)
	err := e.socket.Close()
	<-e.readDone
	return err
}

// abortAll gives connections up, all at once. How each ends is told to its own
// user.
func abortAll(conns []*Conn) {
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(func() { _ = c.Abort() })
	}
	wg.Wait()
}

// Dial connects to a listener at raddr.
func (e *Endpoint) Dial(ctx context.Context, raddr netip.AddrPort) (*Conn, error) {
	return e.DialWith(ctx, raddr, Config{})
}

// DialWith is Dial for a connection with options of its own: what is set in o
// takes the place of what the Endpoint was opened with. Options that belong to
// the UDP socket (MSS, ReadBuffer, WriteBuffer) can't be changed any more:
// EBOUNDSOCK.
func (e *Endpoint) DialWith(ctx context.Context, raddr netip.AddrPort, o Config) (*Conn, error) {
	c, err := e.StartDial(raddr, o)
	if err != nil {
		return nil, err
	}
	return e.await(ctx, "dial", c)
}

// StartDial is DialWith without waiting: it begins to connect. Until the
// connection is made reading and writing wait. A Poller reports PollOut once it
// is, and PollIn, PollOut and PollErr if it can't be; Conn.Err then says why.
func (e *Endpoint) StartDial(raddr netip.AddrPort, o Config) (*Conn, error) {
	const op = "dial"
	cfg, code, err := e.cfg.forConn(o)
	if err != nil {
		return nil, &Error{Code: code, Op: op, Addr: net.UDPAddrFromAddrPort(raddr), Err: err}
	}
	return e.begin(op, raddr, cfg, func(c *Conn, p proto.Config) error {
		c.p = proto.NewClient(0, p)
		return nil
	})
}

// connect makes a connection to raddr and waits until it stands. create gives it
// its engine, with e.mu held.
func (e *Endpoint) connect(
	ctx context.Context, op string, raddr netip.AddrPort, cfg Config, create func(c *Conn, p proto.Config) error,
) (*Conn, error) {
	c, err := e.begin(op, raddr, cfg, create)
	if err != nil {
		return nil, err
	}
	return e.await(ctx, op, c)
}

// await waits until c stands, or is over.
func (e *Endpoint) await(ctx context.Context, op string, c *Conn) (*Conn, error) {
	select {
	case <-c.connected:
	case <-ctx.Done():
		_ = c.Abort() // nothing was sent yet that could get lost
		why := context.Cause(ctx)
		code := ECONNSETUP
		if errors.Is(why, ErrNoServer) {
			code = ENOSERVER
		}
		return nil, &Error{Code: code, Op: op, Addr: c.RemoteAddr(), Err: why}
	}
	c.mu.Lock()
	peer := c.p.PeerID()
	c.mu.Unlock()
	if peer != 0 { // it may be over already; then reading tells how it ended
		e.trace("connected to %v, peer's socket ID %d, packets of %d bytes", c.remote, peer, c.MSS())
		return c, nil
	}
	<-c.done
	return nil, c.setupError(op)
}

// begin is connect without waiting.
func (e *Endpoint) begin(
	op string, raddr netip.AddrPort, cfg Config, create func(c *Conn, p proto.Config) error,
) (*Conn, error) {
	raddr = netip.AddrPortFrom(raddr.Addr().Unmap(), raddr.Port())
	c := newConn(e, cfg, raddr, time.Now())
	e.mu.Lock()
	if code, err := e.over(); err != nil {
		e.mu.Unlock()
		return nil, &Error{Code: code, Op: op, Addr: c.RemoteAddr(), Err: err}
	}
	id := e.freeID()
	if err := create(c, cfg.proto(id, raddr.Addr())); err != nil {
		e.mu.Unlock()
		return nil, err
	}
	e.conns[id] = c
	e.mu.Unlock()
	e.trace("connecting to %v, socket ID %d", raddr, id)
	go c.run()
	return c, nil
}

// over tells why nothing can begin here any more, nil if it can. e.mu is held.
func (e *Endpoint) over() (Code, error) {
	if e.closed {
		return EINVSOCK, net.ErrClosed
	}
	return ESOCKFAIL, e.failure
}

// freeID returns an unused socket ID that can't be predicted. e.mu is held.
func (e *Endpoint) freeID() uint32 {
	for {
		if id := randomUint32() & proto.SeqMask; e.isFree(id) {
			return id
		}
	}
}

// isFree says whether a connection may have the socket ID. e.mu is held.
func (e *Endpoint) isFree(id uint32) bool { return id != 0 && e.conns[id] == nil && !e.gone.has(id) }

// remove forgets a connection that is over. Its peer may not know yet; the
// grave answers for it.
func (e *Endpoint) remove(c *Conn) {
	id, peer := c.p.ID(), c.p.PeerID()
	e.mu.Lock()
	delete(e.conns, id)
	key := peerKey{c.remote, peer, c.p.ISN()}
	isClient := e.peers[key] == c
	if isClient {
		delete(e.peers, key)
	}
	if peer != 0 {
		e.gone.bury(time.Now(), id, grave{peer: key, isClient: isClient, epitaph: c.p.Epitaph()})
	}
	e.mu.Unlock()
	e.trace("connection to %v is over: socket ID %d", c.remote, id)
	e.release()
}

// release closes an endpoint that was opened for one connection or listener
// when it has no more use.
func (e *Endpoint) release() {
	e.mu.Lock()
	idle := e.owned && !e.closed && e.listener == nil && len(e.conns) == 0
	if idle {
		e.closed = true
	}
	e.mu.Unlock()
	if idle {
		_ = e.socket.Close() // nothing is left to be lost with it
		<-e.readDone
	}
}

// read is the socket's goroutine: it takes batches and sorts them.
func (e *Endpoint) read() {
	defer close(e.readDone)
	var msgs [readMessages]udpio.Message
	next, stop := e.batches(msgs[:])
	defer stop()
	for {
		n, err := next()
		if err != nil {
			e.broken(err)
			return
		}
		now := time.Now()
		for i := range msgs[:n] {
			e.sort(now, &msgs[i])
		}
	}
}

// batches returns a function that reads the next batch into msgs and returns
// its size, and one to be called after the last. Large buffers are borrowed.
func (e *Endpoint) batches(msgs []udpio.Message) (next func() (int, error), stop func()) {
	info := e.socket.Info()
	if r, ok := e.socket.(udpio.LentReader); ok && info.GRO {
		l := &slabLender{}
		return func() (int, error) { return r.ReadBatchLent(msgs, l) }, func() { l.TakeBack(msgs) }
	}
	if !info.Batch {
		msgs = msgs[:1]
	}
	size := udpio.MaxRead
	if !info.GRO {
		size = max(2048, e.cfg.MSS)
	}
	cut(msgs, make([]byte, len(msgs)*size))
	return func() (int, error) { return e.socket.ReadBatch(msgs) }, func() {}
}

// broken ends all connections and the listener: the socket reads no more.
func (e *Endpoint) broken(err error) {
	if !errors.Is(err, net.ErrClosed) {
		e.trace("socket %v: %v", e.LocalAddr(), err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failure = err
	for _, c := range e.conns {
		c.lose()
	}
	if e.listener != nil {
		// Not by this goroutine, whose end may be waited for there.
		go e.listener.broken()
	}
}

// sort hands the packets of a message to their connections, as many at a time
// as are for the same one.
func (e *Endpoint) sort(now time.Time, m *udpio.Message) {
	b := m.Buf
	for len(b) > 0 {
		seg := len(b)
		if m.Segment > 0 {
			seg = min(seg, m.Segment)
		}
		id, ok := proto.Destination(b[:seg])
		n := seg
		for ok && n < len(b) {
			next := b[n:min(n+seg, len(b))]
			if other, same := proto.Destination(next); !same || other != id {
				break
			}
			n += len(next)
		}
		if ok {
			e.dispatch(now, id, m.Addr, b[:n], seg)
		}
		b = b[n:]
	}
}

func (e *Endpoint) dispatch(now time.Time, id uint32, from netip.AddrPort, b []byte, segment int) {
	if id == 0 {
		for len(b) > 0 {
			n := min(segment, len(b))
			e.request(now, from, b[:n])
			b = b[n:]
		}
		return
	}
	e.mu.RLock()
	c, buried := e.conns[id], e.gone.has(id)
	e.mu.RUnlock()
	switch {
	case c != nil && c.remote == from:
		c.handle(now, b, segment)
	case c == nil && buried:
		e.haunt(now, id, from, b)
	}
}

// haunt answers a packet for a connection that is over.
func (e *Endpoint) haunt(now time.Time, id uint32, from netip.AddrPort, b []byte) {
	e.mu.Lock()
	reply := e.gone.answer(now, id, from, b)
	e.mu.Unlock()
	for _, r := range reply {
		e.reply(from, r.Buf)
	}
}

// reply sends one datagram; if the socket can't, the reader will notice.
func (e *Endpoint) reply(to netip.AddrPort, b []byte) {
	_ = e.socket.WriteBatch([]udpio.Message{{Addr: to, Buf: b}})
}
