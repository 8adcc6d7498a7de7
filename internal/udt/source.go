package udt

import "sync/atomic"

// A source is what Pollers see of a connection or a listener: what can be done
// with it at once, and who wants to know. The owner's mutex guards it; level
// may be read without.
type source struct {
	level   atomic.Uint32 // Events
	watches []*watch
	closed  bool // by its user; nobody watches it any more
}

// set says what can be done now and tells of what has become possible.
func (s *source) set(now Events) (risen Events) {
	was := Events(s.level.Load())
	if now == was {
		return 0
	}
	s.level.Store(uint32(now))
	risen = now &^ was
	for _, w := range s.watches {
		w.signal(risen)
	}
	return risen
}

// attach lets w watch; false if the source is closed.
func (s *source) attach(w *watch) bool {
	if s.closed {
		return false
	}
	w.level = &s.level
	s.watches = append(s.watches, w)
	return true
}

func (s *source) detach(w *watch) {
	for i, other := range s.watches {
		if other == w {
			last := len(s.watches) - 1
			s.watches[i] = s.watches[last]
			s.watches[last] = nil
			s.watches = s.watches[:last]
			return
		}
	}
}

// close ends all watching. Who watched is to be told with dropAll once the
// owner's mutex is free.
func (s *source) close() []*watch {
	s.closed = true
	watches := s.watches
	s.watches = nil
	return watches
}

func dropAll(watches []*watch) {
	for _, w := range watches {
		w.poller.drop(w)
	}
}

// A watch is a membership in a Poller.
//
// It is linked from the moment its source signals until its Poller finds that
// there is nothing to do with it: first on the Poller's stack of news, which
// takes no lock, then in its ready list.
type watch struct {
	poller   *Poller
	member   any
	system   *descriptor    // of a member of the system's, which has no source
	level    *atomic.Uint32 // the source's
	interest atomic.Uint32  // Events
	linked   atomic.Bool
	next     *watch // on the stack or in the ring of those that are ready
	prev     *watch // in the ring
	dropped  bool   // its source was closed; guarded by poller.mu
}

// now is what the Poller has to report.
func (w *watch) now() Events { return Events(w.level.Load() & w.interest.Load()) }

// signal tells the Poller what has become possible. It takes no lock, for it
// is called with the source's held.
func (w *watch) signal(risen Events) {
	if risen&Events(w.interest.Load()) == 0 || !w.linked.CompareAndSwap(false, true) {
		return
	}
	news := &w.poller.news
	for {
		top := news.Load()
		w.next = top
		if news.CompareAndSwap(top, w) {
			break
		}
	}
	notify(w.poller.wake)
}

// unlink says that there is nothing to do, and returns what there is after
// all: a signal that came just before would have been missed. Only then w
// stays linked.
func (w *watch) unlink() Events {
	w.linked.Store(false)
	if e := w.now(); e != 0 && w.linked.CompareAndSwap(false, true) {
		return e
	}
	return 0
}

// A ring of watches, of which the one that was initialised is only the head.

func (w *watch) initRing() { w.next, w.prev = w, w }

// push puts v at the end of the ring that w is the head of.
func (w *watch) push(v *watch) {
	v.prev, v.next = w.prev, w
	v.prev.next, w.prev = v, v
}

// leaveRing takes w out of its ring.
func (w *watch) leaveRing() {
	w.prev.next, w.next.prev = w.next, w.prev
	w.prev, w.next = nil, nil
}
