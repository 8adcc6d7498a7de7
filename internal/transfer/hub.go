package transfer

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// Hub is what a listening end knows of its sessions, so that a connection that continues one finds it. Several Sends or
// Recvs may share one (SendOptions.Hub, RecvOptions.Hub).
type Hub struct {
	mode byte // of the prelude

	mu      sync.Mutex
	live    map[caller]*session // by the end that dials
	early   map[*session]bool   // those that do not know it yet
	closed  bool
	changed chan struct{} // closed, and replaced, when a session leaves or loses its connection
}

// caller is an end that dials: who has learned the identity that its session has is not it, without its key.
type caller struct {
	key string
	id  sessionID
}

// NewHub makes a Hub without sessions.
func NewHub(secure bool) *Hub {
	return &Hub{mode: mode(secure), live: make(map[caller]*session), early: make(map[*session]bool), changed: make(chan struct{})}
}

const (
	// helloPatience is how long a new connection may take to say what it is.
	helloPatience = 10 * time.Second
	// busyPatience is how long a session waits for a file that another session of the same process has: that one's
	// connection may be dead without its knowing.
	busyPatience = 45 * time.Second
)

// arrival is a connection whose greeting a Hub has read.
type arrival struct {
	io.ReadWriteCloser
	line *line
}

// lineOf is the line for a connection that a caller brings.
func lineOf(conn io.ReadWriteCloser) *line {
	if a, ok := conn.(*arrival); ok {
		return a.line
	}
	return newLine(conn)
}

// Take reads the greeting of a connection that came in. If it continues a session it goes there and Take returns nil.
// Otherwise Take returns the connection for a Send or Recv of its own, unless only continuations are welcome: then it says
// so to the peer, closes the connection and returns nil. The error is that of a connection that was no use; it is closed.
func (h *Hub) Take(ctx context.Context, conn io.ReadWriteCloser, welcome bool) (io.ReadWriteCloser, error) {
	ln := newLine(conn)
	ctx, cancel := context.WithTimeout(ctx, helloPatience)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { abort(conn) })
	err := ln.hear(h.mode)
	if !stop() {
		return nil, lost("before the other end had said what it wants", context.Cause(ctx))
	}
	var e *Error
	switch {
	case err == nil:
		if h.deliver(ln) {
			return nil, nil //nolint:nilnil // it is where it belongs
		}
	case errors.As(err, &e) && !e.Remote && ln.spoken:
	default:
		abort(conn)
		if e == nil {
			err = lost("before the other end had said what it wants", err)
		}
		return nil, err
	}
	if err == nil && welcome {
		return &arrival{conn, ln}, nil
	}
	if e == nil {
		e = refused("", "", "this end is busy with another transfer, and waits for that one's connection",
			"try again when it is done, or have it serve many with -k")
		err = nil
	}
	refuse(conn, h.mode, e)
	return nil, err
}

// refuse says no to a peer and closes.
func refuse(conn io.ReadWriteCloser, mode byte, e *Error) {
	text, err := appendFrame(preludeOf(mode), frameFail, failOf(e))
	if err == nil {
		late := time.AfterFunc(partPatience, func() { abort(conn) })
		defer late.Stop()
		if _, err = conn.Write(text); err == nil {
			_, _ = io.Copy(io.Discard, conn) // until the peer has read it and closes
		}
	}
	abort(conn)
}

// deliver gives a line to the session it continues; false if there is none.
func (h *Hub) deliver(ln *line) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.live[caller{ln.key, ln.peer.session()}]
	if s == nil {
		s = h.waiting(ln.key)
	} else if !ln.peer.knows(s.self, s.other) {
		return false
	}
	if s == nil || s.over() {
		return false
	}
	select {
	case older := <-s.retry.arrivals:
		abort(older.conn)
	default:
	}
	s.retry.arrivals <- ln
	// The peer knows that the old one is dead before we do.
	if up := s.up(); up != nil && up != ln {
		up.lose(errReplaced)
	}
	return true
}

// waiting is a session with the end that has a key, to whose connections nothing has been said yet; nil if there is none.
func (h *Hub) waiting(key string) *session {
	for s := range h.early {
		if s.key == key {
			return s
		}
	}
	return nil
}

// enter enters a session whose peer is not known yet, but for what a connection that Take gave says.
func (h *Hub) enter(s *session, ln *line) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ln.peer != nil {
		s.other = ln.peer.session()
		h.live[s.caller()] = s
		return
	}
	h.early[s] = true
}

var (
	// errReplaced is the end of a line whose peer has made another.
	errReplaced = errors.New("the other end has made a new connection")
	// errWanted and errClosedHub are why a session does not wait for its next line any longer.
	errWanted    = errors.New("another transfer wants the same file")
	errClosedHub = errors.New("this end takes no more connections")
)

// join enters a session under the identity of its peer.
func (h *Hub) join(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.early, s)
	h.live[s.caller()] = s
}

// leave forgets a session that is over.
func (h *Hub) leave(s *session) {
	h.mu.Lock()
	delete(h.early, s)
	if h.live[s.caller()] == s {
		delete(h.live, s.caller())
	}
	select {
	case late := <-s.retry.arrivals:
		abort(late.conn)
	default:
	}
	h.mu.Unlock()
	h.touch()
}

// Close says that no connection will come any more: sessions that wait for one end, others go on.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, s := range h.live {
		if s.up() == nil {
			go s.giveUp(errClosedHub)
		}
	}
}

func (h *Hub) isClosed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

// touch wakes those in makeWay.
func (h *Hub) touch() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.changed)
	h.changed = make(chan struct{})
}

// makeWay is for a session that needs what another one may have. It ends those that have no connection: what they have is
// kept, and if their peers come back they go on with that. Then it waits for something to change, at most for d; false
// if there is nobody to wait for.
func (h *Hub) makeWay(s *session, d time.Duration) bool {
	h.mu.Lock()
	changed, others := h.changed, 0
	for _, other := range h.live {
		if other == s {
			continue
		}
		others++
		if other.up() == nil {
			go other.giveUp(errWanted) // once what came is written
		}
	}
	h.mu.Unlock()
	if others == 0 {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-changed:
	case <-t.C:
	case <-s.stop:
	}
	return !s.over()
}
