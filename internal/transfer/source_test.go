package transfer

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// changeMidway calls change once, when a chunk is on the wire.
func changeMidway(w *wire, change func()) {
	done := false
	w.a.out.alter = func(at int64, _ []byte) {
		if at > minChunk && !done {
			done = true
			change()
		}
	}
}

func TestSourceChanges(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"grows": func(p string) error {
			f, err := os.OpenFile(p, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString("more")
			return err
		},
		"shrinks": func(p string) error { return os.Truncate(p, 5) },
		"rewritten": func(p string) error {
			f, err := os.OpenFile(p, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt([]byte("other"), 10)
			return err
		},
		"replaced": func(p string) error {
			if err := os.WriteFile(p+".new", make([]byte, 40*minChunk), 0o644); err != nil {
				return err
			}
			return os.Rename(p+".new", p)
		},
		"removed": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			path, o := oneFile(t, randomBytes(1, 40*minChunk))
			old := time.Now().Add(-time.Hour)
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
			dst := t.TempDir()
			w := newWire(1 << 16)
			changeMidway(w, func() {
				if err := change(path); err != nil {
					t.Error(err)
				}
			})
			out := move(t, w, o, RecvOptions{Dir: dst})
			out.badly(t, KindIntegrity, KindIntegrity)
			if got := names(t, dst); len(got) != 0 {
				t.Errorf("left behind: %v", got)
			}
		})
	}
}

