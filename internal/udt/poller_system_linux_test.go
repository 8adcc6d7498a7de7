package udt_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// pipe returns both ends of a pipe.
func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// tcpPair returns both ends of a TCP connection.
func tcpPair(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("a TCP listener is at %v", l.Addr())
	}
	client, err = net.DialTCP("tcp", nil, addr)
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// waits begins to wait and returns once that has nothing to tell.
func (p *polled) waits() <-chan outcome {
	p.t.Helper()
	call := start(func() (int, error) { return p.Wait(context.Background(), p.events[:]) })
	for p.Waiting() == 0 {
		select {
		case o := <-call:
			p.t.Fatalf("there was no need to wait: %v, %v", p.events[:o.n], o.err)
		default:
			runtime.Gosched()
		}
	}
	return call
}

func TestPollerPipe(t *testing.T) {
	r, w := pipe(t)
	p := newPolled(t)
	defer p.Close()
	p.add(r, udt.PollIn)
	p.none()
	if _, err := w.WriteString("data"); err != nil {
		t.Fatal(err)
	}
	in := udt.Event{Member: r, Events: udt.PollIn}
	p.want(testTimeout, in)
	p.want(testTimeout, in)
	if err := wantBytes(r, []byte("data")); err != nil {
		t.Fatal(err)
	}
	p.none()
	p.add(w, anyEvent)
	p.want(testTimeout, udt.Event{Member: w, Events: udt.PollOut})
	if err := p.Modify(w, 0); err != nil {
		t.Fatal(err)
	}
	p.none()
	call := p.waits()
	w.Close()
	if o := <-call; o.n != 1 || o.err != nil || p.events[0] != in {
		t.Errorf("the other end is closed: %v, %d, %v", p.events[0], o.n, o.err)
	}
	if err := p.Modify(r, anyEvent); err != nil {
		t.Fatal(err)
	}
	p.want(testTimeout, udt.Event{Member: r, Events: anyEvent})
	if err := p.Remove(r); err != nil {
		t.Fatal(err)
	}
	p.none()
}

