package transfer

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDirBatches has more names in a directory than are in memory at a time.
func TestDirBatches(t *testing.T) {
	dir := t.TempDir()
	for i := range dirBatch + 10 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seen := make(map[string]bool)
	if err := eachIn(dir, func(de fs.DirEntry) error { seen[de.Name()] = true; return nil }); err != nil || len(seen) != dirBatch+10 {
		t.Errorf("%d names, %v", len(seen), err)
	}
}

// sown makes a tree of files, each of which holds its own name, and returns where.
func sown(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		put(t, filepath.Join(dir, f), []byte(f))
	}
	return dir
}

func TestExclude(t *testing.T) {
	src := sown(t, "top/a.o", "top/a.c", "top/d/b.o", "top/d/b.c", "top/cache/x", "top/d/cache/y", "top/d/e/f", "x.o", "x.c")
	named := []string{filepath.Join(src, "top"), filepath.Join(src, "x.o"), filepath.Join(src, "x.c")}
	for _, c := range []struct {
		exclude []string
		want    string
	}{
		{nil, "top top/a.c top/a.o top/cache top/cache/x top/d top/d/b.c top/d/b.o top/d/cache top/d/cache/y top/d/e top/d/e/f x.c x.o"},
		{[]string{"*.o"}, "top top/a.c top/cache top/cache/x top/d top/d/b.c top/d/cache top/d/cache/y top/d/e top/d/e/f x.c"},
		{[]string{"cache/", "/d/e"}, "top top/a.c top/a.o top/d top/d/b.c top/d/b.o x.c x.o"},
		{[]string{"d/**"}, "top top/a.c top/a.o top/cache top/cache/x top/d x.c x.o"},
		{[]string{"top", "x.o"}, "x.c"},
		{[]string{"*"}, ""},
	} {
		dst := t.TempDir()
		o := move(t, newWire(1<<16), SendOptions{Paths: named, Exclude: c.exclude}, RecvOptions{Dir: dst})
		o.well(t)
		if got := strings.Join(names(t, dst), " "); got != c.want {
			t.Errorf("%q: %s", c.exclude, got)
		}
		if len(o.messages) > 0 {
			t.Errorf("%q: %q", c.exclude, o.messages)
		}
	}
}

func TestListed(t *testing.T) {
	src := sown(t, "a/b/c", "a/b/d", "a/b-", "a/b.x/y", "a/z", "top", "e/f/g")
	if err := os.Mkdir(filepath.Join(src, "void"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("e", filepath.Join(src, "way")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(src, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		listed []string
		more   SendOptions
		want   string
	}{
		{"none", []string{}, SendOptions{}, ""},
		{"one", []string{"top"}, SendOptions{}, "top"},
		{"paths are kept", []string{"e/f/g", "a/b/c", "./a//z"}, SendOptions{}, "a a/b a/b/c a/z e e/f e/f/g"},
		{"slashes in front", []string{"/a/z", "//top"}, SendOptions{}, "a a/z top"},
		{"twice", []string{"top", "a/z", "./top", "a/z"}, SendOptions{}, "a a/z top"},
		{"directory", []string{"a/b/c", "a/b/", "void"}, SendOptions{}, "a a/b a/b/c a/b/d void"},
		{"among alike", []string{"a/b-", "a/b/c", "a/b.x/y", "a/b"}, SendOptions{}, "a a/b a/b- a/b.x a/b.x/y a/b/c a/b/d"},
		{"everything", []string{"top", ".", "a/z"}, SendOptions{}, "a a/b a/b- a/b.x a/b.x/y a/b/c a/b/d a/z e e/f e/f/g top void"},
		{"a link", []string{"way", "top"}, SendOptions{}, "top"},
		{"through a link", []string{"way/f/g"}, SendOptions{}, "way way/f way/f/g"},
		{"left out", []string{"a/b/c", "a/z", "top"}, SendOptions{Exclude: []string{"a/b/", "top"}}, "a a/z"},
		{"left out below", []string{"a"}, SendOptions{Exclude: []string{"a/b*"}}, "a a/z"},
	} {
		dst := t.TempDir()
		so := c.more
		so.Paths, so.Listed, so.Preserve = []string{src}, c.listed, true
		o := move(t, newWire(1<<16), so, RecvOptions{Dir: dst, Preserve: true})
		o.well(t)
		if got := strings.Join(names(t, dst), " "); got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
		for _, f := range o.gotFiles {
			b, err := os.ReadFile(filepath.Join(dst, f.Name))
			if want := strings.Replace(f.Name, "way", "e", 1); err != nil || string(b) != want {
				t.Errorf("%s: %s has %q, %v", c.name, f.Name, b, err)
			}
		}
		if info, err := os.Stat(filepath.Join(dst, "a")); err == nil && info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v", c.name, info.Mode())
		}
	}
}

func TestListedRefused(t *testing.T) {
	src := sown(t, "a", "bad\nname")
	for name, c := range map[string]struct {
		paths, listed []string
		kind          Kind
	}{
		"missing":       {[]string{src}, []string{"a", "b"}, KindLocalIO},
		"upwards":       {[]string{src}, []string{"x/../../a"}, KindUsage},
		"empty":         {[]string{src}, []string{""}, KindUsage},
		"absolute":      {nil, []string{"/etc/passwd"}, KindUsage},
		"bad name":      {[]string{src}, []string{"bad\nname"}, KindPolicy},
		"two bases":     {[]string{src, src}, []string{"a"}, KindUsage},
		"file as base":  {[]string{filepath.Join(src, "a")}, []string{"a"}, KindUsage},
		"no base":       {[]string{filepath.Join(src, "b")}, []string{"a"}, KindLocalIO},
		"stdin as base": {[]string{"-"}, []string{"a"}, KindUsage},
		"bad pattern":   {[]string{src}, []string{"a"}, KindNone},
	} {
		o := SendOptions{Paths: c.paths, Listed: c.listed}
		if name == "bad pattern" {
			o.Exclude, c.kind = []string{"["}, KindUsage
		}
		wantKind(t, CheckSources(o), c.kind)
	}
}

// TestPlan: what Plan tells of is what Send sends.
func TestPlan(t *testing.T) {
	src := sown(t, "top/a", "top/d/b", "top/d/c.o", "x")
	if err := mkfifo(filepath.Join(src, "top", "fifo")); err != nil {
		t.Fatal(err)
	}
	so := SendOptions{Paths: []string{filepath.Join(src, "top"), filepath.Join(src, "x")}, Exclude: []string{"*.o"}}
	o := move(t, newWire(1<<16), so, RecvOptions{Dir: t.TempDir()})
	o.well(t)
	var files []FileDone
	var lines []string
	so.OnFile = func(f FileDone) { files = append(files, f) }
	so.OnMessage = func(line string) { lines = append(lines, line) }
	res, err := Plan(so, nil)
	if err != nil || res.Files != o.got.Files || res.Bytes != o.got.Bytes || !slices.Equal(lines, o.messages) {
		t.Errorf("%+v, %q, %v", res, lines, err)
	}
	for i := range o.gotFiles {
		o.gotFiles[i].Digest = ""
	}
	if !slices.Equal(files, o.gotFiles) {
		t.Errorf("%v, sent were %v", files, o.gotFiles)
	}
	if _, err := Plan(SendOptions{Paths: []string{filepath.Join(src, "none")}}, nil); KindOf(err) != KindLocalIO {
		t.Error(err)
	}
	stop := make(chan struct{})
	close(stop)
	if _, err := Plan(so, stop); err == nil {
		t.Error("it cannot be stopped")
	}
}
