package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// fetchFrom asks a server that says this and then closes.
func fetchFrom(t *testing.T, said []byte, o RecvOptions) (Result, error) {
	t.Helper()
	return fetchLegacy(t.Context(), &recorded{Reader: bytes.NewReader(said)}, "dir/f", o, openUnsynced)
}

func sized(size int64, content string) []byte { return append(legacyAnswer(size), content...) }

// TestFetchLegacyHostile: answers that end too soon, or that no server of the exchange gives, leave nothing.
func TestFetchLegacyHostile(t *testing.T) {
	for _, c := range []struct {
		name string
		said []byte
		kind Kind
		says string
	}{
		{"nothing", nil, KindLost, "before the server answered"},
		{"half a size", []byte{1, 0, 0}, KindLost, "in the middle of the server's answer"},
		{"half a file", sized(5, "hel"), KindLost, "after 3 of 5 bytes"},
		{"a size alone", sized(5, ""), KindLost, "after 0 of 5 bytes"},
		{"absent", sized(-1, ""), KindRemoteIO, `the other end: "dir/f": there is no such file`},
		{"absent, and more", sized(-1, "hello"), KindRemoteIO, "there is no such file to be had"},
		{"a negative size", sized(-2, ""), KindPolicy, "does not speak"},
		{"the most negative size", sized(math.MinInt64, ""), KindPolicy, "does not speak"},
		{"more than the disk has", sized(math.MaxInt64, "hello"), KindLocalIO, "bytes are to come"},
		{"more than is wanted", sized(1001, "hello"), KindPolicy, "larger than 1000 bytes"},
		{"a udtcp", append(prelude(), "hello"...), KindPolicy, "is a udtcp that does not"},
	} {
		dst := t.TempDir()
		o := RecvOptions{File: filepath.Join(dst, "f")}
		if c.name == "more than is wanted" {
			o.MaxSize = 1000
		}
		res, err := fetchFrom(t, c.said, o)
		if KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %v, %q", c.name, err, c.kind, c.says)
		}
		if got := names(t, dst); len(got) != 0 || res.Files != 0 || res.Digest != "" {
			t.Errorf("%s: left behind %v, %+v", c.name, got, res)
		}
		var e *Error
		if !errors.As(err, &e) || e.Hint == "" {
			t.Errorf("%s: no hint", c.name)
		}
	}
	// What comes behind the last byte is none of the file's.
	dst := t.TempDir()
	if _, err := fetchFrom(t, sized(5, "hello, and more"), RecvOptions{Dir: dst}); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(filepath.Join(dst, "f")); string(b) != "hello" {
		t.Errorf("%q, %v", b, err)
	}
	// A pipe gets what came.
	var out bytes.Buffer
	_, err := fetchFrom(t, sized(5, "hel"), RecvOptions{Stdout: &out})
	wantKind(t, err, KindLost)
	if out.String() != "hel" {
		t.Errorf("%q", &out)
	}
}

// TestFetchLegacyExisting: a file that is there stays, unless it is to be replaced, and then until the new one is whole.
func TestFetchLegacyExisting(t *testing.T) {
	dst := t.TempDir()
	path := filepath.Join(dst, "f")
	put(t, path, []byte("old"))
	for _, o := range []RecvOptions{{File: path}, {Dir: dst}} {
		_, err := fetchFrom(t, sized(5, "hello"), o)
		wantKind(t, err, KindPolicy)
		wantKind(t, CheckFetchLegacy("dir/f", o), KindPolicy)
		o.Overwrite = true
		_, err = fetchFrom(t, sized(5, "hel"), o)
		wantKind(t, err, KindLost)
		wantKind(t, CheckFetchLegacy("dir/f", o), KindNone)
		if b, err := os.ReadFile(path); string(b) != "old" {
			t.Errorf("%q, %v", b, err)
		}
	}
	if _, err := fetchFrom(t, sized(5, "hello"), RecvOptions{File: path, Overwrite: true}); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(path); string(b) != "hello" || len(names(t, dst)) != 1 {
		t.Errorf("%q, %v, %v", b, err, names(t, dst))
	}
}

