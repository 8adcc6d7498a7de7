package transfer

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// line is one connection of a session. A session outlives its lines: when one is lost, or has carried as much as it may,
// the next goes on where it ended.
type line struct {
	conn   io.ReadWriteCloser
	key    string       // the other end's; see peerKeyOf
	frames *frameReader // the reader's own

	own   *helloBody // what we say, or have said
	peer  *helloBody // nil until it has been read; the reader's until ready is closed
	terms terms      // likewise
	said  bool       // our hello is out; the writer's own
	wrote int64      // bytes; the writer's own

	greeted chan struct{} // closed when the peer's greeting has been read
	spoken  bool          // it was sound enough: the peer understands a fail frame; valid once greeted is closed
	ready   chan struct{} // closed when the session has begun, or goes on, over it

	once       sync.Once
	down       chan struct{} // closed when it is lost
	err        error         // why; valid once down is closed
	readerDone chan struct{}
	writerDone chan struct{}

	renewing atomic.Bool // we say that it has carried as much as it may: however it ends, that was planned
}

func newLine(conn io.ReadWriteCloser) *line {
	return &line{conn: conn, key: peerKeyOf(conn), frames: newFrameReader(conn)}
}

// peerKeyOf is the public key of a connection's other end, for those that have authenticated it: then a session goes on over
// connections of the same key alone. Elsewhere it is "".
func peerKeyOf(conn io.ReadWriteCloser) string {
	if c, ok := conn.(interface{ PeerKey() string }); ok {
		return c.PeerKey()
	}
	return ""
}

// errPlanned is the end of a line that has carried as much as it may.
var errPlanned = errors.New("a connection carries only so much")

// enterer is a connection whose other end has still to accept this one; see Send.
type enterer interface {
	Enter(ctx context.Context, greeting []byte) error
}

// enter has the other end accept this one, where that is still to be done; our greeting is on its way meanwhile. On an
// error the connection is closed.
func (ln *line) enter(ctx context.Context, s *session) error {
	c, ok := ln.conn.(enterer)
	if !ok || ln.said {
		return nil
	}
	ln.own = s.party.hello()
	first, err := ln.greeting(s.mode)
	if err == nil {
		ln.said = true
		ln.wrote += int64(len(first))
		err = c.Enter(ctx, first)
	}
	if err != nil {
		abort(ln.conn)
	}
	return err
}

// run starts the line's reader and writer.
func (ln *line) run(s *session) {
	ln.greeted, ln.ready, ln.down = make(chan struct{}), make(chan struct{}), make(chan struct{})
	ln.readerDone, ln.writerDone = make(chan struct{}), make(chan struct{})
	ln.once = sync.Once{}
	if !ln.said {
		ln.own = s.party.hello()
	}
	go ln.write(s)
	go ln.read(s)
}

// lose says that the line is no use any more; the first call decides why.
func (ln *line) lose(err error) {
	ln.once.Do(func() {
		if ln.renewing.Load() {
			err = errPlanned // the peer may leave before we have seen our own word out
		}
		ln.err = err
		close(ln.down)
	})
}

// close closes a line that is down and waits for its goroutines.
func (ln *line) close() {
	if !errors.Is(ln.err, errPlanned) || !await(ln.readerDone, partPatience) {
		abort(ln.conn)
	}
	<-ln.readerDone
	<-ln.writerDone
	abort(ln.conn)
}

// release waits for the goroutines of a line that stays up.
func (ln *line) release() {
	<-ln.readerDone
	<-ln.writerDone
}

// read is the reader goroutine: greet, then hand each frame to the party until it says that the last one came.
func (ln *line) read(s *session) {
	defer close(ln.readerDone)
	err := ln.greet(s)
	close(ln.greeted)
	if err == nil {
		err = s.party.begin(ln)
	}
	if errors.Is(err, errAfresh) {
		s.end(err)
		return
	}
	if err == nil {
		close(ln.ready)
		err = ln.readFrames(s)
	}
	if err == nil {
		return
	}
	var e *Error
	if !errors.As(err, &e) {
		ln.lose(err)
		return
	}
	if e.Remote && !ln.isReady() {
		err = s.turnedAway(err)
	}
	s.end(err)
	// The peer may be deep in a Write. Let it get to our last frame.
	_, _ = io.Copy(io.Discard, ln.conn)
}

