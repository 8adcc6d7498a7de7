package udt_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/udtcp/udtcp/internal/udt"
)

// UDT4's sendfile and recvfile take the length of a name, the name and the
// file's size with one receive call each, so that what is written in one piece
// must arrive in one, whatever is lost on the way.
func testSendfile(t *testing.T, l *lab) {
	const seed, size, rounds = 5, 100_000, 3
	content := make([]byte, size)
	if _, err := newPattern(seed).Read(content); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		path path
	}{
		{"clean", path{}},
		{"5%", path{rule: lossy(0.05)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			name := dir + strings.Repeat("/", 1023-len(dir)-1) + "f"
			if err := os.WriteFile(name, content, 0o600); err != nil {
				t.Fatal(err)
			}
			for range rounds {
				conn, remote := c.path.connect(t, l, asClient, "sendfile")
				fetchByHand(t, conn, name, content)
				remote.good()

				got := filepath.Join(dir, "got")
				conn, remote = c.path.connect(t, l, asListener, fmt.Sprintf("recvfile --name %s --file %s", name, got))
				serveByHand(t, conn, name, content)
				remote.good()
				if b, err := os.ReadFile(got); err != nil || !bytes.Equal(b, content) {
					t.Errorf("libudt has %d bytes, want %d, or others: %v", len(b), size, err)
				}
			}
		})
	}
}

func fetchByHand(t *testing.T, conn *udt.Conn, name string, want []byte) {
	t.Helper()
	if _, err := conn.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(name))), name...)); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || len(got) < 8 || binary.LittleEndian.Uint64(got) != uint64(len(want)) || !bytes.Equal(got[8:], want) {
		t.Fatalf("%d bytes, want %d, or others: %v", len(got), 8+len(want), err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

func serveByHand(t *testing.T, conn *udt.Conn, name string, content []byte) {
	t.Helper()
	asked := make([]byte, 4+len(name))
	if _, err := io.ReadFull(conn, asked); err != nil || string(asked[4:]) != name {
		t.Fatalf("asked for %q: %v", asked, err)
	}
	for _, b := range [][]byte{binary.LittleEndian.AppendUint64(nil, uint64(len(content))), content} {
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	// libudt may close before its last ACK is out; its report has what arrived.
	if err := conn.Close(); err != nil && !errors.Is(err, udt.ErrUndelivered) {
		t.Error(err)
	}
}