// A large file is looked at again only when the hashers have read all of it, however late they do.
func TestUnchangedWhenAllIsRead(t *testing.T) {
	path, _ := oneFile(t, randomBytes(1, 2*minChunk+1))
	synctest.Test(t, func(t *testing.T) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		e := &outbound{path: "f", from: path, answer: newAnswer()}
		if e.info, err = f.Stat(); err != nil {
			t.Fatal(err)
		}
		e.Size = e.info.Size()
		s := &sender{
			session: newSession(nil), terms: terms{chunk: minChunk}, pool: newPool(8, 8),
			hash: make(chan *chunk, 8), seal: make(chan parcel, 8),
		}
		result := make(chan error, 1)
		go func() { result <- s.large(e, f) }()
		synctest.Wait()
		if len(s.hash) != 3 || len(s.seal) != 3 { // with the entry's own
			t.Fatalf("%d chunks to be read, %d passed on", len(s.hash), len(s.seal))
		}
		for c := <-s.hash; ; c = <-s.hash {
			if len(s.hash) == 0 { // somebody writes before the last is read
				if err := os.WriteFile(path, randomBytes(2, 2*minChunk+2), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.from.fill(c, minChunk); err != nil {
				t.Fatal(err)
			}
			if len(s.hash) == 0 {
				break
			}
		}
		wantKind(t, <-result, KindIntegrity)
		if len(s.seal) != 3 {
			t.Error("the end of the file was passed on")
		}
	})
}

func TestMoreThanItsSize(t *testing.T) {
	const path = "/proc/self/status" // says that it is empty
	if info, err := os.Stat(path); err != nil || info.Size() != 0 {
		t.Skip("no proc file system")
	}
	o := move(t, newWire(1<<16), SendOptions{Paths: []string{path}}, RecvOptions{Dir: t.TempDir()})
	o.badly(t, KindIntegrity, KindIntegrity)
}

func TestSkipped(t *testing.T) {
	src, dst := filepath.Join(t.TempDir(), "top"), t.TempDir()
	put(t, filepath.Join(src, "file"), []byte("x"))
	put(t, filepath.Join(src, ".old.udtcp-part"), []byte("x"))
	if err := os.Symlink("/etc/passwd", filepath.Join(src, "link\x1b")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(".", filepath.Join(src, "loop")); err != nil {
		t.Fatal(err)
	}
	if err := mkfifo(filepath.Join(src, "fifo")); err != nil {
		t.Fatal(err)
	}
	o := move(t, newWire(1<<16), SendOptions{Paths: []string{src}}, RecvOptions{Dir: dst})
	o.well(t)
	if got := names(t, dst); !slices.Equal(got, []string{"top", "top/file"}) {
		t.Errorf("%q", got)
	}
	if len(o.messages) != 4 || strings.Contains(strings.Join(o.messages, ""), "\x1b") {
		t.Errorf("%q", o.messages)
	}
}

func TestCheckSources(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"a", "sub/a", "bad\nname", "x/.y.udtcp-part"} {
		put(t, filepath.Join(dir, n), []byte("x"))
	}
	if err := mkfifo(filepath.Join(dir, "fifo")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	in := func(names ...string) (list []string) {
		for _, n := range names {
			list = append(list, filepath.Join(dir, n))
		}
		return list
	}
	for name, c := range map[string]struct {
		o    SendOptions
		kind Kind
	}{
		"file":           {SendOptions{Paths: in("a")}, KindNone},
		"directory":      {SendOptions{Paths: in("sub")}, KindNone},
		"dot":            {SendOptions{Paths: []string{"."}}, KindNone},
		"dot dot":        {SendOptions{Paths: []string{".."}}, KindNone},
		"link":           {SendOptions{Paths: in("link")}, KindNone},
		"stream":         {SendOptions{Paths: []string{"-"}, Stdin: strings.NewReader("")}, KindNone},
		"nothing":        {SendOptions{}, KindUsage},
		"missing":        {SendOptions{Paths: in("b")}, KindLocalIO},
		"file as dir":    {SendOptions{Paths: in("a/b")}, KindLocalIO},
		"no stdin":       {SendOptions{Paths: []string{"-"}}, KindUsage},
		"stdin and file": {SendOptions{Paths: append(in("a"), "-"), Stdin: strings.NewReader("")}, KindUsage},
		"same name":      {SendOptions{Paths: in("a", "sub/a")}, KindUsage},
		"bad name":       {SendOptions{Paths: in("bad\nname")}, KindPolicy},
		"reserved":       {SendOptions{Paths: in("x/.y.udtcp-part")}, KindPolicy},
		"fifo":           {SendOptions{Paths: in("fifo")}, KindPolicy},
		"root":           {SendOptions{Paths: []string{"/"}}, KindPolicy},
		"digest":         {SendOptions{Paths: in("a"), Digest: "md5"}, KindUsage},
	} {
		err := CheckSources(c.o)
		if KindOf(err) != c.kind {
			t.Errorf("%s: %v, want %v", name, err, c.kind)
		}
		if err != nil && !strings.Contains(err.Error(), ";") {
			t.Errorf("%s: %q does not say what to do", name, err)
		}
		if err == nil {
			continue
		}
		// The receiver is told as well.
		o := move(t, newWire(1<<16), c.o, RecvOptions{Dir: t.TempDir()})
		if KindOf(o.sendErr) != c.kind || KindOf(o.gotErr) == KindLost || o.gotErr == nil {
			t.Errorf("%s: send %v, recv %v", name, o.sendErr, o.gotErr)
		}
		if o.gotErr != nil && strings.Contains(o.gotErr.Error(), dir) {
			t.Errorf("%s: the sender's paths are told: %v", name, o.gotErr)
		}
	}
}

func TestUnreadableInTree(t *testing.T) {
	if os.Getuid() == 0 {
		t.Log("running as root, who may read everything: a directory that vanishes instead")
	}
	src, dst := filepath.Join(t.TempDir(), "top"), t.TempDir()
	put(t, filepath.Join(src, "a"), randomBytes(1, 30*minChunk))
	put(t, filepath.Join(src, "b"), []byte("x"))
	w := newWire(1 << 16)
	changeMidway(w, func() {
		if err := os.Remove(filepath.Join(src, "b")); err != nil {
			t.Error(err)
		}
	})
	o := move(t, w, SendOptions{Paths: []string{src}}, RecvOptions{Dir: dst})
	o.badly(t, KindLocalIO, KindRemoteIO)
	if !strings.Contains(o.gotErr.Error(), `"top/b"`) || !strings.Contains(o.gotErr.Error(), "no such file") {
		t.Errorf("%v", o.gotErr)
	}
}

func TestBadNameInTree(t *testing.T) {
	src, dst := filepath.Join(t.TempDir(), "top"), t.TempDir()
	put(t, filepath.Join(src, "bad\x1bname"), []byte("x"))
	o := move(t, newWire(1<<16), SendOptions{Paths: []string{src}}, RecvOptions{Dir: dst})
	o.badly(t, KindPolicy, KindPolicy)
}

// failingReader gives some bytes and then an error.
type failingReader struct{ n int }

func (r *failingReader) Read(b []byte) (int, error) {
	if r.n == 0 {
		return 0, syscall.EIO
	}
	n := min(r.n, len(b))
	r.n -= n
	return n, nil
}

type lazyReader struct{}

func (lazyReader) Read([]byte) (int, error) { return 0, nil }

type lyingReader struct{}

func (lyingReader) Read(b []byte) (int, error) { return len(b) + 1, nil }

func TestStdinFails(t *testing.T) {
	for name, in := range map[string]io.Reader{
		"at once": &failingReader{}, "later": &failingReader{3*minChunk + 5}, "lazy": lazyReader{}, "lying": lyingReader{},
	} {
		dst := t.TempDir()
		o := move(t, newWire(1<<16), SendOptions{Paths: []string{"-"}, Stdin: in}, RecvOptions{File: filepath.Join(dst, "f")})
		if KindOf(o.sendErr) != KindLocalIO || KindOf(o.gotErr) != KindRemoteIO {
			t.Errorf("%s: %v, %v", name, o.sendErr, o.gotErr)
		}
		if got := names(t, dst); len(got) != 0 {
			t.Errorf("%s: left behind: %v", name, got)
		}
	}
}
