package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestExistingFile(t *testing.T) {
	for _, size := range []int{0, 5, 2*minChunk + 1} {
		content := randomBytes(1, size)
		_, so := oneFile(t, content)
		for name, c := range map[string]struct {
			make      func(path string) error
			overwrite bool
			kind      Kind
		}{
			"file":                {func(p string) error { return os.WriteFile(p, []byte("old"), 0o640) }, false, KindPolicy},
			"file, overwrite":     {func(p string) error { return os.WriteFile(p, []byte("old"), 0o640) }, true, KindNone},
			"read-only":           {func(p string) error { return os.WriteFile(p, []byte("old"), 0o400) }, true, KindNone},
			"directory":           {func(p string) error { return os.Mkdir(p, 0o755) }, false, KindPolicy},
			"directory, over":     {func(p string) error { return os.Mkdir(p, 0o755) }, true, KindPolicy},
			"link":                {func(p string) error { return os.Symlink("/etc/passwd", p) }, false, KindPolicy},
			"dangling link":       {func(p string) error { return os.Symlink("nowhere", p) }, false, KindPolicy},
			"link, overwrite":     {func(p string) error { return os.Symlink("victim", p) }, true, KindNone},
			"fifo, overwrite":     {mkfifo, true, KindPolicy},
			"nothing":             {func(string) error { return nil }, false, KindNone},
			"nothing, overwrite":  {func(string) error { return nil }, true, KindNone},
			"hard link, replaced": {func(p string) error { return os.Link(filepath.Join(filepath.Dir(p), "victim"), p) }, true, KindNone},
		} {
			dst := t.TempDir()
			put(t, filepath.Join(dst, "victim"), []byte("victim"))
			if err := c.make(filepath.Join(dst, "f")); err != nil {
				t.Fatal(err)
			}
			before := tree(t, dst)
			o := move(t, newWire(1<<16), so, RecvOptions{Dir: dst, Overwrite: c.overwrite})
			if c.kind != KindNone {
				o.badly(t, c.kind, c.kind)
				if fmt.Sprint(tree(t, dst)) != fmt.Sprint(before) {
					t.Errorf("%s: something changed: %v", name, tree(t, dst))
				}
				continue
			}
			if o.sendErr != nil || o.gotErr != nil {
				t.Errorf("%s: %v, %v", name, o.sendErr, o.gotErr)
			}
			b, err := os.ReadFile(filepath.Join(dst, "f"))
			victim, _ := os.ReadFile(filepath.Join(dst, "victim"))
			if err != nil || !bytes.Equal(b, content) || string(victim) != "victim" || len(names(t, dst)) != 2 {
				t.Errorf("%s: %d bytes, %v, victim %q, %v", name, len(b), err, victim, names(t, dst))
			}
		}
	}
}

// TestLinksThatLeadOut: nothing is written through a link that leads out of the destination.
func TestLinksThatLeadOut(t *testing.T) {
	src := filepath.Join(t.TempDir(), "top")
	put(t, filepath.Join(src, "d", "f"), []byte("x"))
	for _, target := range []string{"../outside", "../../outside", "loop"} {
		up := t.TempDir()
		put(t, filepath.Join(up, "outside", "keep"), []byte("x"))
		put(t, filepath.Join(up, "dst", "top", "keep"), []byte("x"))
		switch target {
		case "../../outside":
			target = filepath.Join(up, "outside")
		case "../outside":
			target = "../../outside"
		}
		if err := os.Symlink(target, filepath.Join(up, "dst", "top", "d")); err != nil {
			t.Fatal(err)
		}
		before := tree(t, up)
		o := move(t, newWire(1<<16), SendOptions{Paths: []string{src}}, RecvOptions{Dir: filepath.Join(up, "dst"), Overwrite: true})
		o.badly(t, KindRemoteIO, KindLocalIO)
		if fmt.Sprint(tree(t, up)) != fmt.Sprint(before) {
			t.Errorf("%s: something changed: %v", target, tree(t, up))
		}
	}
}

