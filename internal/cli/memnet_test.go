package cli

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// memNet is a network in memory, whose links behave at their ends as UDT's do: Close delivers, Abort breaks.
type memNet struct {
	mu        sync.Mutex
	listeners map[uint16]*memListener
	last      uint16
	rejects   bool          // dialling is refused
	silent    bool          // dialling gets no answer
	capacity  int           // bytes that fit between a writer and its reader; 0 is 64 KiB
	asked     []linkOptions // of all dials and listens
	dialled   []netip.AddrPort
	aborts    int
	left      int            // links closed by Leave
	opened    int            // ends of links whose window was opened
	tune      func(*memLink) // changes a link that was dialled; nil: nothing
	changed   chan struct{}  // closed when a listener or a link has changed
	config    string         // the XDG_CONFIG_HOME of whoever uses it
}

func newMemNet() *memNet {
	return &memNet{listeners: map[uint16]*memListener{}, last: 40000, changed: make(chan struct{})}
}

// change tells pollers to look again.
func (n *memNet) change() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.changed)
	n.changed = make(chan struct{})
}

// configHome is the directory of the keys of whoever has no other.
func (n *memNet) configHome(t *testing.T) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.config == "" {
		n.config = t.TempDir()
	}
	return n.config
}

func (n *memNet) port() uint16 {
	n.last++
	return n.last
}

func (n *memNet) Dial(ctx context.Context, _ string, remote netip.AddrPort, o linkOptions) (link, error) {
	n.mu.Lock()
	n.asked = append(n.asked, o)
	n.dialled = append(n.dialled, remote)
	l := n.listeners[remote.Port()]
	from := netip.AddrPortFrom(remote.Addr(), n.port())
	rejects, silent := n.rejects, n.silent || l == nil
	n.mu.Unlock()
	switch {
	case rejects:
		return nil, syscall.ECONNREFUSED
	case silent:
		<-ctx.Done()
		return nil, os.ErrDeadlineExceeded
	}
	there, back := n.pipe(), n.pipe()
	here := &memLink{net: n, in: back, out: there, local: from, remote: remote}
	peer := &memLink{net: n, in: there, out: back, local: remote, remote: from}
	if n.tune != nil {
		n.tune(here)
	}
	select {
	case l.queue <- peer:
		n.change()
		return here, nil
	case <-l.closed:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, os.ErrDeadlineExceeded
	}
}

func (n *memNet) Listen(_, local string, o linkOptions) (listener, error) {
	a, err := parseLocal(local, 0)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, o)
	if a.port == 0 {
		a.port = n.port()
	}
	if n.listeners[a.port] != nil {
		return nil, &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	l := &memListener{
		net: n, addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.port),
		queue: make(chan *memLink, 8), closed: make(chan struct{}),
	}
	n.listeners[a.port] = l
	return l, nil
}

type memListener struct {
	net    *memNet
	addr   netip.AddrPort
	queue  chan *memLink
	once   sync.Once
	closed chan struct{}
}

func (l *memListener) TryAccept() (link, error) {
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-l.queue:
		return c, nil
	default:
		return nil, syscall.EAGAIN
	}
}

func (l *memListener) Addr() net.Addr { return net.UDPAddrFromAddrPort(l.addr) }

func (l *memListener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		delete(l.net.listeners, l.addr.Port())
		l.net.mu.Unlock()
		close(l.closed)
	})
	return nil
}

// memPipe is one direction of a link.
type memPipe struct {
	mu       sync.Mutex
	cond     *sync.Cond
	buf      []byte
	capacity int
	ended    bool      // the writer has closed
	gone     bool      // the reader has closed
	broken   bool      // either has aborted
	readBy   time.Time // deadline
	left     int       // bytes until it breaks, and twin with it
	twin     *memPipe  // nil: it does not
}

var errMemLost = errors.New("link broken")

func (n *memNet) pipe() *memPipe {
	p := &memPipe{capacity: n.capacity}
	if p.capacity == 0 {
		p.capacity = 64 << 10
	}
	p.cond = sync.NewCond(&p.mu)
	return p
}

func (p *memPipe) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	p.cond.Broadcast()
}

func (p *memPipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.gone:
			return 0, net.ErrClosed
		case len(p.buf) > 0:
			n := copy(b, p.buf)
			p.buf = p.buf[n:]
			p.cond.Broadcast()
			return n, nil
		case p.broken:
			return 0, errMemLost
		case p.ended:
			return 0, io.EOF
		case !p.readBy.IsZero() && !time.Now().Before(p.readBy):
			return 0, os.ErrDeadlineExceeded
		}
		p.cond.Wait()
	}
}

