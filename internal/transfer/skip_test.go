package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// again moves what was moved before once more, and counts the bytes from the sender.
func again(t *testing.T, so SendOptions, ro RecvOptions) (outcome, int64) {
	t.Helper()
	w := newWire(1 << 16)
	o := move(t, w, so, ro)
	return o, w.a.out.moved
}

func TestSecondRun(t *testing.T) {
	src := filepath.Join(t.TempDir(), "top")
	for i := range 300 {
		put(t, filepath.Join(src, fmt.Sprint(i%7), fmt.Sprint(i)), randomBytes(uint64(i), 5000))
	}
	put(t, filepath.Join(src, "large"), randomBytes(1, 5*minChunk+3))
	put(t, filepath.Join(src, "empty"), nil)
	const size = 300*5000 + 5*minChunk + 3
	for _, d := range []Digest{BLAKE3, SHA256} {
		for _, overwrite := range []bool{false, true} {
			dst := t.TempDir()
			so := SendOptions{Paths: []string{src}, Preserve: true, Digest: d}
			ro := RecvOptions{Dir: dst, Preserve: true, Overwrite: overwrite}
			first, _ := again(t, so, ro)
			first.well(t)
			if first.got.Kept != 0 || first.got.Resumed != 0 {
				t.Errorf("the first: %+v", first.got)
			}
			before := tree(t, dst)

			// By size and time.
			o, sent := again(t, so, ro)
			o.well(t)
			if o.sent.Kept != 302 || o.got.Kept != 302 || o.got.Resumed != size || o.sent.Bytes != size || o.got.Digest != "" || sent > 302*200 {
				t.Errorf("%d bytes sent, %+v", sent, o.got)
			}

			// By digest.
			check := so
			check.Checksum = true
			o, sent = again(t, check, ro)
			o.well(t)
			if o.got.Kept != 302 || o.got.Digest != first.got.Digest || sent > 302*300 {
				t.Errorf("with checksums: %d bytes sent, %+v", sent, o.got)
			}
			checked := ro
			checked.Checksum = true
			o, _ = again(t, so, checked)
			o.well(t)
			if o.got.Kept != 302 || o.got.Digest != first.got.Digest {
				t.Errorf("with checksums there: %+v", o.got)
			}
			if fmt.Sprint(tree(t, dst)) != fmt.Sprint(before) {
				t.Error("something changed")
			}
		}
	}
}

