package transfer

import (
	"bytes"
	"io"
	"sync"
	"syscall"
)

// wire is a connection in memory: two ends joined by two bounded buffers. It can be cut after a number of bytes, and can
// change bytes on their way.
type wire struct {
	a, b *wireEnd
}

// lane of a wire: one direction.
type wireLane struct {
	mu    sync.Mutex
	cond  sync.Cond
	buf   []byte
	limit int  // most bytes in buf
	ended bool // the writer closed
	gone  bool // the reader closed
	reset bool // cut: what is in buf still arrives, then an error

	cutAt int64 // bytes after which the wire breaks; -1: never
	moved int64 // bytes written so far
	cut   func()
	alter func(at int64, b []byte) // may change bytes written at that offset
}

type wireEnd struct {
	in, out *wireLane
	once    sync.Once
}

func newWire(limit int) *wire {
	ab, ba := newWireLane(limit), newWireLane(limit)
	w := &wire{a: &wireEnd{in: ba, out: ab}, b: &wireEnd{in: ab, out: ba}}
	ab.cut, ba.cut = w.cut, w.cut
	return w
}

func newWireLane(limit int) *wireLane {
	l := &wireLane{limit: limit, cutAt: -1}
	l.cond.L = &l.mu
	return l
}

// cut breaks the wire for both ends: what was written before arrives, nothing else.
func (w *wire) cut() {
	for _, l := range []*wireLane{w.a.out, w.b.out} {
		l.mu.Lock()
		l.reset = true
		l.cond.Broadcast()
		l.mu.Unlock()
	}
}

func (l *wireLane) write(b []byte) (n int, err error) {
	l.mu.Lock()
	for len(b) > 0 {
		for len(l.buf) == l.limit && !l.reset && !l.gone && !l.ended {
			l.cond.Wait()
		}
		if l.reset || l.gone || l.ended {
			l.mu.Unlock()
			return n, syscall.EPIPE
		}
		m := min(len(b), l.limit-len(l.buf))
		cut := false
		if l.cutAt >= 0 && int64(m) >= l.cutAt-l.moved {
			m, cut = int(l.cutAt-l.moved), true
		}
		at := len(l.buf)
		l.buf = append(l.buf, b[:m]...)
		if l.alter != nil {
			l.alter(l.moved, l.buf[at:])
		}
		l.moved += int64(m)
		n, b = n+m, b[m:]
		l.cond.Broadcast()
		if cut {
			l.mu.Unlock()
			l.cut()
			return n, syscall.EPIPE
		}
	}
	l.mu.Unlock()
	return n, nil
}

func (l *wireLane) read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.buf) == 0 {
		switch {
		case l.gone:
			return 0, io.ErrClosedPipe
		case l.reset:
			return 0, syscall.ECONNRESET
		case l.ended:
			return 0, io.EOF
		}
		l.cond.Wait()
	}
	n := copy(b, l.buf)
	if l.buf = l.buf[n:]; len(l.buf) == 0 {
		l.buf = nil
	}
	l.cond.Broadcast()
	return n, nil
}

func (e *wireEnd) Read(b []byte) (int, error)  { return e.in.read(b) }
func (e *wireEnd) Write(b []byte) (int, error) { return e.out.write(b) }

func (e *wireEnd) Close() error {
	e.once.Do(func() {
		e.out.mu.Lock()
		e.out.ended = true
		e.out.cond.Broadcast()
		e.out.mu.Unlock()
		e.in.mu.Lock()
		e.in.gone, e.in.buf = true, nil
		e.in.cond.Broadcast()
		e.in.mu.Unlock()
	})
	return nil
}

// output takes what goes to a pipe. When a transfer fails a Write may be under way still, left behind: what it brings after
// got was called does not count.
type output struct {
	mu sync.Mutex
	b  []byte
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b = append(o.b, b...)
	return len(b), nil
}

func (o *output) got() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.b)
}
