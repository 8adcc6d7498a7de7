package transfer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLinkFault(t *testing.T) {
	for _, c := range []struct {
		dir, target string
		ok          bool
	}{
		{"", "a", true},
		{"", "a/b", true},
		{"", "./a", true},
		{"", "../a", false},
		{"top", "a", true},
		{"top", "..", false},
		{"top", "../a", false},
		{"top/d", "../a", true},
		{"top/d", "..", true},
		{"top/d", "../../a", false},
		{"top/d/e", "../../a/b", true},
		{"top/d/e", "../../../a", false},
		{"top/d", "a/../b", false},
		{"top/d", "./../a", false},
		{"top/d", "../a/../../../b", false},
		{"top", "/etc/passwd", false},
		{"top", "", false},
		{"top", "a//b", false},
		{"top", "a/", false},
		{"top", "a\x1b", false},
		{"top", "a\u202eb", false},
		{"top", "\xff", false},
		{"top", strings.Repeat("a/", maxPath/2) + "a", false},
		{"top", strings.Repeat("a", maxName+1), false},
		{"top", ".a.udtcp-part", false},
	} {
		if fault := linkFault(c.dir, c.target); (fault == "") != c.ok {
			t.Errorf("%q in %q: %q", c.target, c.dir, fault)
		}
	}
}

// linked makes a tree with links that may be kept and some that may not.
func linked(t *testing.T) string {
	t.Helper()
	top := filepath.Join(sown(t, "top/a", "top/d/b"), "top")
	for name, target := range map[string]string{
		"to-a": "a", "to-d": "d", "d/up": "../a", "d/top": "..", "dangling": "nothing/there", "loop": "loop",
		"out": "../secret", "d/out": "../../secret", "abs": "/etc/passwd",
	} {
		if err := os.Symlink(target, filepath.Join(top, name)); err != nil {
			t.Fatal(err)
		}
	}
	return top
}

func TestLinks(t *testing.T) {
	top, dst := linked(t), t.TempDir()
	so, ro := SendOptions{Paths: []string{top}, Links: true}, RecvOptions{Dir: dst, Links: true}
	for range 2 { // the second time they are there
		o := move(t, newWire(1<<16), so, ro)
		o.well(t)
		for name, want := range map[string]string{
			"to-a": "a", "to-d": "d", "d/up": "../a", "d/top": "..", "dangling": "nothing/there", "loop": "loop",
			"out": "", "d/out": "", "abs": "",
		} {
			if got, _ := os.Readlink(filepath.Join(dst, "top", name)); got != want {
				t.Errorf("%s leads to %q, want %q", name, got, want)
			}
		}
		if len(o.messages) != 3 || o.got.Files != 2 {
			t.Errorf("%q, %+v", o.messages, o.got)
		}
		so.Preserve, ro.Preserve, ro.Overwrite = true, true, true
	}
}

// TestLinksNotWanted: one end alone cannot have them kept.
func TestLinksNotWanted(t *testing.T) {
	top := linked(t)
	for _, c := range []struct {
		send, recv bool
		says       string
	}{{false, true, "only with --links"}, {true, false, "the receiver does not keep"}, {false, false, "only with --links"}} {
		dst := t.TempDir()
		o := move(t, newWire(1<<16), SendOptions{Paths: []string{top}, Links: c.send}, RecvOptions{Dir: dst, Links: c.recv})
		o.well(t)
		if got := strings.Join(names(t, dst), " "); got != "top top/a top/d top/d/b" {
			t.Errorf("%+v: %s", c, got)
		}
		if len(o.messages) != 9 || !strings.Contains(o.messages[0], c.says) {
			t.Errorf("%+v: %q", c, o.messages)
		}
	}
}

func withLinks(h *helloBody) { h.Features = append([]string{featureLinks}, oldFeatures...) }