// TestDestinationSwapped replaces a directory by a link, and by another directory, while its files come.
func TestDestinationSwapped(t *testing.T) {
	for name, swap := range map[string]func(d string) error{
		"link":      func(d string) error { return os.Symlink("../../outside", d) },
		"directory": func(d string) error { return os.Mkdir(d, 0o755) },
	} {
		src, up := filepath.Join(t.TempDir(), "top"), t.TempDir()
		put(t, filepath.Join(src, "d", "a"), randomBytes(1, 3*minChunk))
		put(t, filepath.Join(src, "d", "b"), []byte("x"))
		if err := os.MkdirAll(filepath.Join(up, "outside"), 0o755); err != nil {
			t.Fatal(err)
		}
		dst := filepath.Join(up, "dst")
		w := newWire(1 << 16)
		changeMidway(w, func() {
			d := filepath.Join(dst, "top", "d")
			if err := errors.Join(os.Rename(d, d+"-moved"), swap(d)); err != nil {
				t.Error(err)
			}
		})
		o := move(t, w, SendOptions{Paths: []string{src}}, RecvOptions{Dir: dst})
		o.badly(t, KindRemoteIO, KindLocalIO)
		for _, n := range names(t, up) {
			if strings.HasPrefix(n, "outside/") || strings.HasSuffix(n, partSuffix) {
				t.Errorf("%s: there is %q", name, n)
			}
		}
	}
}

// TestNameSwapped puts something else under the name of a file while that comes. A link is never followed, a directory
// never replaced, and without leave to overwrite nothing is.
func TestNameSwapped(t *testing.T) {
	content := randomBytes(1, 3*minChunk)
	_, so := oneFile(t, content)
	for name, swap := range map[string]func(path string) error{
		"file":      func(path string) error { return os.WriteFile(path, []byte("quicker"), 0o644) },
		"link":      func(path string) error { return os.Symlink("../outside", path) },
		"directory": func(path string) error { return os.Mkdir(path, 0o755) },
	} {
		for _, overwrite := range []bool{true, false} {
			up := t.TempDir()
			put(t, filepath.Join(up, "outside"), []byte("outside"))
			dst := filepath.Join(up, "dst")
			path := filepath.Join(dst, "f")
			w := newWire(1 << 16)
			changeMidway(w, func() {
				if err := swap(path); err != nil {
					t.Error(err)
				}
			})
			o := move(t, w, so, RecvOptions{Dir: dst, Overwrite: overwrite})
			if overwrite && name != "directory" {
				o.well(t)
				is(t, dst, "f", content)
			} else {
				o.badly(t, KindPolicy, KindPolicy)
				if info, err := os.Lstat(path); err != nil || info.Size() == int64(len(content)) {
					t.Errorf("%s, overwrite %v: what came between is gone: %v", name, overwrite, err)
				}
			}
			if b, err := os.ReadFile(filepath.Join(up, "outside")); string(b) != "outside" {
				t.Errorf("%s, overwrite %v: outside is %q, %v", name, overwrite, b, err)
			}
		}
	}
}

// TestLeftoverPart: what a killed receiver left is taken over, also if it is longer, or readable by all.
func TestLeftoverPart(t *testing.T) {
	_, so := oneFile(t, []byte("hello"))
	dst := t.TempDir()
	left := filepath.Join(dst, ".f.udtcp-part")
	if err := os.WriteFile(left, randomBytes(1, 1000), 0o666); err != nil {
		t.Fatal(err)
	}
	o := move(t, newWire(1<<16), so, RecvOptions{Dir: dst})
	o.well(t)
	b, err := os.ReadFile(filepath.Join(dst, "f"))
	if err != nil || string(b) != "hello" || len(names(t, dst)) != 1 {
		t.Errorf("%q, %v, %v", b, err, names(t, dst))
	}

	// A part file that has its final name already, because its receiver was killed before it took the other one away, is
	// that file and must not be touched.
	if err := os.Link(filepath.Join(dst, "f"), left); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dst, "f"), filepath.Join(dst, "kept")); err != nil {
		t.Fatal(err)
	}
	o = move(t, newWire(1<<16), so, RecvOptions{Dir: dst})
	o.well(t)
	if b, err := os.ReadFile(filepath.Join(dst, "kept")); string(b) != "hello" || !slices.Equal(names(t, dst), []string{"f", "kept"}) {
		t.Errorf("%q, %v, %v", b, err, names(t, dst))
	}
	info, kept := stat(t, filepath.Join(dst, "f")), stat(t, filepath.Join(dst, "kept"))
	if os.SameFile(info, kept) {
		t.Error("two names of one file")
	}

	// A link there is not followed.
	put(t, filepath.Join(dst, "victim"), []byte("victim"))
	if err := os.Symlink("victim", filepath.Join(dst, ".g.udtcp-part")); err != nil {
		t.Fatal(err)
	}
	st, err := openStore(dst)
	if err != nil {
		t.Fatal(err)
	}
	defer st.close()
	f, err := st.folder("")
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	if _, _, err := f.create(".g.udtcp-part"); err == nil {
		t.Error("a link is taken for a part file")
	}
	if err := mkfifo(filepath.Join(dst, ".h.udtcp-part")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.create(".h.udtcp-part"); err == nil {
		t.Error("a FIFO is taken for a part file")
	}
	if b, err := os.ReadFile(filepath.Join(dst, "victim")); string(b) != "victim" {
		t.Errorf("%q, %v", b, err)
	}
}

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// TestTwoReceivers has two of them receive different content under one name at the same time: one wins, whole, and the
// other says so.
func TestTwoReceivers(t *testing.T) {
	dst := t.TempDir()
	contents := [][]byte{randomBytes(1, 8*minChunk), randomBytes(2, 8*minChunk)}
	var wg sync.WaitGroup
	var errs [2]error
	for i, c := range contents {
		_, so := oneFile(t, c)
		wg.Go(func() { errs[i] = move(t, newWire(1<<16), so, RecvOptions{Dir: dst}).gotErr })
	}
	wg.Wait()
	winner := slices.Index(errs[:], nil)
	if winner < 0 || errs[1-winner] == nil {
		t.Fatalf("%v", errs)
	}
	wantKind(t, errs[1-winner], KindPolicy)
	if b, err := os.ReadFile(filepath.Join(dst, "f")); !bytes.Equal(b, contents[winner]) || len(names(t, dst)) != 1 {
		t.Errorf("%d bytes, %v, %v", len(b), err, names(t, dst))
	}
}