// TestChangedOnly: of a tree only what is new or has changed is sent.
func TestChangedOnly(t *testing.T) {
	src := filepath.Join(t.TempDir(), "top")
	for i := range 20 {
		put(t, filepath.Join(src, "d", fmt.Sprint(i)), randomBytes(uint64(i), 5000))
	}
	dst := t.TempDir()
	so := SendOptions{Paths: []string{src}, Preserve: true}
	ro := RecvOptions{Dir: dst, Preserve: true, Overwrite: true}
	o, _ := again(t, so, ro)
	o.well(t)
	put(t, filepath.Join(src, "d", "3"), []byte("shorter"))
	put(t, filepath.Join(src, "d", "7"), randomBytes(99, 5000)) // the same size
	put(t, filepath.Join(src, "e", "new"), []byte("new"))
	if err := os.Remove(filepath.Join(dst, "top", "d", "5")); err != nil {
		t.Fatal(err)
	}
	o, _ = again(t, so, ro)
	o.well(t)
	// The times of directories too, since they may be replaced.
	if o.got.Files != 21 || o.got.Kept != 17 || fmt.Sprint(tree(t, filepath.Dir(src))) != fmt.Sprint(tree(t, dst)) {
		t.Errorf("%+v\n%v\n%v", o.got, tree(t, src), tree(t, dst))
	}
	for _, f := range o.gotFiles {
		sent := slices.Contains([]string{"top/d/3", "top/d/5", "top/d/7", "top/e/new"}, f.Name)
		if sent != (f.Digest != "") || sent != (f.Resumed == 0) {
			t.Errorf("%+v", f)
		}
	}

	// The same size and time, other bytes: only digests tell.
	path := filepath.Join(src, "d", "9")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	put(t, path, randomBytes(100, 5000))
	if err := os.Chtimes(path, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
	o, _ = again(t, so, ro)
	o.well(t)
	if o.got.Kept != 21 {
		t.Errorf("%+v", o.got)
	}
	so.Checksum = true
	o, _ = again(t, so, ro)
	o.well(t)
	if got, err := os.ReadFile(filepath.Join(dst, "top/d/9")); o.got.Kept != 20 || !bytes.Equal(got, randomBytes(100, 5000)) {
		t.Errorf("%+v, %v", o.got, err)
	}
}

// TestOtherFileThere: what is there and is another file is refused, or replaced where that was asked for, also if its size
// is the same; without times to compare nothing is taken for the same.
func TestOtherFileThere(t *testing.T) {
	_, so := oneFile(t, []byte("hello"))
	so.Preserve = true
	for _, content := range []string{"hullo", "longer", ""} {
		dst := t.TempDir()
		put(t, filepath.Join(dst, "f"), []byte(content))
		o := move(t, newWire(1<<16), so, RecvOptions{Dir: dst, Preserve: true})
		o.badly(t, KindPolicy, KindPolicy)
		if b, err := os.ReadFile(filepath.Join(dst, "f")); string(b) != content {
			t.Errorf("%q, %v", b, err)
		}
		o = move(t, newWire(1<<16), so, RecvOptions{Dir: dst, Overwrite: true})
		o.well(t)
		if b, err := os.ReadFile(filepath.Join(dst, "f")); string(b) != "hello" || o.got.Kept != 0 {
			t.Errorf("%q, %v", b, err)
		}
	}
	so.Preserve = false
	dst := t.TempDir()
	ro := RecvOptions{File: filepath.Join(dst, "other"), Overwrite: true, Preserve: true}
	for range 2 {
		o := move(t, newWire(1<<16), so, ro)
		o.well(t)
		if o.got.Kept != 0 {
			t.Errorf("%+v", o.got)
		}
	}
	// To one name.
	_, so = oneFile(t, make([]byte, sooner+1))
	so.Preserve = true
	for i := range 2 {
		o := move(t, newWire(1<<16), so, ro)
		o.well(t)
		if o.got.Kept != i {
			t.Errorf("%+v", o.got)
		}
	}
}

// TestUnasked: a small file that is sent alone, without a question, is written only where it would be with one.
func TestUnasked(t *testing.T) {
	path, so := oneFile(t, []byte("hello"))
	so.Preserve = true
	sent, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		ro      RecvOptions
		mtime   time.Time
		content string
		written bool
	}{
		"the same bytes":                {RecvOptions{}, time.Unix(1e9, 0), "hello", false},
		"the same to overwrite":         {RecvOptions{Overwrite: true}, sent.ModTime(), "hello", false},
		"another time, overwritten":     {RecvOptions{Overwrite: true}, time.Unix(1e9, 0), "hello", true},
		"another time, by its checksum": {RecvOptions{Overwrite: true, Checksum: true}, time.Unix(1e9, 0), "hello", false},
		"other bytes":                   {RecvOptions{Overwrite: true}, sent.ModTime(), "hullo", true},
	} {
		c.ro.Dir, c.ro.Preserve = t.TempDir(), true
		there := filepath.Join(c.ro.Dir, "f")
		put(t, there, []byte(c.content))
		if err := os.Chtimes(there, time.Time{}, c.mtime); err != nil {
			t.Fatal(err)
		}
		before, err := os.Stat(there)
		if err != nil {
			t.Fatal(err)
		}
		o := move(t, newWire(1<<16), so, c.ro)
		o.well(t)
		after, err := os.Stat(there)
		if err != nil || os.SameFile(before, after) == c.written {
			t.Errorf("%s: %v, written: %v", name, err, !os.SameFile(before, after))
		}
		is(t, c.ro.Dir, "f", []byte("hello"))
	}
}

// TestOldEnds: with an end that does not ask, or does not answer, everything is sent.
func TestOldEnds(t *testing.T) {
	_, so := oneFile(t, []byte("hello"))
	so.Preserve = true
	err := against(t, sending(so), func(p *script) {
		p.greet(roleRecv, nil)
		p.expect(frameOffer, nil)
		h, _, err := p.fr.next()
		if err != nil || h.kind != frameEntry {
			t.Errorf("%v, %v", h.kind, err)
		}
		p.send(frameSkip, &skipBody{First: 1, Count: 1})
		p.expectFail(KindIntegrity)
	})
	wantKind(t, err, KindIntegrity)
	err = against(t, receiving(RecvOptions{Dir: t.TempDir()}), func(p *script) {
		p.greet(roleSend, nil)
		offerMany(p)
		p.send(frameAsk, &askBody{Number: 1, Path: "f", Size: 5})
		p.expectFail(KindIntegrity)
	})
	wantKind(t, err, KindIntegrity)
}

