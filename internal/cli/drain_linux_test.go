package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/udtcp/udtcp/internal/transfer"
)

func TestDrainPipe(t *testing.T) {
	for name, c := range map[string]struct {
		reader func(r *os.File, stop chan struct{})
		want   error
	}{
		"takes all":           {func(r *os.File, _ chan struct{}) { _, _ = io.ReadFull(r, make([]byte, 6)) }, nil},
		"takes all and goes":  {func(r *os.File, _ chan struct{}) { _, _ = io.ReadFull(r, make([]byte, 6)); r.Close() }, nil},
		"takes some and goes": {func(r *os.File, _ chan struct{}) { _, _ = io.ReadFull(r, make([]byte, 3)); r.Close() }, syscall.EPIPE},
		"sleeps":              {func(_ *os.File, stop chan struct{}) { close(stop) }, nil},
	} {
		r, w := systemPipe(t)
		if _, err := w.WriteString("stream"); err != nil {
			t.Fatal(err)
		}
		stop, done := make(chan struct{}), make(chan error)
		go func() { done <- drainable(w).(transfer.Drainer).Drain(stop) }()
		c.reader(r, stop)
		if err := <-done; !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	// Zeros behind the last byte, as tar pads archives with: taken or not, in the pipe or not yet.
	for name, c := range map[string]struct {
		taken int
		early bool // the reader goes before the last zeros are written
		want  error
	}{
		"all":                        {6, false, nil},
		"all, before there are more": {6, true, nil},
		"some of them":               {8, false, nil},
		"not all":                    {5, false, syscall.EPIPE},
		"not all, before":            {5, true, syscall.EPIPE},
	} {
		r, w := systemPipe(t)
		out := drainable(w)
		write := func(s string) error {
			_, err := io.WriteString(out, s)
			return err
		}
		err := write("stream\x00\x00")
		if c.early {
			_, _ = io.ReadFull(r, make([]byte, c.taken))
			r.Close()
		}
		err = errors.Join(err, write("\x00\x00\x00"), write("\x00"))
		if !c.early {
			_, _ = io.ReadFull(r, make([]byte, c.taken))
			r.Close()
		}
		if err == nil {
			err = out.(transfer.Drainer).Drain(nil)
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if err == nil && c.early {
			if err := write("x"); !errors.Is(err, syscall.EPIPE) {
				t.Errorf("%s: then %v", name, err)
			}
		}
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, w := range []io.Writer{f, io.Discard} {
		if drainable(w) != w {
			t.Errorf("%T is taken for a pipe", w)
		}
	}
}

// TestReaderLeavesSome: what a reader of standard output leaves in the pipe when it goes was not taken: 7 here, 8 there,
// however little it is.
func TestReaderLeavesSome(t *testing.T) {
	for _, stdin := range []bool{true, false} {
		n := newMemNet()
		r, w := systemPipe(t)
		recv := start(t, procOptions{net: n, stdout: w}, "recv", "--insecure", "--listen=:0", "-o", "-")
		o, src := procOptions{net: n}, writeFile(t, t.TempDir(), "a", []byte("a little"))
		if stdin {
			o.stdin, src = strings.NewReader("a little"), "-"
		}
		send := start(t, o, "send", "--insecure", "127.0.0.1:"+recv.listening(), src)
		if _, err := io.ReadFull(r, make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		r.Close()
		send.ends(8).says("the other end: .*output")
		recv.ends(7)
	}
}
