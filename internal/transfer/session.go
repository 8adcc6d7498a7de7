package transfer

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// How long to wait for the peer when there is nothing more to be done than to part well.
const (
	tellPatience = 10 * time.Second       // to get our failure into the connection
	quitPatience = time.Second            // the same, when the caller wants to be gone
	partPatience = 2 * time.Second        // then for the peer to have read it and closed
	byePatience  = 10 * time.Second       // after the final receipt, for the word that it arrived
	pipePatience = 200 * time.Millisecond // for a caller's Read or Write to return before it is left behind
)

// session is what both ends have in common: the first failure, a way to part, and one connection after another, each with
// one reader and one writer goroutine (line.go). stop closes when the session is over, well (err is nil) or not; every
// wait in this package is also for stop.
type session struct {
	notes   *notes
	party   party
	mode    byte // of the prelude
	retry   retry
	hub     *Hub       // of a listening end
	own     *helloBody // what is the same on every connection
	key     string     // the other end's, on every connection
	self    sessionID  // how the other end knows this session again
	other   sessionID  // how we know the other end's; the reader's
	attempt uint64     // connections before this one

	once  sync.Once
	stop  chan struct{}
	err   error          // valid once stop is closed
	works sync.WaitGroup // every goroutine but those of a line, and one stuck in a caller's Reader or Writer

	mu   sync.Mutex
	conn io.ReadWriteCloser // of the line that is up, or was last
	line *line              // that is up; nil between two
}

// party is the one of the two ends that a session is about.
type party interface {
	// hello is what to say on the next connection.
	hello() *helloBody
	// begin is told what both hellos came to: the first time it starts the work; on later connections it goes on. It
	// is called by the line's reader.
	begin(ln *line) error
	// handle takes a frame; for a data frame it must read the payload. last says that nothing follows.
	handle(ln *line, h header, body []byte) (last bool, err error)
	// transmit writes what this end has to say until that is all.
	transmit(ln *line) error
	// lost says what an end of the connection means, if there will be no other; nil: all is well.
	lost(err error) error
	// offset is how far the work has got, bytes.
	offset() int64
	// patience is how long to wait for the other end to come back, given the user's limit.
	patience(most time.Duration) time.Duration
}

func newSession(conn io.ReadWriteCloser) *session {
	return &session{conn: conn, mode: modePlain, stop: make(chan struct{}), self: newSessionID()}
}

// errAfresh ends a session whose peer knows nothing of it, and is there: another session, on the same line, begins with what
// is durable.
var errAfresh = errors.New("the other end was started anew")

// introduction is our hello as far as it is the same for both ends.
func (s *session) introduction() *helloBody {
	b, self, other := *s.own, s.self, s.other
	b.Session, b.Attempt = self[:], s.attempt
	if other != (sessionID{}) {
		b.Peer = other[:]
	}
	return &b
}

// caller is how a Hub knows the session's other end.
func (s *session) caller() caller { return caller{s.key, s.other} }

// meet remembers who the other end is, on the first connection.
func (s *session) meet(ln *line) {
	s.other = ln.peer.session()
	if s.hub != nil {
		s.hub.join(s)
	}
}

// recognises tells whether the other end goes on with this session.
func (s *session) recognises(ln *line) bool { return ln.peer.knows(s.self, s.other) }

// inherit makes s the one that goes on where an earlier session ended with errAfresh.
func (s *session) inherit(from *session) {
	s.self, s.attempt = from.self, from.attempt
	s.retry = from.retry
}

// end ends the session; the first call decides with what.
func (s *session) end(err error) {
	s.once.Do(func() {
		s.err = err
		close(s.stop)
	})
}

// over tells whether the session has ended.
func (s *session) over() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// do runs f in a goroutine of the session.
func (s *session) do(f func()) { s.works.Go(f) }

// errOver leaves a goroutine whose session has ended; it never decides how.
var errOver = &Error{Kind: KindInternal, Msg: "the session is over"}

