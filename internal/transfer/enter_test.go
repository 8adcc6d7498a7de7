package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// guestEnd is an end of a wire whose other end has still to accept this one.
type guestEnd struct {
	keyed
	err   error  // why it does not; nil: it does
	heard []byte // what Enter was told to say
	calls int
}

func (g *guestEnd) Enter(_ context.Context, greeting []byte) error {
	g.calls++
	g.heard = bytes.Clone(greeting)
	if g.err == nil {
		_, g.err = g.Write(greeting)
	}
	return g.err
}

// greetingOf reads a greeting as a peer does.
func greetingOf(t *testing.T, b []byte) *helloBody {
	t.Helper()
	ln := &line{frames: newFrameReader(bytes.NewReader(b))}
	if err := ln.hear(modePlain); err != nil {
		t.Fatal(err)
	}
	return ln.peer
}

// TestEnter: what Enter says is the greeting, and it is not said again; a later connection that does not let this end in is
// like one that could not be made, and one to an end with another key is told nothing.
func TestEnter(t *testing.T) {
	for _, senderDials := range []bool{true, false} {
		content := randomBytes(1, 3*minChunk)
		_, so := oneFile(t, content)
		dst := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			var wg sync.WaitGroup
			hub := NewHub(false)
			first, last := newWire(1<<16), newWire(1<<16)
			first.a.out.cutAt, first.b.out.cutAt = minChunk, minChunk
			one := &guestEnd{keyed: keyed{first.a, "own"}}
			closed, astray := newWire(1<<16), newWire(1<<16)
			guests := []*guestEnd{
				{keyed: keyed{closed.a, "own"}, err: errors.New("go away")}, {keyed: keyed{astray.a, "another"}}, {keyed: keyed{last.a, "own"}},
			}
			var dialled, found []io.ReadWriteCloser
			dial := Retry{For: time.Minute, Connect: func(context.Context) (io.ReadWriteCloser, error) {
				g := guests[len(dialled)]
				if dialled = append(dialled, g); len(dialled) == len(guests) {
					wg.Go(func() { goOn(t, hub, last.b) })
				}
				return g, nil
			}, Found: func(conn io.ReadWriteCloser) { found = append(found, conn) }}
			wait := Retry{For: time.Minute, Hub: hub}
			ro := RecvOptions{Dir: dst}
			so, role := so, roleSend
			so.Retry, ro.Retry = dial, wait
			send, recv := io.ReadWriteCloser(one), io.ReadWriteCloser(first.b)
			if !senderDials {
				so.Retry, ro.Retry, role = wait, dial, roleRecv
				send, recv = recv, send
				first.b.out.cutAt, first.a.out.cutAt = minChunk, 1<<40
			}
			wg.Go(func() {
				if _, err := receive(t.Context(), recv, ro, openUnsynced); err != nil {
					t.Error(err)
				}
				last.b.Close()
			})
			if _, err := Send(t.Context(), send, so); err != nil {
				t.Error(err)
			}
			last.a.Close()
			wg.Wait()
			if len(dialled) != 3 || len(found) != 1 || found[0] != io.ReadWriteCloser(guests[2]) {
				t.Fatalf("%d dialled, %d found", len(dialled), len(found))
			}
			if one.calls != 1 || guests[0].calls != 1 || guests[1].calls != 0 || guests[2].calls != 1 {
				t.Errorf("entered %d, %d, %d, %d times", one.calls, guests[0].calls, guests[1].calls, guests[2].calls)
			}
			for i, g := range []*guestEnd{one, guests[0], guests[2]} {
				h := greetingOf(t, g.heard)
				if h.Role != role || (h.Attempt > 0) != (i > 0) || !slices.Equal(h.Session, greetingOf(t, one.heard).Session) {
					t.Errorf("greeting %d: %+v", i, h)
				}
			}
			if _, err := closed.b.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("the connection that was refused is open: %v", err)
			}
		})
		is(t, dst, "f", content)
	}
}

// TestEnterOnce: what was said to enter counts as written, and is not said again for the session that follows on the line.
func TestEnterOnce(t *testing.T) {
	_, so := oneFile(t, []byte("hello"))
	w := newWire(1 << 16)
	g := &guestEnd{keyed: keyed{w.a, "own"}}
	ln, s := newLine(g), newSender(so)
	for range 2 {
		if err := ln.enter(t.Context(), s.session); err != nil {
			t.Fatal(err)
		}
	}
	if g.calls != 1 || ln.wrote != int64(len(g.heard)) || w.a.out.moved != ln.wrote {
		t.Errorf("entered %d times with %d bytes, %d counted", g.calls, len(g.heard), ln.wrote)
	}
}

// TestNotLetIn: an end whose first connection does not let it in ends with what that says, tries no other, and has no open
// connection left.
func TestNotLetIn(t *testing.T) {
	_, so := oneFile(t, []byte("hello"))
	refusal := errors.New("go away")
	retry := Retry{For: time.Hour, Connect: func(context.Context) (io.ReadWriteCloser, error) {
		t.Error("it tries again")
		return nil, io.EOF
	}}
	so.Retry = retry
	for role, f := range map[string]func(io.ReadWriteCloser) error{
		roleSend: func(conn io.ReadWriteCloser) error { _, err := Send(t.Context(), conn, so); return err },
		roleRecv: func(conn io.ReadWriteCloser) error {
			_, err := Recv(t.Context(), conn, RecvOptions{Dir: t.TempDir(), Retry: retry})
			return err
		},
	} {
		w := newWire(1 << 16)
		g := &guestEnd{keyed: keyed{w.a, "own"}, err: refusal}
		if err := f(g); !errors.Is(err, refusal) {
			t.Errorf("%s: %v", role, err)
		}
		if h := greetingOf(t, g.heard); h.Role != role || w.a.out.moved != 0 {
			t.Errorf("%s: %+v, and %d bytes", role, h, w.a.out.moved)
		}
		if _, err := w.b.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("%s: the connection is open: %v", role, err)
		}
	}
}
