package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lukechampine.com/blake3"
)

func TestLegacyLayout(t *testing.T) {
	request := []byte("\x07\x00\x00\x00dir/a.b")
	if got := legacyRequest("dir/a.b"); !bytes.Equal(got, request) {
		t.Errorf("request %q", got)
	}
	for n, ok := range map[int32]bool{1: true, 1023: true, 0: false, 1024: false, -1: false, -1 << 31: false, 1<<31 - 1: false} {
		b := [4]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
		if got, sound := parseLegacyLength(b); sound != ok || ok && got != int(n) {
			t.Errorf("a name of %d bytes: %d, %v", n, got, sound)
		}
	}
	for size, layout := range map[int64]string{
		0: "\x00\x00\x00\x00\x00\x00\x00\x00", 0x0102030405060708: "\x08\x07\x06\x05\x04\x03\x02\x01", -1: "\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		got := legacyAnswer(size)
		back, ok := parseLegacySize([8]byte(got))
		if string(got) != layout || back != size || !ok {
			t.Errorf("size %d is %x, and back %d, %v", size, got, back, ok)
		}
	}
	for _, size := range []string{"\xfe\xff\xff\xff\xff\xff\xff\xff", "\x00\x00\x00\x00\x00\x00\x00\x80"} {
		if _, ok := parseLegacySize([8]byte([]byte(size))); ok {
			t.Errorf("size %x is taken", size)
		}
	}
}

// FuzzLegacyParsers: what parses is within bounds and encodes to the same bytes.
func FuzzLegacyParsers(f *testing.F) {
	f.Add([]byte("\x05\x00\x00\x00hello"))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Add(prelude())
	f.Fuzz(func(t *testing.T, in []byte) {
		b := make([]byte, max(len(in), legacySize))
		copy(b, in)
		if n, ok := parseLegacyLength([4]byte(b)); ok {
			if n < 1 || n > legacyName || !bytes.Equal(legacyRequest(string(make([]byte, n)))[:4], b[:4]) {
				t.Errorf("%x is a length of %d", b[:4], n)
			}
		}
		if size, ok := parseLegacySize([8]byte(b)); ok {
			if size < -1 || !bytes.Equal(legacyAnswer(size), b[:8]) {
				t.Errorf("%x is a size of %d", b[:8], size)
			}
		}
	})
}

// served is how one exchange ended at both ends.
type served struct {
	sent, got          Result
	serveErr, fetchErr error
	sentFile, gotFile  []FileDone
}

// exchangeLegacy lets a client of ours ask a server of ours.
func exchangeLegacy(t *testing.T, w *wire, paths []string, so SendOptions, name string, ro RecvOptions,
	open func(string) (store, error),
) (o served) {
	t.Helper()
	x, err := NewExports(paths)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	so.OnFile = func(f FileDone) { o.sentFile = append(o.sentFile, f) }
	ro.OnFile = func(f FileDone) { o.gotFile = append(o.gotFile, f) }
	var wg sync.WaitGroup
	wg.Go(func() { o.sent, o.serveErr = ServeLegacy(ctx, w.a, x, so) })
	wg.Go(func() {
		o.got, o.fetchErr = fetchLegacy(ctx, w.b, name, ro, open)
		w.b.Close()
	})
	wg.Wait()
	return o
}