func TestCheckFetchLegacy(t *testing.T) {
	dst := t.TempDir()
	for name, kind := range map[string]Kind{
		"f": KindNone, "/a/b/f": KindNone, strings.Repeat("/n", 511) + "x": KindNone, strings.Repeat("n", 1024): KindUsage, "": KindUsage,
		"a\x00b": KindUsage, "a/": KindUsage, "a/..": KindUsage, "..": KindUsage, "a\x1b": KindUsage, strings.Repeat("n", 256): KindUsage,
	} {
		wantKind(t, CheckFetchLegacy(name, RecvOptions{Dir: dst}), kind)
	}
	// With a name of its own the file may be called anything at the server.
	for _, o := range []RecvOptions{{File: filepath.Join(dst, "f")}, {Stdout: io.Discard}} {
		for name, kind := range map[string]Kind{"a\x1b": KindNone, "a/..": KindNone, strings.Repeat("n", 1023): KindNone, "": KindUsage} {
			wantKind(t, CheckFetchLegacy(name, o), kind)
		}
	}
	wantKind(t, CheckFetchLegacy("f", RecvOptions{}), KindUsage)
	wantKind(t, CheckFetchLegacy("f", RecvOptions{File: filepath.Join(dst, "missing", "f")}), KindLocalIO)
}

func TestFetchLegacyFaults(t *testing.T) {
	content := randomBytes(1, 2*legacyBlock)
	for _, f := range faults {
		t.Run(fmt.Sprintf("%s %v", f.op, f.err), func(t *testing.T) {
			dst := t.TempDir()
			var count atomic.Int32
			open := func(dir string) (store, error) {
				st, err := openStore(dir)
				return &faulty{store: st, fail: func(op, _ string) error {
					if op == f.op {
						count.Add(1)
						return &fs.PathError{Op: op, Path: "/some/where", Err: f.err}
					}
					return nil
				}}, err
			}
			conn := &recorded{Reader: bytes.NewReader(sized(int64(len(content)), string(content)))}
			_, err := fetchLegacy(t.Context(), conn, "f", RecvOptions{Dir: dst}, open)
			if count.Load() == 0 {
				wantKind(t, err, KindNone) // one file needs no directory, and no sync of everything
				return
			}
			wantKind(t, err, f.kind)
			if got := names(t, dst); len(got) > 0 && f.op != "syncDir" && f.op != "close" {
				t.Errorf("left behind: %v", got)
			}
		})
	}
}

// TestFetchLegacyGivenUp: the caller gives up while the server is silent, and while standard output hangs.
func TestFetchLegacyGivenUp(t *testing.T) {
	cause := errors.New("enough")
	w := newWire(1 << 16)
	ctx, cancel := context.WithCancelCause(t.Context())
	w.b.out.alter = func(int64, []byte) { cancel(cause) }
	if _, err := FetchLegacy(ctx, w.b, "f", RecvOptions{Stdout: io.Discard}); !errors.Is(err, cause) {
		t.Errorf("a silent server: %v", err)
	}

	ctx, cancel = context.WithCancelCause(t.Context())
	hung, release := make(chan struct{}), make(chan struct{})
	go func() {
		<-hung
		cancel(cause)
	}()
	out := writerFunc(func(b []byte) (int, error) {
		close(hung)
		<-release
		return len(b), nil
	})
	conn := &recorded{Reader: bytes.NewReader(sized(5, "hello"))}
	if _, err := FetchLegacy(ctx, conn, "f", RecvOptions{Stdout: out}); !errors.Is(err, cause) {
		t.Errorf("a pipe that hangs: %v", err)
	}
	close(release)

	broken := writerFunc(func([]byte) (int, error) { return 0, syscall.EPIPE })
	_, err := fetchFrom(t, sized(5, "hello"), RecvOptions{Stdout: broken})
	wantKind(t, err, KindLocalIO)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// FuzzFetchLegacy: whatever a server says, the file is absent, or exactly what was announced.
func FuzzFetchLegacy(f *testing.F) {
	for _, said := range [][]byte{nil, prelude(), sized(5, "hello"), sized(5, "hel"), sized(0, ""), sized(-1, ""), sized(math.MaxInt64, "x")} {
		f.Add(said)
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		dst := t.TempDir()
		_, err := fetchFrom(t, said, RecvOptions{File: filepath.Join(dst, "f")})
		got, readErr := os.ReadFile(filepath.Join(dst, "f"))
		if err != nil {
			if KindOf(err) == KindInternal || len(names(t, dst)) != 0 {
				t.Errorf("%v, and there are %v", err, names(t, dst))
			}
			return
		}
		size, ok := parseLegacySize([8]byte(said))
		if readErr != nil || !ok || size != int64(len(got)) || !bytes.HasPrefix(said[8:], got) {
			t.Errorf("%x made %x: %v", said, got, readErr)
		}
	})
}
