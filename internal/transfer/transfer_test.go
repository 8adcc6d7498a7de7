package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"lukechampine.com/blake3"
)

// outcome is how a transfer ended at both ends.
type outcome struct {
	sent, got       Result
	sendErr, gotErr error
	sentFiles       []FileDone
	gotFiles        []FileDone
	messages        []string
}

// move runs a transfer over a wire.
func move(t *testing.T, w *wire, so SendOptions, ro RecvOptions) outcome {
	t.Helper()
	return moveWith(t, w, so, ro, func(dir string) (store, error) { return openStore(dir) })
}

// moveWith is move into a file system of the test's.
func moveWith(t *testing.T, w *wire, so SendOptions, ro RecvOptions, open func(string) (store, error)) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return moveCtx(ctx, ctx, w, so, ro, open)
}

func moveCtx(sctx, rctx context.Context, w *wire, so SendOptions, ro RecvOptions, open func(string) (store, error)) (o outcome) {
	var mu sync.Mutex
	note := func(line string) {
		mu.Lock()
		o.messages = append(o.messages, line)
		mu.Unlock()
	}
	so.OnMessage, ro.OnMessage = note, note
	so.OnFile = func(f FileDone) { o.sentFiles = append(o.sentFiles, f) }
	ro.OnFile = func(f FileDone) { o.gotFiles = append(o.gotFiles, f) }
	var wg sync.WaitGroup
	wg.Go(func() {
		o.sent, o.sendErr = Send(sctx, w.a, so)
		w.a.Close()
	})
	wg.Go(func() {
		o.got, o.gotErr = receive(rctx, w.b, ro, open)
		w.b.Close()
	})
	wg.Wait()
	return o
}

func (o *outcome) well(t *testing.T) {
	t.Helper()
	if o.sendErr != nil || o.gotErr != nil {
		t.Fatalf("send: %v\nrecv: %v", o.sendErr, o.gotErr)
	}
	if o.sent.Digest != o.got.Digest || o.sent.Files != o.got.Files || o.sent.Bytes != o.got.Bytes {
		t.Errorf("the ends disagree: %+v and %+v", o.sent, o.got)
	}
	if !slices.Equal(o.sentFiles, o.gotFiles) {
		t.Errorf("the ends disagree on files: %v and %v", o.sentFiles, o.gotFiles)
	}
	if len(o.gotFiles) != o.got.Files {
		t.Errorf("%d files, told of %d", o.got.Files, len(o.gotFiles))
	}
}

// badly checks how both ends failed.
func (o *outcome) badly(t *testing.T, sender, receiver Kind) {
	t.Helper()
	if k := KindOf(o.sendErr); k != sender {
		t.Errorf("send ended with %v, want %v: %v", k, sender, o.sendErr)
	}
	if k := KindOf(o.gotErr); k != receiver {
		t.Errorf("recv ended with %v, want %v: %v", k, receiver, o.gotErr)
	}
	for _, err := range []error{o.sendErr, o.gotErr} {
		if err != nil && strings.ContainsAny(err.Error(), "\n\r\x1b") {
			t.Errorf("not one printable line: %q", err)
		}
	}
	if o.sent.Digest != "" || o.got.Digest != "" {
		t.Error("a failed transfer has a digest")
	}
}