func (p *memPipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for n < len(b) {
		switch {
		case p.broken:
			return n, errMemLost
		case p.ended:
			return n, net.ErrClosed
		case p.gone:
			return n, syscall.EPIPE
		}
		if room := p.capacity - len(p.buf); room > 0 {
			k := min(room, len(b)-n)
			if p.twin != nil {
				k = min(k, p.left)
				if p.left -= k; p.left == 0 {
					p.broken = true
					go p.twin.set(func() { p.twin.broken = true })
				}
			}
			p.buf = append(p.buf, b[n:n+k]...)
			n += k
			p.cond.Broadcast()
			continue
		}
		p.cond.Wait()
	}
	return n, nil
}

// breakAfter breaks the link, both ways, when this end has written n bytes more; they still arrive.
func (l *memLink) breakAfter(n int) {
	l.out.set(func() { l.out.left, l.out.twin = n, l.in })
}

type memLink struct {
	net            *memNet
	in, out        *memPipe
	local, remote  netip.AddrPort
	mss            int // 0 is 1500
	unacknowledged atomic.Int64
	buffers        socketBuffers
	tune           func(*stats) // changes what Stats says; nil: nothing
}

func (l *memLink) Read(b []byte) (int, error)  { return l.in.Read(b) }
func (l *memLink) Write(b []byte) (int, error) { return l.out.Write(b) }

func (l *memLink) Close() error {
	l.out.set(func() { l.out.ended = true })
	l.in.set(func() { l.in.gone = true })
	l.net.change()
	return nil
}

func (l *memLink) Leave() error {
	l.net.mu.Lock()
	l.net.left++
	l.net.mu.Unlock()
	return l.Close()
}

func (l *memLink) Abort() error {
	l.net.mu.Lock()
	l.net.aborts++
	l.net.mu.Unlock()
	l.out.set(func() {
		if !l.out.ended {
			l.out.broken, l.out.buf = true, nil
		}
	})
	l.in.set(func() { l.in.gone, l.in.broken = true, true })
	l.net.change()
	return nil
}

func (l *memLink) OpenWindow() {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	l.net.opened++
}

// over tells whether the other end is gone.
func (l *memLink) over() bool {
	l.in.mu.Lock()
	defer l.in.mu.Unlock()
	return l.in.ended || l.in.broken
}

// memPoller waits for listeners and the ends of links, and for standard input that is always ready.
type memPoller struct {
	net     *memNet
	members []any
}

func (n *memNet) Poller() poller { return &memPoller{net: n} }

func (p *memPoller) Close() error { return nil }

func (p *memPoller) Add(what any, _ pollEvents) error {
	p.members = append(p.members, what)
	return nil
}

func (p *memPoller) Wait(ctx context.Context, events []pollEvent) (int, error) {
	for {
		p.net.mu.Lock()
		changed := p.net.changed
		p.net.mu.Unlock()
		n := 0
		for _, m := range p.members {
			e := pollEvent{Member: m}
			switch m := m.(type) {
			case *memListener:
				if len(m.queue) > 0 {
					e.Events = pollIn
				}
			case *memLink:
				if m.over() {
					e.Events = pollOver
				}
			default:
				e.Events = pollIn
			}
			if e.Events != 0 && n < len(events) {
				events[n] = e
				n++
			}
		}
		if n > 0 {
			return n, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func (l *memLink) Stats(bool) stats {
	st := stats{MsRTT: 12.5, PktRcvLossTotal: 3}
	if l.tune != nil {
		l.tune(&st)
	}
	return st
}

func (l *memLink) Silence() time.Duration           { return 0 }
func (l *memLink) Unacknowledged() int              { return int(l.unacknowledged.Load()) }
func (l *memLink) SocketBuffers() socketBuffers     { return l.buffers }
func (l *memLink) MSS() int                         { return cmp.Or(l.mss, 1500) }
func (l *memLink) CongestionControl() string        { return "bbr" }
func (l *memLink) LocalAddr() net.Addr              { return net.UDPAddrFromAddrPort(l.local) }
func (l *memLink) RemoteAddr() net.Addr             { return net.UDPAddrFromAddrPort(l.remote) }
func (l *memLink) SetWriteDeadline(time.Time) error { return nil }
func (l *memLink) SetDeadline(t time.Time) error    { return l.SetReadDeadline(t) }

func (l *memLink) SetReadDeadline(t time.Time) error {
	l.in.set(func() { l.in.readBy = t })
	if !t.IsZero() {
		time.AfterFunc(time.Until(t), func() { l.in.set(func() {}) })
	}
	return nil
}

// memLinks is a pair of connected links.
func (n *memNet) memLinks() (here, there *memLink) {
	a, b := n.pipe(), n.pipe()
	x := netip.MustParseAddrPort("192.0.2.1:1")
	y := netip.MustParseAddrPort("192.0.2.2:2")
	return &memLink{net: n, in: a, out: b, local: x, remote: y}, &memLink{net: n, in: b, out: a, local: y, remote: x}
}
