package udt

import (
	"errors"
	"net"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/udtcp/udtcp/internal/udt/udpio"
)

// Events is a set of things that can be done at once. The values are libudt's
// (UDT_EPOLL_IN and so on), which are those of epoll(7).
type Events uint32

// What a Poller waits for.
const (
	// PollIn: reading or accepting won't block. There is data, the end, an
	// error, or a connection to accept.
	PollIn Events = 0x1
	// PollOut: writing won't block. The connection was made and there is
	// decent room, or writing fails.
	PollOut Events = 0x4
	// PollErr: it is over, and with it PollIn and PollOut: the connection was
	// refused, broke, or was closed by the peer, in good order or not. What
	// arrived before can still be read; Conn.Err says why.
	PollErr Events = 0x8
)

// A Poller waits for any number of connections, listeners and descriptors of
// the system at once: UDT's epoll. All methods may be called from several goroutines; what is added,
// modified and removed while others wait takes effect at once.
//
// It is level-triggered: Wait reports a member whenever it is ready, not only
// when it becomes so. A member that its user closes leaves by itself, and one
// that left is not reported any more.
//
// A Wait costs what is ready, not what is watched. Events come in turn, so
// that a short slice starves nobody.
type Poller struct {
	news   atomic.Pointer[watch] // signalled, not in ready yet; the latest first
	wake   chan struct{}         // a token for one who waits: look again
	closed chan struct{}

	// One at a time changes what the kernel waits for: who holds the token.
	turn   chan struct{}
	kernel atomic.Pointer[udpio.Descriptors] // nil before there is a member of the system's
	lastID uint64

	mu          sync.Mutex // guards what follows; never held with another lock
	members     map[any]*watch
	byID        map[uint64]*watch // members of the system's, as the kernel tells of them
	watching    int               // members with an interest
	ready       watch             // head of the ring of those that are ready, or just were
	waiting     int               // calls that wait
	idle        []*waiter
	over        bool
	kernelFirst bool   // for the next call that waits
	lastStray   uint64 // an ID that the kernel told of and nobody has
	strayed     bool   // it did so again
}

// NewPoller returns a Poller without members.
func NewPoller() *Poller {
	p := &Poller{
		wake: make(chan struct{}, 1), closed: make(chan struct{}), turn: make(chan struct{}, 1),
		members: map[any]*watch{}, byID: map[uint64]*watch{},
	}
	p.ready.initRing()
	p.giveTurn()
	return p
}

// pollable is what a Poller can have for a member.
type pollable interface {
	attach(w *watch) bool
	detach(w *watch)
}

var (
	_ pollable = (*Conn)(nil)
	_ pollable = (*Listener)(nil)

	errNotPollable = errors.New("not something that can be waited for")
	errNotMember   = errors.New("not a member")
	errIsMember    = errors.New("a member already")
)

// Add begins to wait for member: a *Conn, a *Listener, or what is the system's,
// a syscall.Conn such as an *os.File or a *net.TCPConn, or an FD. An interest of
// 0 watches nothing for now. Adding a member again adds to its interest. One
// that is closed or can't be waited for gives EINVSOCK.
//
// The system's members are waited for by epoll(7), on Linux only: elsewhere they
// give EINVOP and errors.ErrUnsupported. Regular files are always ready.
func (p *Poller) Add(member any, interest Events) error {
	m, ok := member.(pollable)
	if !ok {
		return p.addSystem(member, interest)
	}
	w := &watch{poller: p, member: member}
	if !m.attach(w) {
		return p.fail("add", EINVSOCK, net.ErrClosed)
	}
	err := p.enrol(w, interest)
	if err != nil {
		m.detach(w)
		if errors.Is(err, errIsMember) {
			return p.change("add", member, func(old Events) Events { return old | interest })
		}
	}
	return err
}

// enrol makes w, whose source knows it already, a member.
func (p *Poller) enrol(w *watch, interest Events) error {
	p.mu.Lock()
	var err error
	switch {
	case p.over:
		err = p.fail("add", EINVPOLLID, net.ErrClosed)
	case w.dropped:
		err = p.fail("add", EINVSOCK, net.ErrClosed)
	case p.members[w.member] != nil:
		err = errIsMember
	default:
		p.members[w.member] = w
		if w.system != nil {
			p.byID[w.system.id] = w
		}
		p.want(w, interest)
	}
	p.mu.Unlock()
	if err == nil {
		w.signal(w.now())
	}
	return err
}