func put(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// tree describes what is below a directory: kind, mode, time and content of each.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	m := make(map[string]string)
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		line := fmt.Sprintf("%v %v", info.Mode(), info.ModTime().UTC().Format(time.RFC3339Nano))
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %x", sha256.Sum256(b))
		}
		m[rel] = line
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func sameTree(t *testing.T, a, b string) {
	t.Helper()
	x, y := tree(t, a), tree(t, b)
	for k, v := range x {
		if y[k] != v {
			t.Errorf("%s is %q, want %q", k, y[k], v)
		}
	}
	for k := range y {
		if _, ok := x[k]; !ok {
			t.Errorf("%s is too much", k)
		}
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	for k := range tree(t, dir) {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// finished are the names but those that udtcp makes for what is not complete.
func finished(t *testing.T, dir string) []string {
	t.Helper()
	return slices.DeleteFunc(names(t, dir), func(n string) bool { return reserved(filepath.Base(n)) })
}

func TestOneFile(t *testing.T) {
	for _, size := range []int{0, 1, 1000, minChunk - 1, minChunk, minChunk + 1, 3*minChunk + 77, 40 * minChunk} {
		for _, digest := range []Digest{BLAKE3, SHA256} {
			t.Run(fmt.Sprintf("%d/%s", size, digest), func(t *testing.T) {
				src, dst := t.TempDir(), t.TempDir()
				b := randomBytes(uint64(size), size)
				put(t, filepath.Join(src, "file"), b)
				var ps, pr Progress
				o := move(t, newWire(1<<20), SendOptions{Paths: []string{filepath.Join(src, "file")}, Preserve: true, Progress: &ps},
					RecvOptions{Dir: dst, Preserve: true, Digest: digest, Progress: &pr})
				o.well(t)
				sameTree(t, src, dst)
				want := blake3.Sum256(b)
				if digest == SHA256 {
					want = sha256.Sum256(b)
				}
				if o.got.Digest != hex.EncodeToString(want[:]) || o.got.DigestAlgorithm != digest || o.sent.DigestAlgorithm != digest {
					t.Errorf("digest %s %s, want %s %x", o.got.DigestAlgorithm, o.got.Digest, digest, want)
				}
				for _, p := range []*Progress{&ps, &pr} {
					if p.Bytes() != int64(size) || p.Total() != int64(size) || p.Files() != 1 || p.TotalFiles() != 1 || p.Name() != "file" {
						t.Errorf("progress %d/%d bytes, %d/%d files, %q", p.Bytes(), p.Total(), p.Files(), p.TotalFiles(), p.Name())
					}
				}
			})
		}
	}
}

// makeTree fills a directory with something of everything.
func makeTree(t *testing.T, dir string, files int) {
	t.Helper()
	for i := range files {
		p := filepath.Join(dir, fmt.Sprintf("d%d", i%7), fmt.Sprintf("e%d", i%3), fmt.Sprintf("file %d", i))
		put(t, p, randomBytes(uint64(i), i*37%20000))
		mode := []fs.FileMode{0o644, 0o600, 0o755, 0o444}[i%4]
		if err := os.Chmod(p, mode); err != nil {
			t.Fatal(err)
		}
	}
	put(t, filepath.Join(dir, "large"), randomBytes(99, 2*minChunk+5))
	put(t, filepath.Join(dir, "空 ü\u202f名.txt"), []byte("x"))
	put(t, filepath.Join(dir, strings.Repeat("n", 255)), []byte("long"))
	if err := os.MkdirAll(filepath.Join(dir, "empty", "below"), 0o750); err != nil {
		t.Fatal(err)
	}
	when := time.Date(2001, 2, 3, 4, 5, 6, 789_000_000, time.UTC)
	var dirs []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if d.IsDir() {
			dirs = append(dirs, p)
			return err
		}
		return os.Chtimes(p, when, when)
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(dirs)
	for _, p := range dirs {
		if err := os.Chtimes(p, when, when); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTree(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	makeTree(t, filepath.Join(src, "top"), 500)
	o := move(t, newWire(1<<16), SendOptions{Paths: []string{filepath.Join(src, "top")}, Preserve: true},
		RecvOptions{Dir: filepath.Join(dst, "new", "deep"), Preserve: true})
	o.well(t)
	sameTree(t, src, filepath.Join(dst, "new", "deep"))
	if o.got.Files != 503 {
		t.Errorf("%d files", o.got.Files)
	}

	// The digest of it all is that of what b3sum would print.
	var list strings.Builder
	for _, f := range o.gotFiles {
		b, err := os.ReadFile(filepath.Join(src, f.Name))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&list, "%x  %s\n", blake3.Sum256(b), f.Name)
	}
	if want := blake3.Sum256([]byte(list.String())); o.got.Digest != hex.EncodeToString(want[:]) {
		t.Errorf("digest %s, want %x", o.got.Digest, want)
	}
}

func TestNotPreserved(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	makeTree(t, filepath.Join(src, "top"), 20)
	for _, both := range [][2]bool{{false, true}, {true, false}} {
		o := move(t, newWire(1<<16), SendOptions{Paths: []string{filepath.Join(src, "top")}, Preserve: both[0]},
			RecvOptions{Dir: dst, Preserve: both[1], Overwrite: true})
		o.well(t)
		info, err := os.Stat(filepath.Join(dst, "top", "d1", "e1", "file 1"))
		if err != nil {
			t.Fatal(err)
		}
		if want := 0o666 &^ umask(); info.Mode().Perm() != want || time.Since(info.ModTime()) > time.Hour {
			t.Errorf("preserve %v: %v %v", both, info.Mode(), info.ModTime())
		}
	}
}

func TestStream(t *testing.T) {
	for _, size := range []int{0, 1, minChunk, 5*minChunk + 3} {
		b := randomBytes(5, size)
		for name, in := range map[string]io.Reader{
			"whole": bytes.NewReader(b), "half": iotest.HalfReader(bytes.NewReader(b)), "dataErr": iotest.DataErrReader(bytes.NewReader(b)),
		} {
			var out bytes.Buffer
			o := move(t, newWire(1<<16), SendOptions{Paths: []string{"-"}, Stdin: in}, RecvOptions{Stdout: &out, Digest: SHA256})
			o.well(t)
			if !bytes.Equal(out.Bytes(), b) {
				t.Errorf("%s: %d bytes arrived of %d, or others", name, out.Len(), size)
			}
			if want := sha256.Sum256(b); o.got.Digest != hex.EncodeToString(want[:]) {
				t.Errorf("%s: digest %s", name, o.got.Digest)
			}
		}
	}
}

func TestStreamToFileAndFileToStream(t *testing.T) {
	dir := t.TempDir()
	b := randomBytes(6, 3*minChunk+9)
	o := move(t, newWire(1<<16), SendOptions{Paths: []string{"-"}, Stdin: bytes.NewReader(b)}, RecvOptions{File: filepath.Join(dir, "f")})
	o.well(t)
	got, err := os.ReadFile(filepath.Join(dir, "f"))
	if err != nil || !bytes.Equal(got, b) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	var out bytes.Buffer
	o = move(t, newWire(1<<16), SendOptions{Paths: []string{filepath.Join(dir, "f")}}, RecvOptions{Stdout: &out})
	o.well(t)
	if !bytes.Equal(out.Bytes(), b) {
		t.Error("other bytes")
	}
	if len(names(t, dir)) != 1 {
		t.Errorf("left behind: %v", names(t, dir))
	}
}

func TestToNamedFile(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	put(t, filepath.Join(src, "a"), []byte("new"))
	put(t, filepath.Join(dst, "b"), []byte("old"))
	o := move(t, newWire(1<<16), SendOptions{Paths: []string{filepath.Join(src, "a")}}, RecvOptions{File: filepath.Join(dst, "b")})
	o.badly(t, KindPolicy, KindPolicy)
	o = move(t, newWire(1<<16), SendOptions{Paths: []string{filepath.Join(src, "a")}},
		RecvOptions{File: filepath.Join(dst, "b"), Overwrite: true})
	o.well(t)
	if b, err := os.ReadFile(filepath.Join(dst, "b")); string(b) != "new" {
		t.Errorf("%q, %v", b, err)
	}
	put(t, filepath.Join(src, "c"), []byte("other"))
	o = move(t, newWire(1<<16), SendOptions{Paths: []string{filepath.Join(src, "a"), filepath.Join(src, "c")}},
		RecvOptions{File: filepath.Join(dst, "d")})
	o.badly(t, KindPolicy, KindPolicy)
	if got := names(t, dst); !slices.Equal(got, []string{"b"}) {
		t.Errorf("left behind: %v", got)
	}
}
