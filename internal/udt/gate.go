package udt

import (
	"net"
	"os"
	"sync"
	"time"
)

// A gate lets one caller at a time through to one direction of a connection
// and makes it wait there for readiness, its deadline or the end.
type gate struct {
	turn   chan struct{} // holds a token while nobody is inside
	signal chan struct{} // readiness may have come; level is checked by the waiter
	limit  deadline
}

func (g *gate) init() {
	g.turn, g.signal = make(chan struct{}, 1), make(chan struct{}, 1)
	g.turn <- struct{}{}
	g.limit.init()
}

// enter waits for the caller's turn.
func (g *gate) enter(closed <-chan struct{}) error {
	if err := g.check(closed); err != nil {
		return err
	}
	select {
	case <-g.turn:
		return nil
	case <-closed:
		return net.ErrClosed
	case <-g.limit.passed():
		return os.ErrDeadlineExceeded
	}
}

// tryEnter is enter for who does not wait.
func (g *gate) tryEnter(closed <-chan struct{}) error {
	if err := g.check(closed); err != nil {
		return err
	}
	select {
	case <-g.turn:
		return nil
	default:
		return ErrWouldBlock
	}
}

// check tells whether the end or the deadline has come.
func (g *gate) check(closed <-chan struct{}) error {
	select {
	case <-closed:
		return net.ErrClosed
	case <-g.limit.passed():
		return os.ErrDeadlineExceeded
	default:
		return nil
	}
}

func (g *gate) leave() { g.turn <- struct{}{} }

// wait blocks until there was a signal.
func (g *gate) wait(closed <-chan struct{}) error { return g.await(g.signal, closed) }

// await blocks until ch gives something.
func (g *gate) await(ch, closed <-chan struct{}) error {
	select {
	case <-ch:
		return nil
	case <-closed:
		return net.ErrClosed
	case <-g.limit.passed():
		return os.ErrDeadlineExceeded
	}
}

// wake signals the one inside, or the next to wait.
func (g *gate) wake() { notify(g.signal) }

// notify leaves a token in a channel with room for one.
func notify(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// A deadline is a moment that can be moved while others wait for it.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	done  chan struct{} // closed when the moment has passed
}

func (d *deadline) init() { d.done = make(chan struct{}) }

// passed returns a channel that is closed at the deadline. A waiter that got
// it before the deadline was moved is woken at the old one, or the new one if
// that is sooner.
func (d *deadline) passed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.done
}

// set moves the deadline; the zero time means never.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.done // the timer's function is about to close it
	}
	d.timer = nil
	isPast := false
	select {
	case <-d.done:
		isPast = true
	default:
	}
	switch wait := time.Until(t); {
	case t.IsZero() || wait > 0:
		if isPast {
			d.done = make(chan struct{})
		}
		if !t.IsZero() {
			done := d.done
			d.timer = time.AfterFunc(wait, func() { close(done) })
		}
	case !isPast:
		close(d.done)
	}
}
