package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"
)

// hostileNames are components that no sound sender has: each character that may not be, alone and inside a name, ways up
// and out, names that are ours, names too long.
func hostileNames() []string {
	set := map[string]bool{}
	for _, n := range badNames {
		set[n] = true
	}
	var chars []rune
	for r := range rune(0xa0) {
		if unicode.IsControl(r) {
			chars = append(chars, r)
		}
	}
	for _, rs := range [][2]rune{{0x200e, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfff9, 0xfffb}, {0xe0001, 0xe0001}, {0xe0020, 0xe0030}, {0x61c, 0x61c}, {0x180e, 0x180e}} {
		for r := rs[0]; r <= rs[1]; r++ {
			chars = append(chars, r)
		}
	}
	for _, r := range chars {
		set[string(r)], set["a"+string(r)+"b.txt"] = true, true
	}
	for _, up := range []string{"..", "../..", "../outside", "../outside/f", "./..", "a/..", "a/../..", "..//", "/..", "../", "./", "a/", "/a", "//a", "/outside/f"} {
		set[up], set[up+"/"], set["x/"+up] = true, true, true
	}
	for _, n := range []string{"a", "f", "..", "x y", "é", strings.Repeat("x", 100)} {
		set["."+n+partSuffix], set["."+n+journalSuffix] = true, true
	}
	for _, n := range []int{maxName + 1, 1000, 65_000} { // a frame of control has at most 64 KiB
		set[strings.Repeat("x", n)], set[strings.Repeat("é", n/2)] = true, true
	}
	for _, b := range []string{"\x80", "\xc0\xaf", "a\xff", "\xe2\x80", "\xf4\x90\x80\x80", "\xed\xb0\x80", "..\xc0\xaf"} {
		set[b] = true
	}
	return slices.Sorted(func(yield func(string) bool) {
		for n := range set {
			if !yield(n) {
				return
			}
		}
	})
}

// appendHostile is a frame whose body says a name that its encoder would not write.
func appendHostile(t *testing.T, kind frameType, name string, of func(name string) body) []byte {
	t.Helper()
	if utf8.ValidString(name) {
		f, err := appendFrame(nil, kind, of(name))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	stand := strings.Repeat("?", len(name))
	f, err := appendFrame(nil, kind, of(stand))
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.Replace(f[headerLen:], []byte(stand), []byte(name), 1)
	copy(f[headerLen:], b)
	putHeader(f, kind, 0, len(b), b)
	return f
}

// raw tells whether text has a character in it that a terminal or a log takes for more than a character.
func raw(text string) bool {
	return !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
	})
}

// TestHostileNames sends each hostile name as that of a file, of a directory and of a link, at the top and in a directory,
// and as where a link leads: each is refused, no other file than the destination is there afterwards, and what is said
// about it can be printed.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	list := hostileNames()
	if len(list) < 300 {
		t.Fatalf("%d names", len(list))
	}
	tried := 0
	for what, c := range map[string]struct {
		kind frameType
		of   func(id uint64, name string) body
		fine func(name string) bool // what may be said here
	}{
		"file":      {frameEntry, func(id uint64, n string) body { return &entryBody{ID: id, Kind: entryFile, Name: n} }, nil},
		"directory": {frameEntry, func(id uint64, n string) body { return &entryBody{ID: id, Kind: entryDir, Name: n} }, nil},
		"link":      {frameLink, func(id uint64, n string) body { return &linkBody{ID: id, Name: n, Target: "a"} }, nil},
		"target": {frameLink, func(id uint64, n string) body { return &linkBody{ID: id, Name: "l", Target: n} },
			func(n string) bool { return linkFault("top", n) == "" }},
	} {
		for i, name := range list {
			if c.fine != nil && c.fine(name) {
				continue
			}
			tried++
			up := t.TempDir()
			put(t, filepath.Join(up, "outside", "f"), []byte("keep"))
			dst := filepath.Join(up, "dst")
			inside := i%2 == 0 || what == "target"
			var said []string
			o := RecvOptions{Dir: dst, Overwrite: true, Links: true, OnMessage: func(l string) { said = append(said, l) }}
			err := against(t, receiving(o), func(p *script) {
				p.greet(roleSend, func(h *helloBody) { h.can(featureLinks) })
				offerMany(p)
				id := uint64(1)
				if inside {
					p.send(frameEntry, &entryBody{ID: id, Kind: entryDir, Name: "top"})
					id++
				}
				p.write(appendHostile(t, c.kind, name, func(n string) body { return c.of(id, n) }))
				var f failBody
				p.expect(frameFail, &f)
				if raw(f.Msg) || raw(f.Hint) { // its own name comes back as it is, and is quoted there
					t.Errorf("%s %q: the peer is told %+q", what, name, f)
				}
			})
			if k := KindOf(err); k != KindPolicy && (k != KindIntegrity || utf8.ValidString(name) && len(name) < maxPath) {
				t.Errorf("%s %q: %v, %v", what, name, k, err)
			}
			if err != nil && raw(err.Error()) || slices.ContainsFunc(said, raw) {
				t.Errorf("%s %q: raw characters in %q, %q", what, name, err, said)
			}
			want := []string{"dst", "dst/top", "outside", "outside/f"}
			if got := names(t, up); !slices.Equal(got, want) && !slices.Equal(got, append(want[:1:1], want[2:]...)) {
				t.Errorf("%s %q: there are %q", what, name, got)
			}
			is(t, filepath.Join(up, "outside"), "f", []byte("keep"))
		}
	}
	t.Logf("%d hostile names, %d transfers", len(list), tried)
}

