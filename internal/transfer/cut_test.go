package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestCutAnywhere cuts the connection after every single byte of a small transfer, in either direction. Whatever happens,
// a name has the right file or none, nothing else is left, and a content sender means a content receiver.
func TestCutAnywhere(t *testing.T) {
	src := t.TempDir()
	put(t, filepath.Join(src, "top", "a"), []byte("hello"))
	put(t, filepath.Join(src, "top", "d", "b"), nil)
	put(t, filepath.Join(src, "top", "c"), []byte("world"))
	want := names(t, src)
	so := SendOptions{Paths: []string{filepath.Join(src, "top")}, Preserve: true}

	whole := newWire(1 << 16)
	o := move(t, whole, so, RecvOptions{Dir: t.TempDir(), Preserve: true})
	o.well(t)
	ends := make(map[[2]Kind]int)
	for dir, l := range map[string]func(w *wire) *wireLane{
		"to the receiver": func(w *wire) *wireLane { return w.a.out }, "to the sender": func(w *wire) *wireLane { return w.b.out },
	} {
		total := l(whole).moved
		for at := range total + 1 {
			dst := t.TempDir()
			w := newWire(1 << 16)
			l(w).cutAt = at
			o := moveWith(t, w, so, RecvOptions{Dir: dst, Preserve: true}, openUnsynced)
			ends[[2]Kind{KindOf(o.sendErr), KindOf(o.gotErr)}]++
			if o.sendErr == nil && o.gotErr != nil {
				t.Fatalf("cut %s after %d bytes of %d: the sender is content, the receiver says %v", dir, at, total, o.gotErr)
			}
			for _, err := range []error{o.sendErr, o.gotErr} {
				if k := KindOf(err); err != nil && k != KindLost && k != KindUnknown {
					t.Fatalf("cut %s after %d bytes of %d: %v: %v", dir, at, total, k, err)
				}
			}
			rightOrAbsent(t, src, dst)
			if got := names(t, dst); o.gotErr == nil && !slices.Equal(got, want) {
				t.Fatalf("cut %s after %d bytes of %d: the receiver is content with %q", dir, at, total, got)
			}
		}
	}
	t.Log("ends (sender, receiver):", ends)
	for _, both := range [][2]Kind{{KindLost, KindLost}, {KindUnknown, KindLost}} {
		if ends[both] == 0 {
			t.Errorf("it never ended with %v", both)
		}
	}
}

// TestCutLarge cuts in the middle of large files and pipes.
func TestCutLarge(t *testing.T) {
	path, so := oneFile(t, randomBytes(1, 5*minChunk))
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{100, minChunk / 2, minChunk + 200, 3*minChunk + 1, 5 * minChunk} {
		dst := t.TempDir()
		put(t, filepath.Join(dst, "f"), []byte("old"))
		w := newWire(1 << 16)
		w.a.out.cutAt = at
		o := move(t, w, so, RecvOptions{Dir: dst, Overwrite: true})
		o.badly(t, KindLost, KindLost)
		if b, err := os.ReadFile(filepath.Join(dst, "f")); string(b) != "old" || len(finished(t, dst)) != 1 {
			t.Errorf("%d bytes, %v, %v", len(b), err, names(t, dst))
		}

		var out output
		w = newWire(1 << 16)
		w.a.out.cutAt = at
		o = move(t, w, SendOptions{Paths: []string{"-"}, Stdin: bytes.NewReader(content)}, RecvOptions{Stdout: &out})
		o.badly(t, KindLost, KindLost)
		if !bytes.HasPrefix(content, out.got()) {
			t.Error("the output is no prefix of the input")
		}
	}
}

// TestCancel cancels either end, early and late.
func TestCancel(t *testing.T) {
	_, so := oneFile(t, randomBytes(1, 20*minChunk))
	for _, at := range []int64{0, 5, 300, minChunk, 10 * minChunk} {
		for _, sender := range []bool{true, false} {
			dst := t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			w := newWire(1 << 16)
			w.a.out.alter = func(n int64, b []byte) {
				if n+int64(len(b)) >= at {
					cancel()
				}
			}
			sctx, rctx := ctx, t.Context()
			if !sender {
				sctx, rctx = rctx, sctx
			}
			o := moveCtx(sctx, rctx, w, so, RecvOptions{Dir: dst}, func(dir string) (store, error) { return openStore(dir) })
			cancel()
			mine, other := o.sendErr, o.gotErr
			if !sender {
				mine, other = other, mine
			}
			if !errors.Is(mine, context.Canceled) {
				t.Errorf("cancelled after %d bytes: %v", at, mine)
			}
			wantKind(t, other, KindLost)
			if got := finished(t, dst); len(got) != 0 {
				t.Errorf("left behind: %v", got)
			}
		}
	}
}