// TestHostileLinks sends links that lead out, directly or by way of others, and writes through links. Nothing outside
// the destination changes, nothing there can be reached through what was made.
func TestHostileLinks(t *testing.T) {
	dir := func(id uint64, name string) *entryBody { return &entryBody{ID: id, Kind: entryDir, Name: name} }
	link := func(id uint64, name, target string) *linkBody { return &linkBody{ID: id, Name: name, Target: target} }
	for name, c := range map[string]struct {
		kind Kind
		do   func(p *script)
	}{
		"upwards":    {KindPolicy, func(p *script) { p.send(frameEntry, dir(1, "top")); p.send(frameLink, link(2, "x", "../outside")) }},
		"absolute":   {KindPolicy, func(p *script) { p.send(frameLink, link(1, "x", "/etc")) }},
		"at the top": {KindPolicy, func(p *script) { p.send(frameLink, link(1, "x", "..")) }},
		"bad name":   {KindPolicy, func(p *script) { p.send(frameLink, link(1, "..", "a")) }},
		"behind a link": {KindPolicy, func(p *script) {
			p.send(frameEntry, dir(1, "top"))
			p.send(frameLink, link(2, "here", "."))
			p.send(frameLink, link(3, "x", "here/../../outside"))
		}},
		"through one that was there": {KindPolicy, func(p *script) {
			p.send(frameEntry, dir(1, "top"))
			p.send(frameLink, link(2, "x", "old/keep"))
		}},
		"directory in a link's place": {KindPolicy, func(p *script) {
			p.send(frameEntry, dir(1, "top"))
			p.send(frameLink, link(2, "d", "e"))
			p.receiptFor(2)
			p.send(frameEntry, dir(3, "e"))
			p.send(frameDirEnd, &dirEndBody{ID: 4})
			p.send(frameEntry, dir(5, "d"))
		}},
		"link in a directory's place": {KindPolicy, func(p *script) {
			p.send(frameEntry, dir(1, "top"))
			p.send(frameEntry, dir(2, "d"))
			p.send(frameDirEnd, &dirEndBody{ID: 3})
			p.send(frameLink, link(4, "d", "."))
		}},
		"number": {KindIntegrity, func(p *script) { p.send(frameLink, link(2, "x", "a")) }},
		"in a file": {KindIntegrity, func(p *script) {
			p.send(frameEntry, &entryBody{ID: 1, Kind: entryFile, Name: "f", Size: 5})
			p.send(frameLink, link(2, "x", "a"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			up := t.TempDir()
			dst := filepath.Join(up, "dst")
			put(t, filepath.Join(up, "outside", "keep"), []byte("x"))
			put(t, filepath.Join(dst, "top", "keep"), []byte("x"))
			if err := os.Symlink("../../outside", filepath.Join(dst, "top", "old")); err != nil {
				t.Fatal(err)
			}
			before := tree(t, filepath.Join(up, "outside"))
			err := against(t, receiving(RecvOptions{Dir: dst, Links: true, Overwrite: true}), func(p *script) {
				p.greet(roleSend, withLinks)
				offerMany(p)
				c.do(p)
				p.expectFail(c.kind)
			})
			wantKind(t, err, c.kind)
			if fmt.Sprint(tree(t, filepath.Join(up, "outside"))) != fmt.Sprint(before) {
				t.Error("something changed outside")
			}
			if _, err := os.Lstat(filepath.Join(dst, "top", "x")); err == nil {
				t.Error("the link was made")
			}
		})
	}
	// And to a receiver that keeps none.
	err := against(t, receiving(RecvOptions{Dir: t.TempDir()}), func(p *script) {
		p.greet(roleSend, withLinks)
		offerMany(p)
		p.send(frameLink, &linkBody{ID: 1, Name: "x", Target: "a"})
		p.expectFail(KindIntegrity)
	})
	wantKind(t, err, KindIntegrity)
}

// receiptFor waits until entries up to a number are complete.
func (p *script) receiptFor(id uint64) {
	p.t.Helper()
	var b receiptBody
	for b.UpTo < id && !p.t.Failed() {
		p.expect(frameReceipt, &b)
	}
}

// TestLinkInPlaceOf: what stands in a link's place is treated like what stands in a file's.
func TestLinkInPlaceOf(t *testing.T) {
	src := sown(t, "top/a")
	if err := os.Symlink("a", filepath.Join(src, "top", "l")); err != nil {
		t.Fatal(err)
	}
	so := SendOptions{Paths: []string{filepath.Join(src, "top")}, Links: true, Preserve: true}
	for name, c := range map[string]struct {
		make      func(path string) error
		overwrite bool
		kind      Kind
	}{
		"file":                  {func(p string) error { return os.WriteFile(p, []byte("old"), 0o600) }, false, KindPolicy},
		"file, overwrite":       {func(p string) error { return os.WriteFile(p, []byte("old"), 0o600) }, true, KindNone},
		"other link":            {func(p string) error { return os.Symlink("b", p) }, false, KindPolicy},
		"other link, overwrite": {func(p string) error { return os.Symlink("/etc", p) }, true, KindNone},
		"the same link":         {func(p string) error { return os.Symlink("a", p) }, false, KindNone},
		"directory":             {func(p string) error { return os.Mkdir(p, 0o700) }, true, KindPolicy},
	} {
		dst := t.TempDir()
		if err := os.Mkdir(filepath.Join(dst, "top"), 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dst, "top", "l")
		if err := c.make(path); err != nil {
			t.Fatal(err)
		}
		before, _ := os.Lstat(path)
		o := move(t, newWire(1<<16), so, RecvOptions{Dir: dst, Links: true, Overwrite: c.overwrite})
		if c.kind != KindNone {
			o.badly(t, c.kind, c.kind)
			if after, err := os.Lstat(path); err != nil || after.Mode() != before.Mode() {
				t.Errorf("%s: %v, %v", name, after, err)
			}
			continue
		}
		o.well(t)
		if got, err := os.Readlink(path); got != "a" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		for _, n := range names(t, dst) {
			if strings.HasSuffix(n, partSuffix) {
				t.Errorf("%s: left behind: %s", name, n)
			}
		}
	}
}