func withSkip(h *helloBody) { h.Features = append([]string{featureSkip}, oldFeatures...) }

// TestAnswers has receivers whose answers no sound one gives.
func TestAnswers(t *testing.T) {
	const size = sooner + 1 // as one asks about
	_, so := oneFile(t, make([]byte, size))
	so.Preserve = true
	for name, answers := range map[string][]skipBody{
		"too many":  {{First: 1, Count: 2}},
		"not asked": {{First: 2, Count: 1}},
		"twice":     {{First: 1, Count: 1}, {First: 1, Count: 1}},
		"unsound":   {{First: 1, Count: 1, Answer: answerCompare}},
	} {
		err := against(t, sending(so), func(p *script) {
			p.greet(roleRecv, withSkip)
			p.expect(frameAsk, nil)
			for _, a := range answers {
				p.send(frameSkip, &a)
			}
			p.expectFail(KindIntegrity)
		})
		if wantKind(t, err, KindIntegrity); t.Failed() {
			t.Fatal(name)
		}
	}
	// One that says it has the file and is believed: nothing is sent, and no digest is told.
	err := against(t, sending(so), func(p *script) {
		p.greet(roleRecv, withSkip)
		var ask askBody
		p.expect(frameAsk, &ask)
		if ask.Number != 1 || ask.Path != "f" || ask.Size != size || ask.Mtime == nil || ask.Check {
			t.Errorf("%+v", ask)
		}
		p.send(frameSkip, &skipBody{First: 1, Count: 1, Answer: answerKeep})
		var e entryBody
		p.expect(frameEntry, &e)
		if !e.Kept || e.Ask != 1 || e.Digest != nil {
			t.Errorf("%+v", e)
		}
		h, _, err := p.fr.next()
		if err != nil || h.kind != frameEnd {
			t.Errorf("%v, %v", h.kind, err)
		}
		p.send(frameReceipt, &receiptBody{UpTo: 1})
		p.send(frameDone, &doneBody{Files: 1, Bytes: size})
		p.expect(frameBye, nil)
	})
	if err != nil {
		t.Error(err)
	}
}

// TestQuestions has senders that ask, and claim, what no sound one does. What is not there is never taken for received.
func TestQuestions(t *testing.T) {
	mtime := int64(1e9)
	ask := func(n uint64, path string) *askBody { return &askBody{Number: n, Path: path, Size: 5, Mtime: &mtime} }
	kept := func(n uint64, name string, digest []byte) *entryBody {
		return &entryBody{ID: 1, Kind: entryFile, Name: name, Size: 5, Ask: n, Kept: true, Digest: digest}
	}
	other := blake3Of([]byte("other"))
	for name, c := range map[string]struct {
		kind Kind
		do   func(p *script, dir string)
	}{
		"number":     {KindIntegrity, func(p *script, _ string) { p.send(frameAsk, ask(2, "f")) }},
		"bad name":   {KindPolicy, func(p *script, _ string) { p.send(frameAsk, ask(1, "a/../b")) }},
		"empty name": {KindPolicy, func(p *script, _ string) { p.send(frameAsk, ask(1, "/etc/passwd")) }},
		"too deep":   {KindPolicy, func(p *script, _ string) { p.send(frameAsk, ask(1, strings.Repeat("a/", maxDepth+1)+"a")) }},
		"not asked":  {KindIntegrity, func(p *script, _ string) { p.send(frameEntry, kept(1, "f", nil)) }},
		"not there":  {KindIntegrity, func(p *script, _ string) { p.answered(ask(1, "g"), answerSend); p.send(frameEntry, kept(1, "g", nil)) }},
		"other file": {KindIntegrity, func(p *script, _ string) { p.answered(ask(1, "f"), answerKeep); p.send(frameEntry, kept(1, "g", nil)) }},
		"digest unasked": {KindIntegrity, func(p *script, _ string) {
			p.answered(ask(1, "f"), answerKeep)
			p.send(frameEntry, kept(1, "f", other[:]))
		}},
		"settled already": {KindIntegrity, func(p *script, _ string) {
			p.answered(ask(1, "g"), answerSend)
			p.send(frameEntry, &entryBody{ID: 1, Kind: entryFile, Name: "g", Size: 5, Ask: 1})
			p.data(1, 0, 0, []byte("hello"))
			p.fileEnd(1, []byte("hello"))
			p.send(frameEntry, &entryBody{ID: 2, Kind: entryFile, Name: "g", Size: 5, Ask: 1})
		}},
		"other digest": {KindIntegrity, func(p *script, _ string) {
			q := ask(1, "f")
			q.Check = true
			p.answered(q, answerCompare)
			p.send(frameEntry, kept(1, "f", other[:]))
		}},
		"no digest": {KindIntegrity, func(p *script, _ string) {
			q := ask(1, "f")
			q.Check = true
			p.answered(q, answerCompare)
			p.send(frameEntry, kept(1, "f", nil))
		}},
		"changed meanwhile": {KindIntegrity, func(p *script, dir string) {
			p.answered(ask(1, "f"), answerKeep)
			if err := os.WriteFile(filepath.Join(dir, "f"), []byte("other"), 0o600); err != nil {
				p.t.Error(err)
			}
			p.send(frameEntry, kept(1, "f", nil))
		}},
		"after the end": {KindIntegrity, func(p *script, _ string) { p.send(frameEnd, &endBody{}); p.send(frameAsk, ask(1, "f")) }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, filepath.Join(dir, "f"), []byte("hello"))
			if err := os.Chtimes(filepath.Join(dir, "f"), time.Time{}, time.Unix(mtime, 0)); err != nil {
				t.Fatal(err)
			}
			err := against(t, receiving(RecvOptions{Dir: dir}), func(p *script) {
				p.greet(roleSend, withSkip)
				offerMany(p)
				c.do(p, dir)
				p.expectFail(c.kind)
			})
			wantKind(t, err, c.kind)
		})
	}
}