// TestCancelSilence cancels while nothing at all comes from the peer.
func TestCancelSilence(t *testing.T) {
	_, so := oneFile(t, []byte("x"))
	for name, run := range map[string]func(context.Context, io.ReadWriteCloser) error{
		"send": sending(so), "recv": receiving(RecvOptions{Dir: t.TempDir()}),
	} {
		ctx, cancel := context.WithCancel(t.Context())
		w := newWire(1 << 16)
		w.a.out.alter = func(int64, []byte) { cancel() }
		if err := run(ctx, w.a); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		w.b.Close()
	}
}

// TestCancelBlockedPipes cancels while standard input, or output, hangs.
func TestCancelBlockedPipes(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in, inEnd, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer inEnd.Close()
	out, outEnd := io.Pipe()
	if _, err := inEnd.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := out.Read(first); err != nil { // then nobody reads
			t.Error(err)
		}
		cancel()
	}()
	o := moveCtx(ctx, ctx, newWire(1<<16), SendOptions{Paths: []string{"-"}, Stdin: in}, RecvOptions{Stdout: outEnd},
		func(dir string) (store, error) { return openStore(dir) })
	<-done
	if !errors.Is(o.sendErr, context.Canceled) || !errors.Is(o.gotErr, context.Canceled) || first[0] != 'x' {
		t.Errorf("%v, %v, %q", o.sendErr, o.gotErr, first)
	}
	out.Close()
}

// TestReaderOfOutputGone is `udtcp recv -o - | head -c 1`.
func TestReaderOfOutputGone(t *testing.T) {
	content := randomBytes(1, 40*minChunk)
	_, file := oneFile(t, content)
	for name, so := range map[string]SendOptions{
		"file": file, "pipe": {Paths: []string{"-"}, Stdin: bytes.NewReader(content)},
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if _, err := r.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
			r.Close()
		}()
		o := move(t, newWire(1<<16), so, RecvOptions{Stdout: w})
		w.Close()
		o.badly(t, KindRemoteIO, KindLocalIO)
		if !errors.Is(o.gotErr, syscall.EPIPE) || !strings.Contains(o.sendErr.Error(), "reader") {
			t.Errorf("%s: %v, %v", name, o.gotErr, o.sendErr)
		}
	}
}

type shortWriter struct{}

func (shortWriter) Write(b []byte) (int, error) { return len(b) / 2, nil }

func TestShortWriter(t *testing.T) {
	_, so := oneFile(t, []byte("hello"))
	o := move(t, newWire(1<<16), so, RecvOptions{Stdout: shortWriter{}})
	o.badly(t, KindRemoteIO, KindLocalIO)
}

// TestSlowPipeIsNotHeldUp: a piece of a stream comes through before the stream goes on.
func TestSlowPipeIsNotHeldUp(t *testing.T) {
	in, inEnd := io.Pipe()
	out, outEnd := io.Pipe()
	go func() {
		defer inEnd.Close()
		buf := make([]byte, 100)
		for i := range 300 {
			line := []byte(strings.Repeat("x", i%100+1))
			if _, err := inEnd.Write(line); err != nil {
				t.Error(err)
				return
			}
			// Only when it has arrived there is more.
			if _, err := io.ReadFull(out, buf[:len(line)]); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	o := move(t, newWire(1<<16), SendOptions{Paths: []string{"-"}, Stdin: in}, RecvOptions{Stdout: outEnd})
	o.well(t)
}

// TestBurstsArePassedOn: what comes in while the writer is busy is not left lying when nothing follows.
func TestBurstsArePassedOn(t *testing.T) {
	in, inEnd := io.Pipe()
	out, outEnd := io.Pipe()
	go func() {
		defer inEnd.Close()
		for range 50 {
			var wrote int
			for i := range 20 {
				n, err := inEnd.Write(make([]byte, 1+i*5000))
				if err != nil {
					t.Error(err)
					return
				}
				wrote += n
			}
			if _, err := io.CopyN(io.Discard, out, int64(wrote)); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	o := move(t, newWire(1<<12), SendOptions{Paths: []string{"-"}, Stdin: in}, RecvOptions{Stdout: outEnd})
	o.well(t)
}