// TestUpThroughOwnLink: links that come in a transfer are no way up and out for what comes after them.
func TestUpThroughOwnLink(t *testing.T) {
	dir := func(n string) body { return &entryBody{Kind: entryDir, Name: n} }
	file := func(n string) body { return &entryBody{Kind: entryFile, Name: n} }
	link := func(n, to string) body { return &linkBody{Name: n, Target: to} }
	for name, entries := range map[string][]body{
		"through a link to the top":     {dir("top"), dir("d"), link("l", ".."), link("m", "l/../outside")},
		"two links up":                  {dir("top"), dir("d"), link("l", ".."), link("m", "l/../../outside/f")},
		"link as a directory":           {dir("top"), dir("d"), &dirEndBody{}, link("l", "d"), dir("l"), file("f")},
		"link to a link to the outside": {dir("top"), link("l", "m"), link("m", "../outside"), dir("l"), file("f")},
		"dangling link as a directory":  {dir("top"), link("l", "nothing"), dir("l"), file("f")},
		"link behind a link that comes": {dir("top"), link("l", "m/.."), dir("m"), link("n", "../../outside")},
		"up from a shallow place":       {dir("top"), dir("a"), dir("b"), link("up", "../.."), &dirEndBody{}, link("s", "b/up/../outside")},
		"link at the top":               {link("l", "../outside"), dir("l"), file("f")},
		"link at the top, as itself":    {link("l", "."), link("m", "l/../outside")},
	} {
		for _, overwrite := range []bool{false, true} {
			up := t.TempDir()
			put(t, filepath.Join(up, "outside", "f"), []byte("keep"))
			dst := filepath.Join(up, "dst")
			err := against(t, receiving(RecvOptions{Dir: dst, Overwrite: overwrite, Links: true}), func(p *script) {
				p.greet(roleSend, func(h *helloBody) { h.can(featureLinks) })
				offerMany(p)
				for i, e := range entries {
					id := uint64(i + 1)
					switch b := e.(type) {
					case *entryBody:
						c := *b
						c.ID = id
						p.send(frameEntry, &c)
						if c.Kind == entryFile {
							p.fileEnd(id, nil)
						}
					case *linkBody:
						p.send(frameLink, &linkBody{ID: id, Name: b.Name, Target: b.Target})
					case *dirEndBody:
						p.send(frameDirEnd, &dirEndBody{ID: id})
					}
				}
				var f failBody
				p.expect(frameFail, &f)
			})
			if err == nil {
				t.Errorf("%s: it went well", name)
			}
			is(t, filepath.Join(up, "outside"), "f", []byte("keep"))
			for _, n := range names(t, up) {
				if n != "outside" && n != "outside/f" && n != "dst" && !strings.HasPrefix(n, "dst/") {
					t.Errorf("%s: there is %q", name, n)
				}
			}
		}
	}
}

// TestLinkRaces: somebody at the receiver puts a link that leads out in the place of a directory, and takes it away again,
// as fast as can be while files come. Nothing lands outside.
func TestLinkRaces(t *testing.T) {
	t.Parallel()
	src := filepath.Join(t.TempDir(), "top")
	for i := range 60 {
		put(t, filepath.Join(src, "d", fmt.Sprint(i)), []byte("hostile"))
	}
	swaps := 0
	for range 20 {
		up := t.TempDir()
		put(t, filepath.Join(up, "outside", "1"), []byte("keep"))
		dst := filepath.Join(up, "dst")
		d := filepath.Join(dst, "top", "d")
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		over, swapped := make(chan struct{}), 0
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				err := errors.Join(os.Rename(d, d+"-moved"), os.Symlink("../../outside", d), os.Remove(d), os.Rename(d+"-moved", d))
				if err == nil {
					swapped++
				}
				// The receiver may have made the directory anew, between two of these.
				if _, err := os.Lstat(d + "-moved"); err == nil {
					_ = os.RemoveAll(d)
					_ = os.Rename(d+"-moved", d)
				}
			}
		})
		// How it ends is the race's to decide.
		move(t, newWire(1<<16), SendOptions{Paths: []string{src}}, RecvOptions{Dir: dst, Overwrite: true})
		close(over)
		wg.Wait()
		swaps += swapped
		if got := names(t, filepath.Join(up, "outside")); !slices.Equal(got, []string{"1"}) {
			t.Errorf("outside there are %q", got)
		}
		is(t, filepath.Join(up, "outside"), "1", []byte("keep"))
	}
	if t.Logf("%d swaps", swaps); swaps == 0 {
		t.Error("nothing was swapped")
	}
}