// answered asks and waits for the answer.
func (p *script) answered(q *askBody, want uint8) {
	p.t.Helper()
	p.send(frameAsk, q)
	var a skipBody
	p.expect(frameSkip, &a)
	if a.First != q.Number || a.Count != 1 || a.Answer != want {
		p.t.Errorf("script: %+v", a)
	}
}

// TestQuestionsUnread: a sender that asks and asks, and reads no answer, makes nothing grow without bound.
func TestQuestionsUnread(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "f"), []byte("hello"))
	err := against(t, receiving(RecvOptions{Dir: dir}), func(p *script) {
		p.greet(roleSend, withSkip)
		offerMany(p)
		for i := range uint64(outstanding + 2) {
			p.send(frameAsk, &askBody{Number: i + 1, Path: "f", Size: 5, Check: i%2 == 0})
		}
		p.expectFail(KindIntegrity)
	})
	wantKind(t, err, KindIntegrity)

	o := newOutbox()
	stop := make(chan struct{})
	close(stop)
	n := 0
	for o.waitSkip(stop) {
		o.skip(skipBody{First: uint64(n + 1), Count: 1, Answer: uint8(n % 2)})
		n++
	}
	if n != maxSkips {
		t.Errorf("%d answers wait", n)
	}
	if _, _, err := o.collect(nil); err != nil || !o.waitSkip(stop) {
		t.Errorf("no room after they went: %v", err)
	}
}

// TestSecondRunNearlyFull: what is there already needs no room.
func TestSecondRunNearlyFull(t *testing.T) {
	src := filepath.Join(t.TempDir(), "top")
	for i := range 10 {
		put(t, filepath.Join(src, fmt.Sprint(i)), randomBytes(uint64(i), 5000))
	}
	dst := t.TempDir()
	so, ro := SendOptions{Paths: []string{src}, Preserve: true}, RecvOptions{Dir: dst, Preserve: true}
	o, _ := again(t, so, ro)
	o.well(t)
	put(t, filepath.Join(src, "new"), randomBytes(1, 5000))
	space := func(n int64) func(string) (store, error) {
		return func(dir string) (store, error) {
			st, err := openStore(dir)
			return &roomy{st, n}, err
		}
	}
	o = moveWith(t, newWire(1<<16), so, ro, space(4999))
	o.badly(t, KindRemoteIO, KindLocalIO)
	if !errors.Is(o.gotErr, syscall.ENOSPC) {
		t.Error(o.gotErr)
	}
	o = moveWith(t, newWire(1<<16), so, ro, space(5000))
	o.well(t)
}

// roomy has so many bytes left.
type roomy struct {
	store
	left int64
}

func (r *roomy) free() (int64, bool) { return r.left, true }
