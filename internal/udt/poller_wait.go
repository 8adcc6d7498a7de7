package udt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// An Event is a member of a Poller and what can be done with it at once, of
// what its interest is.
type Event struct {
	Member any
	Events Events
}

// Wait waits until something is ready, fills events with it and returns how
// much that is. It gives ETIMEOUT at the context's deadline. Waiting for
// nothing in a context that can't end gives EINVPARAM, waiting on a closed
// Poller EINVPOLLID. What is ready comes before the end of the context.
func (p *Poller) Wait(ctx context.Context, events []Event) (int, error) {
	n, err := p.wait(events, ctx.Done(), -1)
	if errors.Is(err, errStopped) {
		cause := context.Cause(ctx)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return 0, p.fail("wait", ETIMEOUT, fmt.Errorf("%w: %w", os.ErrDeadlineExceeded, cause))
		}
		return 0, p.fail("wait", EASYNCFAIL, cause)
	}
	return n, err
}

// WaitFor is Wait for so long: 0 looks only, less than 0 is for ever.
func (p *Poller) WaitFor(d time.Duration, events []Event) (int, error) {
	return p.wait(events, nil, d)
}

var (
	errStopped      = errors.New("stopped")
	errPollTimeout  = &Error{Code: ETIMEOUT, Op: "wait", Err: os.ErrDeadlineExceeded}
	errPollEmpty    = &Error{Code: EINVPARAM, Op: "wait", Err: errors.New("nothing to wait for, without a limit")}
	errPollNoEvents = &Error{Code: EINVPARAM, Op: "wait", Err: errors.New("no room for events")}
	errPollClosed   = &Error{Code: EINVPOLLID, Op: "wait", Err: net.ErrClosed}
)

// A waiter is what one call that waits needs; the Poller keeps it for the next.
type waiter struct {
	timer   *time.Timer // stopped between calls; nil before it is first needed
	waiting bool        // it is counted in Poller.waiting

	kernelFirst bool // the system's members come first this time
	kernel      kernelLook
}

// wait is Wait until stop is closed and for at most d unless that is negative.
func (p *Poller) wait(events []Event, stop <-chan struct{}, d time.Duration) (int, error) {
	if len(events) == 0 {
		return 0, errPollNoEvents
	}
	w, err := p.begin()
	if err != nil {
		return 0, err
	}
	defer p.finish(w)
	forever := stop == nil && d < 0
	var (
		timeout <-chan time.Time
		expired = d == 0
	)
	for {
		n, err := p.look(w, events, forever)
		if n > 0 || err != nil {
			return n, err
		}
		select {
		case <-stop:
			return 0, errStopped
		default:
		}
		if expired {
			return 0, errPollTimeout
		}
		if d > 0 && timeout == nil {
			timeout = w.start(d)
		}
		select {
		case <-p.wake:
		case <-stop:
		case <-timeout:
			expired = true
		case <-p.closed:
		}
	}
}

// start starts the waiter's timer.
func (w *waiter) start(d time.Duration) <-chan time.Time {
	if w.timer == nil {
		w.timer = time.NewTimer(d)
	} else {
		w.timer.Reset(d)
	}
	return w.timer.C
}

func (p *Poller) begin() (*waiter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return nil, errPollClosed
	}
	var w *waiter
	if last := len(p.idle) - 1; last >= 0 {
		w = p.idle[last]
		p.idle = p.idle[:last]
	} else {
		w = &waiter{}
	}
	w.kernelFirst = p.kernelFirst
	p.kernelFirst = !p.kernelFirst
	return w, nil
}

// finish ends a call that waited. Whoever waits still has to look as well:
// there was one token for all of them.
func (p *Poller) finish(w *waiter) {
	if w.timer != nil {
		w.timer.Stop()
	}
	p.mu.Lock()
	p.count(w, false)
	p.idle = append(p.idle, w)
	others := p.waiting > 0
	p.mu.Unlock()
	if others {
		notify(p.wake)
	}
}

// count says whether w waits. p.mu is held.
func (p *Poller) count(w *waiter, waiting bool) {
	if w.waiting != waiting {
		w.waiting = waiting
		if waiting {
			p.waiting++
		} else {
			p.waiting--
		}
	}
}

// look fills events with what is ready. If nothing is, w is waiting when it
// returns.
func (p *Poller) look(w *waiter, events []Event, forever bool) (int, error) {
	k := p.kernel.Load()
	if k == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.fill(w, events, 0, forever)
	}
	before := 0
	if !w.kernelFirst {
		p.mu.Lock()
		before = p.harvest(events)
		p.mu.Unlock()
	}
	w.ask(k, len(events)-before)
	for {
		p.mu.Lock()
		n, err := p.fill(w, events, before, forever)
		strayed := p.strayed
		p.mu.Unlock()
		if strayed && err == nil {
			err = p.renew()
		}
		if n > 0 && err == nil {
			var dead bool
			if n, dead, err = p.living(w, events[:n]); dead && n == 0 && err == nil {
				continue // it does not count as waiting
			}
		}
		if n == 0 && err == nil {
			k.Arm()
		}
		return n, err
	}
}

// fill adds what the kernel found, and what else is ready, to events, which has
// n already. p.mu is held.
func (p *Poller) fill(w *waiter, events []Event, n int, forever bool) (int, error) {
	if p.over {
		return 0, errPollClosed
	}
	isFirst := n == 0 // else those that are ready are in events
	n = p.sort(w, events, n)
	if isFirst {
		n += p.harvest(events[n:])
	}
	if n == 0 && forever && p.watching == 0 {
		return 0, errPollEmpty
	}
	p.count(w, n == 0)
	return n, nil
}

// gather moves what was signalled to the end of the ready list, in the order
// in which it was. p.mu is held.
func (p *Poller) gather() {
	var first *watch
	for w := p.news.Swap(nil); w != nil; {
		earlier := w.next
		w.next, first = first, w
		w = earlier
	}
	for w := first; w != nil; {
		later := w.next
		p.ready.push(w)
		w = later
	}
}

// harvest fills events from the ready list. Those members stay on it, at its
// end, so that the others have their turn; those with nothing to do any more
// leave it. p.mu is held.
func (p *Poller) harvest(events []Event) int {
	p.gather()
	n, last := 0, p.ready.prev
	for w := p.ready.next; w != &p.ready && n < len(events); {
		next := w.next
		w.leaveRing()
		e := w.now()
		if e == 0 {
			e = w.unlink()
		}
		if e != 0 {
			p.ready.push(w)
			events[n] = Event{w.member, e}
			n++
		}
		if w == last {
			break
		}
		w = next
	}
	return n
}