func TestPartBusy(t *testing.T) {
	dst := t.TempDir()
	st, err := openStore(dst)
	if err != nil {
		t.Fatal(err)
	}
	defer st.close()
	p, err := openPart(st, "", "f", false, false)
	if err != nil {
		t.Fatal(err)
	}
	_, so := oneFile(t, []byte("hello"))
	o := move(t, newWire(1<<16), so, RecvOptions{Dir: dst})
	o.badly(t, KindPolicy, KindPolicy)
	if got := names(t, dst); !slices.Equal(got, []string{".f.udtcp-part"}) {
		t.Errorf("the other's part file: %v", got)
	}
	if err := p.discard(); err != nil {
		t.Error(err)
	}
	o = move(t, newWire(1<<16), so, RecvOptions{Dir: dst})
	o.well(t)
}

// TestPublishRace: the name is taken between the look and the rename, in both ways to give it.
func TestPublishRace(t *testing.T) {
	for _, linked := range []bool{false, true} {
		t.Run(fmt.Sprintf("linked %v", linked), func(t *testing.T) {
			dst := t.TempDir()
			st, err := openStore(dst)
			if err != nil {
				t.Fatal(err)
			}
			defer st.close()
			st.linked.Store(linked)
			p, err := openPart(st, "", "f", false, false)
			if err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(dst, "f"), []byte("quicker"))
			if err := p.publish(false); !errors.Is(err, fs.ErrExist) {
				t.Errorf("%v", err)
			}
			if err := p.discard(); err != nil {
				t.Error(err)
			}
			if b, err := os.ReadFile(filepath.Join(dst, "f")); string(b) != "quicker" || len(names(t, dst)) != 1 {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}

// TestLookFirst: what has the name is looked for before anything is written, unless nothing had it a moment ago. What may
// be replaced is looked at in any case.
func TestLookFirst(t *testing.T) {
	dst := t.TempDir()
	st, err := openStore(dst)
	if err != nil {
		t.Fatal(err)
	}
	defer st.close()
	put(t, filepath.Join(dst, "f"), []byte("quicker"))
	put(t, filepath.Join(dst, "d", "f"), nil)
	for _, c := range []struct {
		name          string
		replace, free bool
		want          error
	}{
		{"f", false, false, errExists}, {"f", true, false, nil}, {"f", false, true, nil},
		{"d", false, false, errKeep}, {"d", true, false, errKeep}, {"d", true, true, errKeep},
	} {
		p, err := openPart(st, "", c.name, c.replace, c.free)
		if !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c, err)
		}
		if err == nil {
			if err := p.discard(); err != nil {
				t.Error(err)
			}
		}
	}

	// Of a large file much would come before it shows.
	r := &receiver{session: newSession(nil)}
	r.terms.chunk = minChunk
	s := newFileSink(r, st, "", "")
	r.sink = s
	for size, want := range map[int64]error{minChunk: nil, minChunk + 1: errExists} {
		e := &inbound{free: true}
		e.Kind, e.Name, e.Size = entryFile, "f", size
		if err := s.openPart(e); !errors.Is(err, want) {
			t.Errorf("%d bytes: %v", size, err)
		}
		if e.part != nil {
			if err := s.forget(e.part).discard(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestSeenNotLong: the room there is, and a directory that was not there, are looked for again when that was a while ago,
// not with each file before.
func TestSeenNotLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dst := t.TempDir()
		st, err := openStore(dst)
		if err != nil {
			t.Fatal(err)
		}
		defer st.close()
		looks := map[string]int{}
		counting := &faulty{store: st, fail: func(op, _ string) error {
			looks[op]++
			return nil
		}}
		s := newFileSink(&receiver{session: newSession(nil)}, counting, "", "")
		free, _ := st.free()
		for _, c := range []struct {
			room  int64
			after time.Duration
			looks int
		}{
			{1, 0, 1}, {free / 4, seenFor / 2, 1}, {free / 4 * 3, 0, 2}, {1, seenFor / 2, 2}, {1, seenFor, 3},
		} {
			<-time.After(c.after)
			if err := s.room(c.room); err != nil || looks["free"] != c.looks {
				t.Errorf("%+v: %d looks for room, %v", c, looks["free"], err)
			}
		}
		if err := s.room(free * 2); err == nil {
			t.Error("there is more room than there is")
		}
		if err := s.room(1); err != nil {
			t.Error(err)
		}

		for i, c := range []struct {
			path  string
			after time.Duration
			looks int
		}{
			{"d/a", 0, 1}, {"d/b", seenFor / 2, 1}, {"e/a", 0, 2}, {"d/c", 0, 3}, {"d/d", seenFor, 4},
		} {
			<-time.After(c.after)
			there, free := s.existing(c.path)
			if there != nil || !free || looks["folder"] != c.looks {
				t.Errorf("%d: %+v, free %v, %d looks for the directory", i, there, free, looks["folder"])
			}
		}
		put(t, filepath.Join(dst, "d", "d"), nil)
		<-time.After(seenFor)
		if there, free := s.existing("d/d"); there == nil || free {
			t.Errorf("%+v, free %v", there, free)
		}
	})
}

func TestBackgroundSync(t *testing.T) {
	st, err := openStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer st.close()
	fails := &faulty{store: st, fail: func(op, _ string) error {
		if op == "datasync" {
			return syscall.EIO
		}
		return nil
	}}
	p, err := openPart(fails, "", "f", false, false)
	if err != nil {
		t.Fatal(err)
	}
	p.dirty = syncEvery
	if err := p.write([]byte("x"), 0, 0); err != nil && !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	if err := p.settle(); !errors.Is(err, syscall.EIO) {
		t.Errorf("a failed sync is forgotten: %v", err)
	}
	if err := p.write([]byte("x"), 0, 0); !errors.Is(err, syscall.EIO) {
		t.Errorf("a failed sync is forgotten: %v", err)
	}
	if err := p.discard(); err != nil {
		t.Error(err)
	}
}

// TestUnrecordedIsBounded: while a sync hangs, no more is written than what may be sent twice: 64 MiB and a chunk.
func TestUnrecordedIsBounded(t *testing.T) {
	const chunks = 200
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p, err := openPart(&faulty{store: nowhere{}, fail: func(op, _ string) error {
			if op == "datasync" {
				<-release
			}
			return nil
		}}, "", "f", false, false)
		if err != nil {
			t.Fatal(err)
		}
		p.id = &identity{Name: "f", Size: chunks * minChunk, Chunk: minChunk}
		var wrote atomic.Int64
		var wg sync.WaitGroup
		wg.Go(func() {
			b := make([]byte, minChunk)
			for at := int64(0); at < p.id.Size; at += minChunk {
				p.note([32]byte{})
				if err := p.write(b, at, at+minChunk); err != nil {
					t.Error(err)
				}
				wrote.Add(minChunk)
			}
		})
		synctest.Wait()
		if n := wrote.Load(); n > 64<<20 || n < 32<<20 {
			t.Errorf("%d bytes are written and not recorded", n)
		}
		close(release)
		wg.Wait()
		if err := p.leave(keepAll); err != nil || wrote.Load() != p.id.Size {
			t.Errorf("%d bytes written, %v", wrote.Load(), err)
		}
	})
}

