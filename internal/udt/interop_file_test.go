package udt_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/udtcp/udtcp/internal/udt"
)

// Regions of files go to libudt's recvfile and come from its sendfile, in both
// roles, with and without loss.
func testFileRegions(t *testing.T, l *lab) {
	const from, to, size, block = 12_345, 77, 3_000_000, 100_000
	content := make([]byte, from+size+1000)
	if _, err := newPattern(6).Read(content); err != nil {
		t.Fatal(err)
	}
	want := content[from : from+size]
	for name, p := range map[string]path{"clean": {}, "2%": {rule: lossy(0.02)}} {
		t.Run(name, func(t *testing.T) {
			eachRole(t, func(t *testing.T, r role) {
				src := fileOf(t, content)
				got := filepath.Join(t.TempDir(), "got")
				conn, remote := p.connect(t, l, r, fmt.Sprintf("getfile --file %s --offset %d --bytes %d --block %d", got, to, size, block))
				if n, err := conn.SendFile(src, from, size, 0); n != size || err != nil {
					t.Fatalf("sent %d bytes: %v", n, err)
				}
				remote.good()
				closeLate(t, conn)
				if b, err := os.ReadFile(got); err != nil || len(b) != to+size || !bytes.Equal(b[to:], want) {
					t.Errorf("libudt has %d bytes, want %d, or others: %v", len(b), to+size, err)
				}

				dst := fileOf(t, nil)
				conn, remote = p.connect(t, l, r, fmt.Sprintf("putfile --file %s --offset %d --bytes %d --block %d", src.Name(), from, size, block))
				if n, err := conn.ReceiveFile(dst, to, size, 0); n != size || err != nil {
					t.Fatalf("received %d bytes: %v", n, err)
				}
				remote.good()
				closeLate(t, conn)
				if b := contentOf(t, dst); len(b) != to+size || !bytes.Equal(b[to:], want) {
					t.Errorf("we have %d bytes, want %d, or others", len(b), to+size)
				}
			})
		})
	}
}

// closeLate closes a connection whose peer may have closed before its last ACK
// was out.
func closeLate(t *testing.T, conn *udt.Conn) {
	t.Helper()
	if err := conn.Close(); err != nil && !errors.Is(err, udt.ErrUndelivered) && !errors.Is(err, udt.ErrConnLost) {
		t.Error(err)
	}
}

// When a file fails at one end, the other's sendfile fails with it.
func testFileErrors(t *testing.T, l *lab) {
	eachRole(t, func(t *testing.T, r role) {
		// libudt's recvfile can't open its file and says so.
		conn, remote := path{cfg: udt.Config{Window: mebibyte}}.connect(t, l, r, "badfile")
		f := fileOf(t, nil)
		if err := f.Truncate(1 << 30); err != nil {
			t.Fatal(err)
		}
		n, err := conn.SendFile(f, 0, 1<<30, 0)
		wantError(t, err, udt.EPEERERR)
		if n >= 1<<30 {
			t.Errorf("sent %d bytes to nobody", n)
		}
		remote.release()
		if got := remote.report(); got.code != int(udt.EWRPERM) {
			t.Errorf("libudt's end: %+v", got)
		}
		_ = conn.Abort()

		// Our file can't be written: libudt's sendfile is told.
		conn, remote = path{}.connect(t, l, r, fmt.Sprintf("putfile --file %s --bytes %d", f.Name(), 1<<30))
		readOnly, err := os.Open(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		defer readOnly.Close()
		_, err = conn.ReceiveFile(readOnly, 0, 1<<30, 0)
		wantError(t, err, udt.EWRPERM)
		go discard(conn) // libudt looks when it next waits for room
		if got := remote.report(); got.ok || got.code != int(udt.EPEERERR) {
			t.Errorf("libudt's end: %+v, want code %d", got, udt.EPEERERR)
		}
	})
}
