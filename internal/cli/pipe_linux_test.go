package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// systemPipe is a standard input or output with who writes to it or reads it.
func systemPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func TestGrowPipe(t *testing.T) {
	r, w := systemPipe(t)
	growPipe(r)
	if n, err := unix.FcntlInt(w.Fd(), unix.F_GETPIPE_SZ, 0); err != nil || n != pipeSize {
		t.Errorf("a pipe of %d bytes, %v", n, err)
	}
	// Larger ones are not made smaller; other things are left alone.
	if n, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 2*pipeSize); err == nil {
		growPipe(w)
		if now, err := unix.FcntlInt(w.Fd(), unix.F_GETPIPE_SZ, 0); err != nil || now != n {
			t.Errorf("a pipe of %d bytes was made one of %d, %v", n, now, err)
		}
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	growPipe(f)
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	growPipe(f)
	growPipe(&bytes.Buffer{})
	growPipe(nil)
}
