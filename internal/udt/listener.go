package udt

import (
	"crypto/rand"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/udtcp/udtcp/internal/udt/proto"
)

// Listener accepts connections on an Endpoint, first come, first served. It is
// a net.Listener.
type Listener struct {
	endpoint *Endpoint
	cfg      Config // of the connections
	acceptor *proto.Acceptor

	mu      sync.Mutex
	queue   []*Conn
	source  source        // what Pollers see
	arrived chan struct{} // the queue may have grown
	closed  chan struct{}
	once    sync.Once
}

var _ net.Listener = (*Listener)(nil)

// Listen starts to accept connections. An Endpoint has one Listener at a time.
func (e *Endpoint) Listen() (*Listener, error) { return e.ListenWith(Config{}) }

// ListenWith is Listen for connections with options of their own; see
// DialWith.
func (e *Endpoint) ListenWith(o Config) (*Listener, error) {
	cfg, code, err := e.cfg.forConn(o)
	if err != nil {
		return nil, &Error{Code: code, Op: "listen", Err: err}
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // doesn't fail
	l := &Listener{
		endpoint: e,
		cfg:      cfg,
		acceptor: proto.NewAcceptor(proto.NewCookieJar(secret), cfg.Type),
		arrived:  make(chan struct{}, 1),
		closed:   make(chan struct{}),
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if code, err := e.over(); err != nil {
		return nil, &Error{Code: code, Op: "listen", Err: err}
	}
	if e.listener != nil {
		return nil, &Error{Code: EDUPLISTEN, Op: "listen", Err: ErrDuplicateListen}
	}
	if len(e.meeting) > 0 {
		return nil, &Error{Code: ERDVNOSERV, Op: "listen", Err: ErrMeetingPort}
	}
	e.listener = l
	return l, nil
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.AcceptUDT()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptUDT waits for the next connection.
func (l *Listener) AcceptUDT() (*Conn, error) {
	for {
		if c := l.next(); c != nil {
			return c, nil
		}
		select {
		case <-l.arrived:
		case <-l.closed:
			notify(l.arrived) // for others who wait
			return nil, errAcceptClosed
		}
	}
}

// TryAccept is AcceptUDT without waiting: it gives EASYNCRCV if no connection
// is there.
func (l *Listener) TryAccept() (*Conn, error) {
	if c := l.next(); c != nil {
		return c, nil
	}
	select {
	case <-l.closed:
		return nil, errAcceptClosed
	default:
		return nil, &Error{Code: EASYNCRCV, Op: "accept", Err: ErrWouldBlock}
	}
}

var errAcceptClosed = &Error{Code: ENOLISTEN, Op: "accept", Err: net.ErrClosed}

// next takes the first connection from the queue; nil if there is none.
func (l *Listener) next() *Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		return nil
	}
	c := l.queue[0]
	l.queue[0] = nil
	l.queue = l.queue[1:]
	l.changed()
	return c
}

// changed says whether there is something to accept, with l.mu held.
func (l *Listener) changed() {
	var e Events
	select {
	case <-l.closed:
		e = PollIn | PollErr
	default:
		if len(l.queue) > 0 {
			e = PollIn
			notify(l.arrived)
		}
	}
	l.source.set(e)
}

func (l *Listener) attach(w *watch) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.source.attach(w)
}

func (l *Listener) detach(w *watch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.source.detach(w)
}

// Close stops accepting at once. Connections that were accepted live on;
// those nobody has taken yet are given up.
func (l *Listener) Close() error {
	l.leave()
	l.broken()
	return nil
}

// leave ends all watching: the listener is being closed by its user.
func (l *Listener) leave() {
	l.mu.Lock()
	watches := l.source.close()
	l.mu.Unlock()
	dropAll(watches)
}

// broken is Close when it is not the user's: Pollers still tell of it.
func (l *Listener) broken() {
	l.shut()
	l.endpoint.release()
}

func (l *Listener) shut() {
	l.once.Do(func() {
		e := l.endpoint
		e.mu.Lock()
		if e.listener == l {
			e.listener = nil
		}
		e.mu.Unlock()
		l.mu.Lock()
		close(l.closed)
		left := l.queue
		l.queue = nil
		l.changed()
		l.mu.Unlock()
		abortAll(left) // nobody has used them
	})
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.endpoint.LocalAddr() }

// offer queues a new connection; false if the backlog is full.
func (l *Listener) offer(c *Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed:
		return false
	default:
	}
	if len(l.queue) >= l.cfg.Backlog {
		return false
	}
	l.queue = append(l.queue, c)
	l.changed()
	return true
}

// request handles a packet for socket ID 0: a connection request.
func (e *Endpoint) request(now time.Time, from netip.AddrPort, b []byte) {
	e.mu.RLock()
	l, c := e.listener, e.meeting[from]
	e.mu.RUnlock()
	if l == nil {
		if c != nil {
			c.handleRequest(now, b)
		}
		return
	}
	verdict, hs, reply := l.acceptor.Handle(proto.Instant(now.Sub(e.epoch)), from, l.cfg.terms(from.Addr()), b, nil)
	switch verdict {
	case proto.VerdictReply:
		e.trace("request from %v: answering with request type %d", from, hs.Request)
		e.reply(from, reply)
	case proto.VerdictAccept:
		e.admit(l, now, from, b, hs)
	}
}

// admit finds the connection of a client with a good cookie, or makes it.
func (e *Endpoint) admit(l *Listener, now time.Time, from netip.AddrPort, b []byte, hs proto.Handshake) {
	key := peerKey{from, hs.ID, hs.ISN}
	e.mu.Lock()
	if c := e.peers[key]; c != nil {
		e.mu.Unlock()
		c.repeatResponse()
		return
	}
	if e.closed {
		e.mu.Unlock()
		return
	}
	if e.gone.hasClient(key) {
		e.mu.Unlock()
		e.reject(from, b, hs, "its connection is over")
		return
	}
	c := newConn(e, l.cfg, from, now)
	id := hs.EarlyID
	if !e.isFree(id) {
		id = e.freeID()
	}
	c.p = proto.NewServer(0, l.cfg.proto(id, from.Addr()), hs)
	c.changed()
	e.conns[id] = c
	e.peers[key] = c
	if !l.offer(c) { // from here on it is Accept's: nothing of it may be set any more
		delete(e.conns, id)
		delete(e.peers, key)
		e.mu.Unlock()
		e.reject(from, b, hs, "the backlog is full")
		return
	}
	e.mu.Unlock()
	e.trace("accepted %v, socket IDs %d here and %d there", from, id, hs.ID)
	go c.run()
}

// reject refuses the request hs, which came as b.
func (e *Endpoint) reject(from netip.AddrPort, b []byte, hs proto.Handshake, why string) {
	e.trace("request from %v: rejected, %s", from, why)
	ctl, _ := proto.ParseControl(b)
	e.reply(from, proto.Reject(ctl, hs, nil))
}