// isReady tells whether both ends have greeted and go on.
func (ln *line) isReady() bool {
	select {
	case <-ln.ready:
		return true
	default:
		return false
	}
}

func (ln *line) readFrames(s *session) error {
	for !s.over() {
		h, body, err := ln.frames.next()
		if err != nil {
			return err
		}
		switch h.kind {
		case frameFail:
			var b failBody
			if err := parseBody(h.kind, body, &b); err != nil {
				return err
			}
			return b.remote()
		case frameRenew:
			if err := parseBody(h.kind, body, new(renewBody)); err != nil {
				return err
			}
			return errPlanned
		}
		if last, err := s.party.handle(ln, h, body); last || err != nil {
			return err
		}
	}
	return errOver
}

// greet reads the peer's greeting, unless that has happened already, and works out the terms.
func (ln *line) greet(s *session) error {
	if ln.peer == nil {
		if err := ln.hear(s.mode); err != nil {
			return err
		}
	}
	ln.spoken = true
	var err error
	if ln.terms, err = agree(ln.own, ln.peer); err != nil {
		return err
	}
	ln.frames.chunk = ln.terms.chunk
	return nil
}

// hear reads the peer's prelude and hello.
func (ln *line) hear(mode byte) error {
	var p [preludeLen]byte
	if err := ln.frames.raw(p[:]); err != nil {
		return err
	}
	if err := checkPrelude(p[:], mode); err != nil {
		return err
	}
	ln.spoken = true
	h, body, err := ln.frames.next()
	if err != nil {
		return err
	}
	peer := new(helloBody)
	switch h.kind {
	case frameHello:
		err = parseBody(h.kind, body, peer)
	case frameFail:
		var b failBody
		if err = parseBody(h.kind, body, &b); err == nil {
			err = b.remote()
		}
	default:
		err = damaged("%v frame before the hello", h.kind)
	}
	if err == nil {
		ln.peer = peer
	}
	return err
}

// Write writes to the connection and counts.
func (ln *line) Write(b []byte) (int, error) {
	n, err := ln.conn.Write(b)
	ln.wrote += int64(n)
	return n, err
}

// writer is the writer goroutine: our greeting, then what the party has to say, then, if this end failed, why.
func (ln *line) write(s *session) {
	defer close(ln.writerDone)
	err := ln.introduce(s)
	if err == nil {
		select {
		case <-ln.ready:
			err = s.party.transmit(ln)
		case <-ln.down:
			return
		case <-s.stop:
		}
	}
	if errors.Is(s.cause(), errAfresh) {
		return
	}
	if err == nil || errors.Is(err, errOver) {
		err = ln.tell(s)
	}
	if err == nil {
		return
	}
	var e *Error
	if errors.As(err, &e) {
		s.end(err)
		return
	}
	// The peer may have said why before it closed: the reader's word is better than ours.
	select {
	case <-ln.readerDone:
	case <-s.stop:
	case <-time.After(partPatience):
	}
	ln.lose(err)
}

// introduce writes our prelude and hello.
func (ln *line) introduce(s *session) error {
	if ln.said {
		return nil
	}
	first, err := ln.greeting(s.mode)
	if err != nil {
		return err
	}
	ln.said = true
	_, err = ln.Write(first)
	return err
}

// greeting is our prelude and hello, with a fill if the hello asks about much.
func (ln *line) greeting(mode byte) ([]byte, error) {
	b, err := appendFrame(preludeOf(mode), frameHello, ln.own)
	if q := ln.own.Ask; err == nil && q != nil {
		if f := fill(q.Size); f != nil {
			b, err = appendFrame(b, framePing, f)
		}
	}
	return b, err
}

// tell sends our own failure to the peer, if that is how the session ended.
func (ln *line) tell(s *session) error {
	if !s.over() {
		return nil
	}
	e := s.ours()
	if e == nil {
		return nil
	}
	patience := tellPatience
	if e.Kind == KindLost {
		patience = quitPatience
	}
	if !await(ln.greeted, patience) || !ln.spoken {
		return nil
	}
	frame, err := appendFrame(nil, frameFail, failOf(e))
	if err != nil {
		return err
	}
	_, err = ln.Write(frame)
	return err
}

// cause is what the session ended with, nil as long as it has not.
func (s *session) cause() error {
	if s.over() {
		return s.err
	}
	return nil
}