// converse runs the session over ln, and over other connections after it, until it is over. If it ends with errAfresh the
// line that is returned is up, for another session to go on with.
func (s *session) converse(ctx context.Context, ln *line) *line {
	if err := ln.enter(ctx, s); err != nil {
		s.end(err)
		return nil
	}
	for {
		s.put(ln)
		ln.run(s)
		select {
		case <-s.stop:
			if errors.Is(s.err, errAfresh) {
				ln.release()
				s.works.Wait()
				return ln
			}
			s.part(ln)
			return nil
		case <-ln.down:
		}
		ln.close()
		s.put(nil)
		if s.hub != nil {
			s.hub.touch()
		}
		s.attempt++
		next, err := s.next(ctx, ln)
		if next == nil {
			s.end(err)
			s.works.Wait()
			return nil
		}
		ln = next
	}
}

// put makes ln the line that is up.
func (s *session) put(ln *line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line = ln; ln != nil {
		s.conn = ln.conn
	}
}

// up is the line that is up, nil if none is.
func (s *session) up() *line {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.line
}

// abort closes the connection without a drain, where it can.
func (s *session) abort() {
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	abort(conn)
}

func abort(conn io.ReadWriteCloser) {
	if a, ok := conn.(interface{ Abort() error }); ok {
		_ = a.Abort() // it is being given up
		return
	}
	_ = conn.Close()
}

// ours is the failure if this end made it and the other is to know; an end that is called off says no more than that.
func (s *session) ours() *Error {
	var e *Error
	switch {
	case s.err == nil:
		return nil
	case !errors.As(s.err, &e):
		return &Error{Kind: KindLost, Msg: "it was called off", Hint: "run the same command again at both ends"}
	case e.Remote || (e.Kind == KindLost || e.Kind == KindUnknown) && !e.tell:
		return nil
	}
	return e
}

// heed ends the session when ctx does. The returned function undoes it.
func (s *session) heed(ctx context.Context) func() bool {
	return context.AfterFunc(ctx, func() { s.end(context.Cause(ctx)) })
}

// watch is heed for a session without lines: it closes the connection.
func (s *session) watch(ctx context.Context) func() bool {
	return context.AfterFunc(ctx, func() {
		s.end(context.Cause(ctx))
		s.abort()
	})
}

// outcome is what to return, once the session has parted. The loss of a connection that the caller gave up on, at this
// end or through the same context at the other, is the caller's own doing.
func (s *session) outcome(ctx context.Context) error {
	if k := KindOf(s.err); (k == KindLost || k == KindUnknown) && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return s.err
}

// part waits for everything to come to rest after stop has closed, and closes the connection unless all went well.
func (s *session) part(ln *line) {
	var e *Error
	switch calledOff := s.err != nil && !errors.As(s.err, &e); {
	case s.err == nil:
	case s.ours() == nil:
		abort(ln.conn)
	case calledOff:
		if await(ln.writerDone, quitPatience) {
			await(ln.readerDone, partPatience)
		}
		abort(ln.conn)
	default:
		await(ln.writerDone, tellPatience)
		if await(ln.readerDone, partPatience) {
			abort(ln.conn) // the peer has gone: there is nobody to drain to
		} else {
			_ = ln.conn.Close() // the failure itself matters more
		}
	}
	<-ln.readerDone
	<-ln.writerDone
	s.works.Wait()
}

// await waits for done, at most for d.
func await(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// notes are the caller's callbacks, one call at a time.
type notes struct {
	mu          sync.Mutex
	onFile      func(FileDone)
	onMessage   func(string)
	onReconnect func(Reconnecting)
}

func (n *notes) file(f FileDone) {
	if n.onFile != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.onFile(f)
	}
}

func (n *notes) message(line string) {
	if n.onMessage != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.onMessage(line)
	}
}

func (n *notes) reconnecting(r Reconnecting) {
	if n.onReconnect != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.onReconnect(r)
	}
}