// TestFolders opens more directories than are kept open.
func TestFolders(t *testing.T) {
	st, err := openStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * idleFolders {
		if made, err := st.mkdir(fmt.Sprint(i), 0o755); err != nil || !made {
			t.Fatal(made, err)
		}
	}
	if made, err := st.mkdir("1", 0o755); err != nil || made {
		t.Error("made twice", err)
	}
	var open []folder
	for range 2 {
		for i := range 3 * idleFolders {
			f, err := st.folder(fmt.Sprint(i))
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, f)
		}
	}
	for _, f := range open {
		if err := f.close(); err != nil {
			t.Error(err)
		}
	}
	if len(st.open) != idleFolders || len(st.idle) != idleFolders {
		t.Errorf("%d open, %d idle", len(st.open), len(st.idle))
	}
	f, err := st.folder(st.idle[3].name)
	if err != nil || len(st.idle) != idleFolders-1 {
		t.Errorf("%v, %d idle", err, len(st.idle))
	}
	if err := errors.Join(f.close(), st.close()); err != nil {
		t.Error(err)
	}
}

// boundless does not know how much room there is.
type boundless struct{ store }

func (boundless) free() (int64, bool) { return 0, false }

func TestDestination(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "f"), nil)
	for arg, want := range map[string]struct {
		dir, file string
		stdout    bool
	}{
		"": {".", "", false}, "-": {"", "", true}, dir: {dir, "", false}, "new/": {"new/", "", false},
		filepath.Join(dir, "f"): {"", filepath.Join(dir, "f"), false}, "new": {"", "new", false},
	} {
		if d, f, s := Destination(arg); d != want.dir || f != want.file || s != want.stdout {
			t.Errorf("%q: %q %q %v", arg, d, f, s)
		}
	}
}