// Modify replaces the interest in a member; one that is none gives EINVSOCK.
func (p *Poller) Modify(member any, interest Events) error {
	if isSystem(member) {
		<-p.turn
		defer p.giveTurn()
	}
	return p.change("modify", member, func(Events) Events { return interest })
}

// change sets the interest in a member by what it was. For one of the system's
// the turn is held.
func (p *Poller) change(op string, member any, interest func(old Events) Events) error {
	p.mu.Lock()
	w, over := p.member(member), p.over
	if w != nil {
		p.want(w, interest(Events(w.interest.Load())))
	}
	p.mu.Unlock()
	switch {
	case over:
		return p.fail(op, EINVPOLLID, net.ErrClosed)
	case w == nil:
		return p.fail(op, EINVSOCK, errNotMember)
	}
	if w.system != nil {
		if err := p.register(w); err != nil {
			return p.fail(op, EINVSOCK, err)
		}
	}
	w.signal(w.now())
	p.tellEmpty()
	return nil
}

// member returns the watch of a member; nil if it is none. p.mu is held.
func (p *Poller) member(member any) *watch {
	if t := reflect.TypeOf(member); t == nil || !t.Comparable() {
		return nil
	}
	return p.members[member]
}

// Remove ends the waiting for a member. One that is none is no error: it may
// just have been closed.
func (p *Poller) Remove(member any) error {
	system := isSystem(member)
	if system {
		<-p.turn
		defer p.giveTurn()
	}
	p.mu.Lock()
	w, over := p.member(member), p.over
	if w != nil {
		p.forget(w)
	}
	p.mu.Unlock()
	switch m, _ := member.(pollable); {
	case over:
		return p.fail("remove", EINVPOLLID, net.ErrClosed)
	case w == nil:
		return nil
	case system:
		_ = p.register(w) // fails if it is closed, and then the kernel has forgotten it or is a case for stray
	default:
		m.detach(w)
	}
	p.tellEmpty()
	return nil
}

// drop is for a source that was closed and has forgotten w itself.
func (p *Poller) drop(w *watch) {
	p.mu.Lock()
	w.dropped = true
	if p.members[w.member] == w {
		p.forget(w)
	}
	p.mu.Unlock()
	p.tellEmpty()
}

// forget takes w out of everything. p.mu is held.
func (p *Poller) forget(w *watch) {
	delete(p.members, w.member)
	if w.system != nil {
		delete(p.byID, w.system.id)
	}
	p.want(w, 0)
	p.gather()
	if w.prev != nil {
		w.leaveRing()
	}
}

// want sets the interest in w. p.mu is held.
func (p *Poller) want(w *watch, interest Events) {
	was := Events(w.interest.Swap(uint32(interest)))
	if was == 0 && interest != 0 {
		p.watching++
	} else if was != 0 && interest == 0 {
		p.watching--
	}
}

// tellEmpty lets those who wait see that nothing is left to be waited for.
func (p *Poller) tellEmpty() {
	p.mu.Lock()
	empty := p.watching == 0 && p.waiting > 0
	p.mu.Unlock()
	if empty {
		notify(p.wake)
	}
}

// Close forgets all members, which live on, and ends all waiting.
func (p *Poller) Close() error {
	<-p.turn
	defer p.giveTurn()
	p.mu.Lock()
	if p.over {
		p.mu.Unlock()
		return p.fail("close", EINVPOLLID, net.ErrClosed)
	}
	p.over = true
	members := p.members
	p.members, p.byID = nil, nil
	p.mu.Unlock()
	close(p.closed)
	for member, w := range members {
		w.interest.Store(0)
		if m, ok := member.(pollable); ok {
			m.detach(w)
		}
	}
	if k := p.kernel.Load(); k != nil {
		if err := k.Close(); err != nil {
			return p.fail("close", ERESOURCE, err)
		}
	}
	return nil
}

func (p *Poller) fail(op string, code Code, err error) error {
	return &Error{Code: code, Op: op, Err: err}
}
