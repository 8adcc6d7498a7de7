package cli

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/udtcp/udtcp/internal/transfer/secure"
)

// secureProtocol names what is spoken in a secure session; perf has its own, so that neither can be taken for the other.
const secureProtocol = "udtcp/1"

// partingPatience is how long a peer that was refused gets to hear so.
const partingPatience = 2 * time.Second

// protect makes all connections of this run secure ones. makes says whether it makes the identity if there is none yet; greet is what both ends say in the clear first.
func (a *app) protect(o *trustOptions, makes bool, protocol string, greet func(io.ReadWriter) error) error {
	n := &secureNetwork{network: a.net, out: a.out}
	id, err := a.identity(o.identity, makes)
	if errors.Is(err, fs.ErrNotExist) && o.identity == "" {
		// A listener that starts just now, as the same user, may still make it.
		n.late, err = func() (secure.Identity, error) { return a.identity("", false) }, nil
	}
	if err != nil {
		return err
	}
	t, err := a.trusts(o)
	if err != nil {
		return err
	}
	n.config = secure.Config{Identity: id, Trusts: t.accept, Protocol: protocol, Greet: greet}
	a.net = n
	return nil
}

// secureNetwork makes links that are encrypted, to peers that are known.
type secureNetwork struct {
	network
	out    *console
	config secure.Config
	late   func() (secure.Identity, error) // gives the identity if it was not there at the start; nil: it was
}

// Dial gives a *guest.
func (n *secureNetwork) Dial(ctx context.Context, local string, remote netip.AddrPort, o linkOptions) (link, error) {
	o.firstWindow = secure.MaxHandshakeBytes
	until := time.Now().Add(o.connectTimeout)
	l, err := n.network.Dial(ctx, local, remote, o)
	if err != nil {
		return nil, err
	}
	c := n.config
	if n.late != nil {
		if c.Identity, err = n.late(); err != nil {
			_ = l.Abort()
			return nil, err
		}
	}
	handshake := secure.Client
	if o.rendezvous {
		handshake = secure.Rendezvous
	}
	conn, err := handshake(ctx, l, c)
	if err != nil {
		leave(ctx, l)
		return nil, err
	}
	return &guest{secureLink{link: l, conn: conn}, until}, nil
}

// leave closes a link whose ends did not come to terms, unlike link.Leave, which ends one where all went well.
func leave(ctx context.Context, l link) {
	if ctx.Err() != nil { // there is nobody to tell, or no time
		_ = l.Abort()
		return
	}
	// The other end is to hear why.
	late := time.AfterFunc(partingPatience, func() { _ = l.Abort() })
	_ = l.Close() // what matters is the failure
	late.Stop()
}