func TestCheckDestination(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "f"), nil)
	if err := mkfifo(filepath.Join(dir, "fifo")); err != nil {
		t.Fatal(err)
	}
	in := func(n string) string { return filepath.Join(dir, n) }
	for name, c := range map[string]struct {
		o    RecvOptions
		kind Kind
	}{
		"directory":        {RecvOptions{Dir: dir}, KindNone},
		"new directory":    {RecvOptions{Dir: in("a/b/")}, KindNone},
		"new file":         {RecvOptions{File: in("new")}, KindNone},
		"bare file":        {RecvOptions{File: "surely-not-there"}, KindNone},
		"output":           {RecvOptions{Stdout: io.Discard}, KindNone},
		"overwrite":        {RecvOptions{File: in("f"), Overwrite: true}, KindNone},
		"file":             {RecvOptions{File: in("f")}, KindPolicy},
		"directory as one": {RecvOptions{File: dir, Overwrite: true}, KindPolicy},
		"fifo":             {RecvOptions{File: in("fifo"), Overwrite: true}, KindPolicy},
		"file as dir":      {RecvOptions{Dir: in("f")}, KindLocalIO},
		"below a file":     {RecvOptions{Dir: in("f/x")}, KindLocalIO},
		"no directory":     {RecvOptions{File: in("a/f")}, KindLocalIO},
		"none":             {RecvOptions{}, KindUsage},
		"two":              {RecvOptions{Dir: dir, File: "x"}, KindUsage},
		"size":             {RecvOptions{Dir: dir, MaxSize: -1}, KindUsage},
		"digest":           {RecvOptions{Dir: dir, Digest: "md5"}, KindUsage},
	} {
		before := tree(t, dir)
		err := CheckDestination(c.o)
		if KindOf(err) != c.kind {
			t.Errorf("%s: %v, want %v", name, err, c.kind)
		}
		if fmt.Sprint(tree(t, dir)) != fmt.Sprint(before) {
			t.Errorf("%s: something changed", name)
		}
		if err == nil {
			continue
		}
		if !strings.Contains(err.Error(), ";") {
			t.Errorf("%s: %q does not say what to do", name, err)
		}
		// The sender is told as well.
		_, so := oneFile(t, []byte("x"))
		o := move(t, newWire(1<<16), so, c.o)
		if KindOf(o.gotErr) != c.kind || o.sendErr == nil || KindOf(o.sendErr) == KindLost {
			t.Errorf("%s: send %v, recv %v", name, o.sendErr, o.gotErr)
		}
	}
}
