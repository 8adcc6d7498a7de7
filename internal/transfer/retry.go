package transfer

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	randv2 "math/rand/v2"
	"time"
)

// sessionID is how an end of a session is known again on another connection.
type sessionID [16]byte

func newSessionID() (id sessionID) {
	_, _ = rand.Read(id[:]) // it never fails
	return id
}

// Connector gives the next connection of a session whose last was lost: it dials once, or waits for the peer to come. An
// *Error, of it or of the connection's Enter, is a verdict and ends the session; any other is a reason to try again. ctx
// ends when it takes too long.
type Connector func(ctx context.Context) (io.ReadWriteCloser, error)

// Reconnecting is what OnReconnect is told when a connection is lost and another is sought.
type Reconnecting struct {
	Reason string        // why, safe to print
	Offset int64         // payload verified so far, bytes
	For    time.Duration // how long it is going to be tried; 0: it was planned
}

// retry is how a session comes by its next connection.
type retry struct {
	connect  Connector     // nil: it does not
	limit    time.Duration // how long it is tried
	arrivals chan *line    // of a listening end, from its hub; nil elsewhere
	found    func(io.ReadWriteCloser)
	since    time.Time // when the connection was lost that is sought anew
	failures int       // connections in a row that came to nothing
	diverted bool      // one led to another end, and the user knows
}

// Retry says how a transfer outlives its connection. The zero value: it does not.
type Retry struct {
	For     time.Duration // how long another connection is sought when one is lost
	Connect Connector     // of an end that dials
	Hub     *Hub          // of an end that listens: connections come from there
	// Found is told of each further connection, as Connect gave it or as it was handed to Hub.Take, before it is used. It
	// may be nil.
	Found func(conn io.ReadWriteCloser)
	// LineLimit is how many bytes this end sends over one connection before it goes on over another; 0 is no limit.
	LineLimit int64
}

func (o *Retry) start() retry {
	r := retry{connect: o.Connect, limit: o.For, found: o.Found}
	if o.Hub != nil {
		r.arrivals = make(chan *line, 1)
	}
	return r
}

// possible tells whether there may be a next connection.
func (r *retry) possible() bool { return r.limit > 0 && (r.connect != nil || r.arrivals != nil) }

// Between two attempts to connect passes a random time of up to this, which doubles from the first to the last.
const (
	firstPause = 500 * time.Millisecond
	lastPause  = 15 * time.Second
)

// next waits for the connection after ln. Without one the error says what that means; with neither the session is over.
func (s *session) next(ctx context.Context, ln *line) (*line, error) {
	r := &s.retry
	if !r.possible() || s.hub != nil && s.hub.isClosed() {
		return nil, s.party.lost(ln.err)
	}
	if ln.isReady() {
		r.since, r.failures = time.Time{}, 0
	} else {
		r.failures++ // it did not get as far as going on
	}
	if r.since.IsZero() {
		r.since = time.Now()
		s.announce(ln)
	}
	within, cancel := context.WithDeadline(ctx, r.since.Add(s.party.patience(r.limit)))
	defer cancel()
	go func() {
		select {
		case <-s.stop:
			cancel()
		case <-within.Done():
		}
	}()
	for r.pause(within) {
		next, err := r.take(within)
		if err == nil && next.key != s.key {
			s.sendAway(next)
			err = errOtherKey
		}
		if err == nil {
			err = next.enter(within, s)
		}
		if err == nil {
			if r.found != nil {
				r.found(next.conn)
			}
			return next, nil
		}
		var e *Error
		if errors.As(err, &e) {
			return nil, err
		}
		r.failures++
	}
	if s.over() || ctx.Err() != nil {
		<-s.stop // it is on its way
		return nil, nil
	}
	return nil, s.party.lost(ln.err)
}

var errOtherKey = errors.New("an end with another key")

// sendAway closes a connection that leads to another end than the one the session is with. Nothing was said over it.
func (s *session) sendAway(ln *line) {
	abort(ln.conn)
	if !s.retry.diverted {
		s.retry.diverted = true
		s.notes.message("an end with another key answers, " + Quote(ln.key) + ": this transfer does not go on with it")
	}
}

// turnedAway is what it means that the other end does not take the next connection. Where all that is missing is its last
// word, it has said that, and its session is over.
func (s *session) turnedAway(err error) error {
	if s.attempt == 0 {
		return err
	}
	if e := s.party.lost(err); e == nil || KindOf(e) == KindUnknown {
		return e
	}
	return err
}

// giveUp ends a session that waits for its next line, with what that means.
func (s *session) giveUp(why error) { s.end(s.party.lost(why)) }

func (s *session) announce(ln *line) {
	a := Reconnecting{Reason: reason(ln.err), Offset: s.party.offset()}
	switch {
	case errors.Is(ln.err, errPlanned):
	case errors.Is(ln.err, io.EOF), errors.Is(ln.err, io.ErrUnexpectedEOF):
		a.Reason = "the other end closed the connection"
		fallthrough
	default:
		a.For = s.party.patience(s.retry.limit)
	}
	s.notes.reconnecting(a)
}

// pause waits before an attempt, longer the more of them failed; false when ctx ends first.
func (r *retry) pause(ctx context.Context) bool {
	if r.failures == 0 || r.arrivals != nil {
		return ctx.Err() == nil
	}
	d := min(firstPause<<min(r.failures-1, 10), lastPause)
	t := time.NewTimer(d/2 + randv2.N(d/2))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// take makes one attempt.
func (r *retry) take(ctx context.Context) (*line, error) {
	if r.arrivals == nil {
		conn, err := r.connect(ctx)
		if err != nil {
			return nil, err
		}
		return newLine(conn), nil
	}
	select {
	case ln := <-r.arrivals:
		return ln, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