func TestPollerTCP(t *testing.T) {
	client, server := tcpPair(t)
	p := newPolled(t)
	defer p.Close()
	p.add(client, udt.PollIn|udt.PollErr)
	p.add(server, udt.PollIn|udt.PollOut)
	p.want(testTimeout, udt.Event{Member: server, Events: udt.PollOut})
	if err := p.Modify(server, udt.PollIn); err != nil {
		t.Fatal(err)
	}
	p.none()
	if _, err := server.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	p.want(testTimeout, udt.Event{Member: client, Events: udt.PollIn})
	if err := wantBytes(client, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	p.want(testTimeout, udt.Event{Member: server, Events: udt.PollIn})
	if err := server.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	server.Close() // a reset
	p.want(testTimeout, udt.Event{Member: client, Events: udt.PollIn | udt.PollErr})
}

// A regular file is always ready, and so is a device that can't be waited for.
func TestPollerFile(t *testing.T) {
	p := newPolled(t)
	defer p.Close()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	p.add(f, udt.PollIn|udt.PollErr)
	p.add(null, 0)
	p.want(0, udt.Event{Member: f, Events: udt.PollIn})
	if err := p.Modify(null, udt.PollIn|udt.PollOut); err != nil {
		t.Fatal(err)
	}
	both := []udt.Event{{Member: f, Events: udt.PollIn}, {Member: null, Events: udt.PollIn | udt.PollOut}}
	p.want(0, both...)
	p.want(0, both...)
	if err := errors.Join(p.Remove(f), p.Modify(null, 0)); err != nil {
		t.Fatal(err)
	}
	p.none()
}

func TestPollerBareDescriptor(t *testing.T) {
	r, w := pipe(t)
	fd := udt.FD(r.Fd())
	p := newPolled(t)
	defer p.Close()
	p.add(fd, udt.PollIn)
	call := p.waits()
	if _, err := w.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	if o := <-call; o.n != 1 || p.events[0] != (udt.Event{Member: fd, Events: udt.PollIn}) {
		t.Errorf("%v, %d, %v", p.events[0], o.n, o.err)
	}
	if err := p.Remove(fd); err != nil {
		t.Fatal(err)
	}
	p.none()
	wantError(t, p.Add(udt.FD(-1), udt.PollIn), udt.EINVSOCK)
	wantError(t, p.Add([]int{1}, udt.PollIn), udt.EINVSOCK)
	wantError(t, p.Modify([]int{1}, udt.PollIn), udt.EINVSOCK)
	if err := p.Remove([]int{1}); err != nil {
		t.Error(err)
	}
	r.Close()
	wantError(t, p.Add(r, udt.PollIn), udt.EINVSOCK)
}

// The same descriptor twice is two members to us and one to the kernel.
func TestPollerSameDescriptor(t *testing.T) {
	r, w := pipe(t)
	p := newPolled(t)
	defer p.Close()
	p.add(r, udt.PollIn)
	wantError(t, p.Add(udt.FD(r.Fd()), udt.PollIn), udt.EINVSOCK, os.ErrExist)
	if _, err := w.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	p.want(testTimeout, udt.Event{Member: r, Events: udt.PollIn})
}

// A file that was closed without being removed is not told of, even if another
// process has a copy of it that is ready for ever; and waiting does not spin.
func TestPollerClosedFile(t *testing.T) {
	for _, how := range []string{"closed", "closed and removed"} {
		t.Run(how, func(t *testing.T) {
			r, w := pipe(t)
			if _, err := w.WriteString("x"); err != nil {
				t.Fatal(err)
			}
			other, theirs := pipe(t) // ends the other process
			cat := exec.CommandContext(t.Context(), "cat")
			cat.Stdin, cat.ExtraFiles = other, []*os.File{r}
			if err := cat.Start(); err != nil {
				t.Skip(err)
			}
			p := newPolled(t)
			defer p.Close()
			p.add(r, udt.PollIn)
			p.want(testTimeout, udt.Event{Member: r, Events: udt.PollIn})
			r.Close()
			if how == "closed and removed" {
				if err := p.Remove(r); err != nil {
					t.Fatal(err)
				}
			}
			r2, w2 := pipe(t)
			p.add(r2, udt.PollIn)
			for range 3 {
				p.none()
			}
			if n := p.KernelReady(); n != 0 {
				t.Errorf("the kernel goes on telling of %d", n)
			}
			if _, err := w2.WriteString("x"); err != nil {
				t.Fatal(err)
			}
			p.want(testTimeout, udt.Event{Member: r2, Events: udt.PollIn})
			theirs.Close()
			if err := cat.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// UDT's members and the system's have their turn, however little room there is.
func TestPollerMixedTurns(t *testing.T) {
	client, server := loopback(t, nil)
	defer closeAll(t, client, server)
	p := newPolled(t)
	defer p.Close()
	seen := map[any]int{}
	p.add(client, udt.PollOut)
	p.add(server, udt.PollOut)
	for range 2 {
		_, w := pipe(t)
		p.add(w, udt.PollOut)
	}
	for range 400 {
		if n, err := p.WaitFor(testTimeout, p.events[:1]); n != 1 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		seen[p.events[0].Member]++
	}
	if len(seen) != 4 {
		t.Fatalf("%d members were told of", len(seen))
	}
	for m, n := range seen {
		if n != 100 {
			t.Errorf("%T: %d times", m, n)
		}
	}
}

// One wait is for both kinds, whichever comes first, and allocates nothing.
func TestPollerMixedWait(t *testing.T) {
	client, server := loopback(t, nil)
	defer closeAll(t, client, server)
	r, w := pipe(t)
	p := newPolled(t)
	p.add(client, udt.PollIn)
	buf := make([]byte, 10)
	for range 50 {
		call := p.waits()
		if err := write(server, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if o := <-call; o.n != 1 || p.events[0].Member != client {
			t.Fatalf("%v, %d, %v", p.events[0], o.n, o.err)
		}
		if _, err := client.TryRead(buf); err != nil {
			t.Fatal(err)
		}
		call = p.waits()
		p.add(r, udt.PollIn) // the first time it is the first of its kind
		if _, err := w.WriteString("x"); err != nil {
			t.Fatal(err)
		}
		if o := <-call; o.n != 1 || p.events[0].Member != r {
			t.Fatalf("%v, %d, %v", p.events[0], o.n, o.err)
		}
		if _, err := r.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	if !raceEnabled {
		if _, err := w.WriteString("x"); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{1, 0} {
			// The connection's own goroutines allocate now and then.
			if n := testing.AllocsPerRun(1000, func() {
				if n, _ := p.WaitFor(time.Nanosecond, p.events[:]); n != want {
					t.Errorf("%d events", n)
				}
			}); n != 0 {
				t.Errorf("%v allocations with %d ready", n, want)
			}
			_, _ = r.Read(buf[:want])
		}
	}
	call := p.waits()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	o := <-call
	wantError(t, o.err, udt.EINVPOLLID, net.ErrClosed)
}

// Several goroutines add, modify, remove and close pipes while others wait.
func TestPollerSystemRace(t *testing.T) {
	p := newPolled(t)
	defer p.Close()
	var workers, waiters sync.WaitGroup
	var stop atomic.Bool
	for range 3 {
		waiters.Go(func() {
			events := make([]udt.Event, 2)
			for !stop.Load() {
				_, _ = p.WaitFor(time.Millisecond, events)
			}
		})
	}
	for g := range 4 {
		workers.Go(func() {
			for i := range 100 {
				r, w, err := os.Pipe()
				if err != nil {
					t.Error(err)
					return
				}
				err = p.Add(r, udt.PollIn)
				if _, werr := w.WriteString("x"); werr != nil {
					t.Error(werr)
				}
				if (i+g)%3 == 0 {
					r.Close()
				}
				err = errors.Join(err, p.Remove(r), r.Close(), w.Close())
				if err != nil && !errors.Is(err, os.ErrClosed) {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	p.none()
	r, w := pipe(t)
	p.add(r, udt.PollIn)
	if _, err := w.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	p.want(testTimeout, udt.Event{Member: r, Events: udt.PollIn})
	stop.Store(true)
	waiters.Wait()
}
