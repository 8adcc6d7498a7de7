package secure

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Run(m, "udtcp/internal/transfer/secure", 10*time.Second) }

// half is one direction of a connection in memory, without a bound to what it holds.
type half struct {
	mu    sync.Mutex
	cond  sync.Cond
	buf   []byte
	ended bool // the writer closed, or nobody reads any more
	late  bool // the read deadline has passed
}

func newHalf() *half {
	h := &half{}
	h.cond.L = &h.mu
	return h
}

func (h *half) set(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	h.cond.Broadcast()
}

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.buf) == 0 {
		switch {
		case h.late:
			return 0, os.ErrDeadlineExceeded
		case h.ended:
			return 0, io.EOF
		}
		h.cond.Wait()
	}
	n := copy(p, h.buf)
	h.buf = h.buf[n:]
	return n, nil
}

func (h *half) write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return 0, syscall.EPIPE
	}
	h.buf = append(h.buf, p...)
	h.cond.Broadcast()
	return len(p), nil
}

// end is one end of such a connection.
type end struct {
	net.Conn // nil: nothing else is asked for
	in, out  *half
	writes   []int // their lengths
}

// pipe is a connection in memory.
func pipe() (a, b *end) {
	x, y := newHalf(), newHalf()
	return &end{in: x, out: y}, &end{in: y, out: x}
}

func (e *end) Read(p []byte) (int, error) { return e.in.read(p) }

func (e *end) Write(p []byte) (int, error) {
	e.writes = append(e.writes, len(p))
	return e.out.write(p)
}

func (e *end) Close() error {
	e.out.set(func() { e.out.ended = true })
	e.in.set(func() { e.in.ended = true })
	return nil
}

// SetDeadline knows what is past and what is not.
func (e *end) SetDeadline(t time.Time) error {
	e.in.set(func() { e.in.late = !t.IsZero() && !t.After(time.Now()) })
	return nil
}

func (e *end) RemoteAddr() net.Addr { return &net.UDPAddr{} }

func (e *end) SetWriteDeadline(time.Time) error { return nil } // no write waits