func TestLegacyExchange(t *testing.T) {
	for _, size := range []int{0, 1, 1000, legacyBlock - 1, legacyBlock, legacyBlock + 1, 5*legacyBlock + 77} {
		for _, digest := range []Digest{BLAKE3, SHA256} {
			t.Run(fmt.Sprintf("%d/%s", size, digest), func(t *testing.T) {
				b := randomBytes(uint64(size), size)
				path, _ := oneFile(t, b)
				blake, sha := blake3.Sum256(b), sha256.Sum256(b)
				want := hex.EncodeToString(blake[:])
				if digest == SHA256 {
					want = hex.EncodeToString(sha[:])
				}
				dst := t.TempDir()
				var out bytes.Buffer
				for _, ro := range []RecvOptions{{File: filepath.Join(dst, "file")}, {Dir: filepath.Join(dst, "new", "dir")}, {Stdout: &out}} {
					var ps, pr Progress
					ro.Digest, ro.Progress = digest, &pr
					o := exchangeLegacy(t, newWire(1<<16), []string{path}, SendOptions{Digest: digest, Progress: &ps}, path, ro, openUnsynced)
					if o.serveErr != nil || o.fetchErr != nil {
						t.Fatalf("serve: %v\nfetch: %v", o.serveErr, o.fetchErr)
					}
					done := []FileDone{{Name: path, Size: int64(size), Digest: want}}
					if !slices.Equal(o.sentFile, done) || !slices.Equal(o.gotFile, done) {
						t.Errorf("files %v and %v, want %v", o.sentFile, o.gotFile, done)
					}
					for _, r := range []Result{o.sent, o.got} {
						if r.Files != 1 || r.Bytes != int64(size) || r.Digest != want || r.DigestAlgorithm != digest {
							t.Errorf("%+v", r)
						}
					}
					for _, p := range []*Progress{&ps, &pr} {
						if p.Bytes() != int64(size) || p.Total() != int64(size) || p.Files() != 1 || p.TotalFiles() != 1 || p.Name() != path {
							t.Errorf("progress %d/%d bytes, %d/%d files, %q", p.Bytes(), p.Total(), p.Files(), p.TotalFiles(), p.Name())
						}
					}
				}
				if got := names(t, dst); !slices.Equal(got, []string{"file", "new", "new/dir", "new/dir/f"}) {
					t.Errorf("there are %q", got)
				}
				for _, name := range []string{"file", "new/dir/f"} {
					got, err := os.ReadFile(filepath.Join(dst, name))
					if err != nil || !bytes.Equal(got, b) {
						t.Errorf("%s: %d bytes, or others: %v", name, len(got), err)
					}
					if info, err := os.Stat(filepath.Join(dst, name)); err != nil || info.Mode() != 0o666&^umask() {
						t.Errorf("%s: %v, %v", name, info, err)
					}
				}
				if !bytes.Equal(out.Bytes(), b) {
					t.Errorf("%d bytes to standard output, or others", out.Len())
				}
			})
		}
	}
}

// TestLegacyMissing: what is not served, and what cannot be read, is the same answer to the client.
func TestLegacyMissing(t *testing.T) {
	path, _ := oneFile(t, []byte("x"))
	dst := t.TempDir()
	ro := RecvOptions{File: filepath.Join(dst, "got")}
	o := exchangeLegacy(t, newWire(1<<16), []string{path}, SendOptions{}, "/etc/passwd\x1b", ro, openUnsynced)
	wantKind(t, o.serveErr, KindPolicy)
	wantKind(t, o.fetchErr, KindRemoteIO)
	for _, err := range []error{o.serveErr, o.fetchErr} {
		if !strings.Contains(err.Error(), `"/etc/passwd\x1b"`) {
			t.Errorf("%q does not quote the name", err)
		}
	}

	x, err := NewExports([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		spoil func() error
		kind  Kind
	}{
		{"removed", func() error { return os.Remove(path) }, KindLocalIO},
		{"a directory", func() error { return os.Mkdir(path, 0o755) }, KindIntegrity},
	} {
		if err := c.spoil(); err != nil {
			t.Fatal(err)
		}
		answer, err := serveTo(t, x, legacyRequest(path))
		wantKind(t, err, c.kind)
		if !bytes.Equal(answer, legacyAnswer(-1)) {
			t.Errorf("%s: the answer is %x", c.name, answer)
		}
	}
	if got := names(t, dst); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
}

// recorded is a connection whose Writes are kept apart.
type recorded struct {
	io.Reader
	writes [][]byte
}

func (r *recorded) Write(b []byte) (int, error) {
	r.writes = append(r.writes, bytes.Clone(b))
	return len(b), nil
}
func (*recorded) Close() error { return nil }

// serveTo serves a client that says this and then closes, and gives the answer.
func serveTo(t *testing.T, x *Exports, said []byte) ([]byte, error) {
	t.Helper()
	conn := &recorded{Reader: bytes.NewReader(said)}
	_, err := ServeLegacy(t.Context(), conn, x, SendOptions{})
	return slices.Concat(conn.writes...), err
}

// TestLegacyWrites: UDT4's programs take the name's length, the name and the size with one receive call each. Each is
// in one Write that is the first of its direction.
func TestLegacyWrites(t *testing.T) {
	path, _ := oneFile(t, []byte("hello"))
	x, err := NewExports([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	server := &recorded{Reader: bytes.NewReader(legacyRequest("f"))}
	if _, err := ServeLegacy(t.Context(), server, x, SendOptions{}); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(server.writes[0], legacyAnswer(5)) {
		t.Errorf("the server begins with %x", server.writes[0])
	}
	client := &recorded{Reader: bytes.NewReader(append(legacyAnswer(5), "hello"...))}
	name := strings.Repeat("n", 1023)
	if _, err := FetchLegacy(t.Context(), client, name, RecvOptions{Stdout: io.Discard}); err != nil {
		t.Fatal(err)
	}
	if len(client.writes) != 1 || !bytes.Equal(client.writes[0], legacyRequest(name)) {
		t.Errorf("the client writes %x", client.writes)
	}
}