func (n *secureNetwork) Listen(family, local string, o linkOptions) (listener, error) {
	o.firstWindow = secure.MaxHandshakeBytes
	lis, err := n.network.Listen(family, local, o)
	if err != nil {
		return nil, err
	}
	d, err := openDoor(n.network, lis)
	if err != nil {
		return nil, err
	}
	s := &secureListener{net: n, door: d, ready: make(chan link), ended: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	go s.run()
	return s, nil
}

// Poller waits for one secureListener.
func (n *secureNetwork) Poller() poller { return &securePoller{} }

// secureListener takes connections of peers that are known. Strangers come and go without anybody waiting for them.
type secureListener struct {
	net       *secureNetwork
	door      *door
	admission secure.Admission
	refusals  refusals

	ctx    context.Context
	cancel context.CancelFunc
	ready  chan link     // nobody waits in it: who sends holds the link until it is taken
	first  link          // taken by Wait; of whoever accepts
	ended  chan struct{} // closed when no more will be accepted
	err    error         // why; valid once ended is closed
}

func (s *secureListener) run() {
	var handshakes sync.WaitGroup
	for {
		l, err := s.door.next(s.ctx)
		if err != nil {
			s.err = unwrapAll(err)
			if s.ctx.Err() != nil {
				s.err = net.ErrClosed
			}
			s.cancel()
			handshakes.Wait()
			s.door.close()
			close(s.ended)
			return
		}
		handshakes.Go(func() { s.admit(l) })
	}
}

// admit finds out who is there, and hands a peer that is known to Accept.
func (s *secureListener) admit(l link) {
	ctx, cancel := context.WithTimeout(s.ctx, secure.HandshakeTimeout)
	defer cancel()
	from, _ := netip.ParseAddrPort(l.RemoteAddr().String()) // one that is none counts as one source
	out := s.admission.Enter(from.Addr(), func() { _ = l.Abort() })
	conn, err := secure.Server(ctx, l, s.net.config)
	if err != nil {
		leave(ctx, l)
	}
	switch kept := out(); {
	case err != nil && kept && s.ctx.Err() == nil:
		s.refusals.tell(s.net.out, from.String(), err)
	case err == nil:
		l.OpenWindow()
		c := &secureLink{link: l, conn: conn}
		select {
		case s.ready <- c:
		case <-s.ctx.Done():
			_ = c.Abort() // nobody waits for it any more
		}
	}
}

// wait waits until there is somebody to accept, or nobody will come any more.
func (s *secureListener) wait(ctx context.Context) error {
	if s.first != nil {
		return nil
	}
	select {
	case s.first = <-s.ready:
	case <-s.ended:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

func (s *secureListener) TryAccept() (link, error) {
	if l := s.first; l != nil {
		s.first = nil
		return l, nil
	}
	select {
	case l := <-s.ready:
		return l, nil
	case <-s.ended:
		return nil, s.err
	default:
		return nil, syscall.EAGAIN
	}
}

func (s *secureListener) Addr() net.Addr { return s.door.lis.Addr() }

func (s *secureListener) Close() error {
	s.cancel()
	<-s.ended
	if s.first != nil {
		_ = s.first.Abort() // it was accepted by nobody
	}
	return nil
}

// securePoller waits for a secureListener, which is all that is waited for where connections are secure.
type securePoller struct{ lis *secureListener }

func (p *securePoller) Add(what any, _ pollEvents) error {
	lis, ok := what.(*secureListener)
	if !ok || p.lis != nil {
		return errors.ErrUnsupported
	}
	p.lis = lis
	return nil
}

func (p *securePoller) Wait(ctx context.Context, events []pollEvent) (int, error) {
	if err := p.lis.wait(ctx); err != nil {
		return 0, err
	}
	events[0] = pollEvent{Member: p.lis, Events: pollIn}
	return 1, nil
}

func (p *securePoller) Close() error { return nil }

// refusals tells of peers that were refused, but not of all that an attacker sends.
type refusals struct {
	mu   sync.Mutex
	told int
}

const maxRefusals = 100 // told

func (r *refusals) tell(out *console, peer string, err error) {
	v := judge(err)
	if v.status == exitNoLink { // it came and said nothing
		out.detail("%s: %s", peer, v.message)
		return
	}
	r.mu.Lock()
	r.told++
	n := r.told
	r.mu.Unlock()
	if n > maxRefusals {
		return
	}
	out.warn("refused %s: %s", peer, v.message)
	if v.hint != "" {
		out.info("hint: %s", v.hint)
	}
	if n == maxRefusals {
		out.info("further peers are refused in silence")
	}
}

// secureLink is a link over which two ends speak that know each other.
type secureLink struct {
	link
	conn *secure.Conn
}

func (l *secureLink) Read(p []byte) (int, error)  { return l.conn.Read(p) }
func (l *secureLink) Write(p []byte) (int, error) { return l.conn.Write(p) }
func (l *secureLink) Close() error                { return l.conn.Close() }
func (l *secureLink) Leave() error                { return errors.Join(l.conn.CloseWrite(), l.link.Leave()) }

// PeerKey is the other end's public key.
func (l *secureLink) PeerKey() string { return l.conn.PeerKey().String() }

// guest is a link that was dialled, to an end that is known and has still to accept this one. Until Enter has said so
// nothing else is to be done with it but to close it.
type guest struct {
	secureLink
	until time.Time // to connect
}

// Enter says greeting and waits until the other end has accepted this one. If it fails, the link is closed.
func (g *guest) Enter(ctx context.Context, greeting []byte) error {
	ctx, cancel := context.WithDeadline(ctx, g.until)
	defer cancel()
	if err := g.conn.Enter(ctx, greeting); err != nil {
		leave(ctx, g.link)
		return err
	}
	g.OpenWindow()
	return nil
}

// peerKey is the public key of a link's other end; empty where it is not known.
func peerKey(l link) string {
	if s, ok := l.(interface{ PeerKey() string }); ok {
		return s.PeerKey()
	}
	return ""
}
