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
	partPatience = 2 * time.Second        // then for the peer to have read it and closed
	byePatience  = 10 * time.Second       // after the final receipt, for the word that it arrived
	pipePatience = 200 * time.Millisecond // for a caller's Read or Write to return before it is left behind
)

// session is what both ends have in common: a connection with one reader and one writer goroutine, the first failure,
// and a way to part. stop closes when it is over, well (err is nil) or not; every wait in this package is also for stop.
type session struct {
	conn   io.ReadWriteCloser
	mode   byte // of the prelude
	frames *frameReader
	lost   func(error) error // what an end of the connection means now; nil: all is well
	notes  notes

	once  sync.Once
	stop  chan struct{}
	err   error          // valid once stop is closed
	works sync.WaitGroup // every goroutine but one stuck in a caller's Reader or Writer

	greeted    chan struct{} // closed when the peer's greeting has been read
	spoken     bool          // it was sound enough: the peer understands a fail frame; valid once greeted is closed
	readerDone chan struct{} // closed when the reader has ended
	writerDone chan struct{} // closed when the writer has ended
	writeErr   error         // valid once writerDone is closed
}

func newSession(conn io.ReadWriteCloser) *session {
	return &session{
		conn: conn, mode: modePlain, frames: newFrameReader(conn), stop: make(chan struct{}),
		greeted: make(chan struct{}), readerDone: make(chan struct{}), writerDone: make(chan struct{}),
	}
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

// abort closes the connection without a drain, where it can.
func (s *session) abort() {
	if a, ok := s.conn.(interface{ Abort() error }); ok {
		_ = a.Abort() // it is being given up
		return
	}
	_ = s.conn.Close()
}

// read is the reader goroutine: greet, then hand each frame to handle until it says that the last one came. For a data
// frame handle must read the payload.
func (s *session) read(own *helloBody, greeted chan<- terms, handle func(header, []byte) (last bool, err error)) {
	defer close(s.readerDone)
	t, err := s.greet(own)
	close(s.greeted)
	if err == nil {
		greeted <- t
		err = s.readFrames(handle)
	}
	if err == nil {
		return
	}
	var e *Error
	if !errors.As(err, &e) {
		if err = s.lost(err); err == nil {
			return
		}
	}
	s.end(err)
	// The peer may be deep in a Write. Let it get to our last frame.
	_, _ = io.Copy(io.Discard, s.conn)
}

func (s *session) readFrames(handle func(header, []byte) (bool, error)) error {
	for !s.over() {
		h, body, err := s.frames.next()
		if err != nil {
			return err
		}
		if h.kind == frameFail {
			var b failBody
			if err := parseBody(h.kind, body, &b); err != nil {
				return err
			}
			return b.remote()
		}
		if last, err := handle(h, body); last || err != nil {
			return err
		}
	}
	return errOver
}

// errOver leaves a goroutine whose session has ended; it never decides how.
var errOver = &Error{Kind: KindInternal, Msg: "the session is over"}

func (s *session) greet(own *helloBody) (t terms, err error) {
	var p [preludeLen]byte
	if err := s.frames.raw(p[:]); err != nil {
		return t, err
	}
	if err := checkPrelude(p[:], s.mode); err != nil {
		return t, err
	}
	s.spoken = true
	h, body, err := s.frames.next()
	if err != nil {
		return t, err
	}
	var peer helloBody
	switch h.kind {
	case frameHello:
		err = parseBody(h.kind, body, &peer)
	case frameFail:
		var b failBody
		if err = parseBody(h.kind, body, &b); err == nil {
			err = b.remote()
		}
	default:
		err = damaged("%v frame before the hello", h.kind)
	}
	if err != nil {
		return t, err
	}
	if t, err = agree(own, &peer); err != nil {
		return t, err
	}
	s.frames.chunk = t.chunk
	return t, nil
}

// write is the writer goroutine: our greeting, then what run writes, then, if this end failed, why.
func (s *session) write(own *helloBody, run func() error) {
	defer close(s.writerDone)
	first, err := appendFrame(preludeOf(s.mode), frameHello, own)
	if err != nil {
		s.end(err)
		return
	}
	if _, err = s.conn.Write(first); err == nil {
		err = run()
	}
	if err == nil || errors.Is(err, errOver) {
		err = s.tell()
	}
	if err == nil {
		return
	}
	s.writeErr = err
	var e *Error
	if errors.As(err, &e) {
		s.end(err)
		return
	}
	// The peer may have said why before it closed: the reader's word is better than ours.
	select {
	case <-s.readerDone:
	case <-s.stop:
	case <-time.After(partPatience):
	}
	s.end(s.lost(err))
}

// tell sends our own failure to the peer, if that is how the session ended.
func (s *session) tell() error {
	if !s.over() {
		return nil
	}
	e := s.ours()
	if e == nil || !await(s.greeted, tellPatience) || !s.spoken {
		return nil
	}
	frame, err := appendFrame(nil, frameFail, failOf(e))
	if err != nil {
		return err
	}
	_, err = s.conn.Write(frame)
	return err
}

// ours is the failure if this end made it and the connection still stands.
func (s *session) ours() *Error {
	var e *Error
	if s.err == nil || !errors.As(s.err, &e) || e.Remote || e.Kind == KindLost || e.Kind == KindUnknown {
		return nil
	}
	return e
}

// watch ends the session when ctx does. The returned function undoes it.
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
func (s *session) part() {
	switch {
	case s.err == nil:
	case s.ours() != nil:
		await(s.writerDone, tellPatience)
		if await(s.readerDone, partPatience) {
			s.abort() // the peer has gone: there is nobody to drain to
		} else {
			_ = s.conn.Close() // the failure itself matters more
		}
	default:
		s.abort()
	}
	<-s.readerDone
	<-s.writerDone
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
	mu        sync.Mutex
	onFile    func(FileDone)
	onMessage func(string)
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
