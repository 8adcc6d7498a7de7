package udt

import (
	"errors"
	"net"
	"reflect"
	"sync/atomic"
	"syscall"

	"github.com/udtcp/udtcp/internal/udt/udpio"
)

// FD is one of the system's descriptors, for a Poller. Remove it before it is
// closed: nothing else tells its number from that of the next.
type FD int

// A descriptor is what a Poller knows of a member that is the system's. The
// Poller's turn guards it.
type descriptor struct {
	raw        controller
	id         uint64 // by which the kernel tells of it
	registered bool   // the kernel waits for it
	always     bool   // it is always ready, and the kernel does not wait for it
	level      atomic.Uint32
}

// A controller lends a descriptor for a call; it fails if that is closed. A
// syscall.RawConn is one.
type controller interface {
	Control(f func(fd uintptr)) error
}

type bareFD FD

func (fd bareFD) Control(f func(uintptr)) error {
	f(uintptr(fd))
	return nil
}

// controllerOf returns how to get at the descriptor of member; nil if it is
// nothing of the system's that can be waited for.
func controllerOf(member any) (controller, error) {
	switch m := member.(type) {
	case FD:
		return bareFD(m), nil
	case syscall.Conn:
		if reflect.TypeOf(member).Comparable() {
			return m.SyscallConn()
		}
	}
	return nil, errNotPollable
}

// addSystem is Add for what is the system's.
func (p *Poller) addSystem(member any, interest Events) error {
	raw, err := controllerOf(member)
	if err != nil {
		return p.fail("add", EINVSOCK, err)
	}
	<-p.turn
	defer p.giveTurn()
	if err := p.needKernel(); err != nil {
		return err
	}
	p.lastID++
	w := &watch{poller: p, member: member, system: &descriptor{raw: raw, id: p.lastID}}
	w.level = &w.system.level
	err = p.enrol(w, interest)
	if errors.Is(err, errIsMember) {
		return p.change("add", member, func(old Events) Events { return old | interest })
	}
	if err != nil {
		return err
	}
	if err := p.register(w); err != nil {
		p.mu.Lock()
		p.forget(w)
		p.mu.Unlock()
		return p.fail("add", EINVSOCK, err)
	}
	return nil
}

func (p *Poller) giveTurn() { p.turn <- struct{}{} }

// needKernel makes sure that the kernel can wait for us. The turn is held.
func (p *Poller) needKernel() error {
	if p.kernel.Load() != nil {
		return nil
	}
	k, err := udpio.NewDescriptors(p.wakeOne)
	if errors.Is(err, errors.ErrUnsupported) {
		return p.fail("add", EINVOP, err)
	}
	if err != nil {
		return p.fail("add", ERESOURCE, err)
	}
	p.mu.Lock()
	over := p.over
	if !over {
		p.kernel.Store(k)
	}
	p.mu.Unlock()
	if over {
		_ = k.Close() // it had no members
		return p.fail("add", EINVPOLLID, net.ErrClosed)
	}
	p.wakeOne() // who waits already is to wait for the kernel, too
	return nil
}

func (p *Poller) wakeOne() { notify(p.wake) }

// register has the kernel wait for what the interest in w is. The turn is held.
func (p *Poller) register(w *watch) error {
	s, k, interest := w.system, p.kernel.Load(), Events(w.interest.Load())
	if s.always || k == nil {
		return nil
	}
	var err error
	cerr := s.raw.Control(func(fd uintptr) {
		in, out := interest&PollIn != 0, interest&PollOut != 0
		switch {
		case interest == 0 && s.registered:
			err = k.Remove(int(fd))
		case s.registered:
			err = k.Modify(int(fd), s.id, in, out)
		case interest != 0:
			err = k.Add(int(fd), s.id, in, out)
		}
	})
	switch {
	case cerr != nil:
		return cerr
	case errors.Is(err, syscall.EPERM): // a regular file, for instance
		s.always = true
		s.level.Store(uint32(PollIn | PollOut))
		w.signal(w.now())
		return nil
	case err == nil:
		s.registered = interest != 0
	}
	return err
}

// A kernelLook is what one look at the kernel found, and what became of it.
type kernelLook struct {
	look  *udpio.Look // nil before it is first needed
	found []udpio.DescriptorReady
	hits  []*watch // the members among them that are in events, in that order
	first int      // where in events
}

// ask asks the kernel for up to most that are ready.
func (w *waiter) ask(k *udpio.Descriptors, most int) {
	l := &w.kernel
	if l.look == nil {
		l.look = &udpio.Look{}
	}
	l.found = nil
	if most > 0 {
		l.found = l.look.At(k, most)
	}
}

// sort puts what the kernel found into events from n on and returns where that
// ends. It can be done once for each time it is asked. p.mu is held.
func (p *Poller) sort(w *waiter, events []Event, n int) int {
	l := &w.kernel
	l.hits, l.first = l.hits[:0], n
	for _, f := range l.found {
		w := p.byID[f.ID]
		if w == nil {
			p.stray(f.ID)
			continue
		}
		if e := eventsOf(f) & Events(w.interest.Load()); e != 0 && n < len(events) {
			events[n] = Event{w.member, e}
			n++
			l.hits = append(l.hits, w)
		}
	}
	l.found = nil
	return n
}

func eventsOf(f udpio.DescriptorReady) Events {
	var e Events
	if f.In {
		e |= PollIn
	}
	if f.Out {
		e |= PollOut
	}
	if f.Err {
		e |= PollErr
	}
	return e
}

// stray notes that the kernel tells of what is no member. Once, that member has
// just been removed. Again, it was closed before it could be, while another
// process has a copy: then the kernel would tell of it for ever. p.mu is held.
func (p *Poller) stray(id uint64) {
	p.strayed = p.strayed || p.lastStray == id
	p.lastStray = id
}

// renew begins anew with the kernel, which leaves strays behind.
func (p *Poller) renew() error {
	<-p.turn
	defer p.giveTurn()
	old := p.kernel.Load()
	p.mu.Lock()
	over := p.over
	p.strayed = false
	members := make([]*watch, 0, len(p.byID))
	for _, w := range p.byID {
		members = append(members, w)
	}
	p.mu.Unlock()
	if over {
		return nil // the caller will see
	}
	k, err := udpio.NewDescriptors(p.wakeOne)
	if err != nil {
		return p.fail("wait", ERESOURCE, err)
	}
	p.kernel.Store(k)
	for _, w := range members {
		w.system.registered = false
		if err := p.register(w); err != nil { // closed
			p.mu.Lock()
			p.forget(w)
			p.mu.Unlock()
		}
	}
	p.wakeOne()
	return old.Close()
}

// living drops those of events whose member was closed and not removed, and
// returns how many are left.
func (p *Poller) living(w *waiter, events []Event) (n int, dead bool, err error) {
	l := &w.kernel
	n = l.first
	for i, w := range l.hits {
		if w.system.raw.Control(func(uintptr) {}) != nil {
			dead = true
			err = errors.Join(err, p.Remove(w.member))
			continue
		}
		events[n] = events[l.first+i]
		n++
	}
	n += copy(events[n:], events[l.first+len(l.hits):])
	clear(l.hits)
	return n, dead, err
}

// isSystem tells whether member is the system's, if it is anything.
func isSystem(member any) bool {
	switch member.(type) {
	case FD, syscall.Conn:
		return true
	}
	return false
}
