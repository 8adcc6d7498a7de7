package transfer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func withEarly(h *helloBody) {
	h.Features = append([]string{featureSkip, featureEarly}, oldFeatures...)
}

// TestEarlyQuestion: the hello asks about a file that is sent alone, and nothing else does; a receiver that does not know of
// that gets a question of its own.
func TestEarlyQuestion(t *testing.T) {
	const size = sooner + 1 // as one asks about
	path, lone := oneFile(t, make([]byte, size))
	lone.Preserve = true
	tree := lone
	tree.Paths = []string{filepath.Dir(path)}
	for name, c := range map[string]struct {
		so      SendOptions
		says    func(*helloBody)
		inHello bool
		framed  bool
	}{
		"lone":                   {lone, withEarly, true, false},
		"lone, to an older one":  {lone, withSkip, true, true},
		"lone, to a much older":  {lone, nil, true, false},
		"not alone":              {tree, withEarly, false, true},
		"by checksum, and small": {SendOptions{Paths: []string{smallFile(t)}, Checksum: true}, withEarly, true, false},
		"small":                  {SendOptions{Paths: []string{smallFile(t)}}, withEarly, false, false},
		"listed":                 {SendOptions{Paths: []string{filepath.Dir(path)}, Listed: []string{"f"}}, withEarly, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			err := against(t, sending(c.so), func(p *script) {
				hello := p.greet(roleRecv, c.says)
				if (hello.Ask != nil) != c.inHello {
					t.Errorf("the hello asks %+v", hello.Ask)
				}
				if c.inHello && !c.framed && c.says != nil {
					if q := hello.Ask; q.Number != 1 || q.Path != "f" || q.Size == size == c.so.Checksum || q.Check != c.so.Checksum {
						t.Errorf("%+v", q)
					}
					p.send(frameSkip, &skipBody{First: 1, Count: 1})
				}
				if got := slices.Contains(p.upToFile(), frameAsk); got != c.framed {
					t.Errorf("asked in a frame: %v", got)
				}
				p.end.Close()
			})
			if err == nil {
				t.Error("it ended well without a receipt")
			}
		})
	}
}

func smallFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	put(t, path, []byte("hello"))
	return path
}

// upToFile is the kinds of the frames that come until the entry of a file, or an unanswered question, does.
func (p *script) upToFile() (kinds []frameType) {
	p.t.Helper()
	for {
		h, body, err := p.fr.next()
		if err != nil {
			p.t.Errorf("script: %v", err)
			return kinds
		}
		kinds = append(kinds, h.kind)
		if h.kind == frameAsk {
			return kinds
		}
		var e entryBody
		if h.kind == frameEntry && (parseBody(h.kind, body, &e) != nil || e.Kind == entryFile) {
			return kinds
		}
	}
}

// TestEarlyAnswer: a receiver answers the question in the hello without another word of the sender's, if that was agreed on,
// and holds the name in it to the same rules.
func TestEarlyAnswer(t *testing.T) {
	const mtime = int64(1e9)
	dir := t.TempDir()
	put(t, filepath.Join(dir, "f"), []byte("hello"))
	if err := os.Chtimes(filepath.Join(dir, "f"), time.Time{}, time.Unix(mtime, 0)); err != nil {
		t.Fatal(err)
	}
	ask := func(path string, says func(*helloBody)) func(*helloBody) {
		return func(h *helloBody) {
			says(h)
			h.Ask = &askBody{Number: 1, Path: path, Size: 5, Mtime: ptr(mtime)}
		}
	}
	for path, want := range map[string]uint8{"f": answerKeep, "g": answerSend} {
		err := against(t, receiving(RecvOptions{Dir: dir}), func(p *script) {
			p.greet(roleSend, ask(path, withEarly))
			var a skipBody
			if p.expect(frameSkip, &a); a.First != 1 || a.Count != 1 || a.Answer != want {
				t.Errorf("%s: %+v", path, a)
			}
			p.end.Close()
		})
		wantKind(t, err, KindLost)
	}
	for _, path := range []string{"a/../b", "/etc/passwd", strings.Repeat("a/", maxDepth+1) + "a"} {
		err := against(t, receiving(RecvOptions{Dir: dir}), func(p *script) {
			p.greet(roleSend, ask(path, withEarly))
			p.expectFail(KindPolicy)
		})
		wantKind(t, err, KindPolicy)
	}
	// Not agreed on, it is as if it had not been asked.
	err := against(t, receiving(RecvOptions{Dir: dir}), func(p *script) {
		p.greet(roleSend, ask("g", withSkip))
		offerMany(p)
		p.answered(&askBody{Number: 1, Path: "f", Size: 5, Mtime: ptr(mtime)}, answerKeep)
		p.end.Close()
	})
	wantKind(t, err, KindLost)
	err = against(t, receiving(RecvOptions{Dir: dir}), func(p *script) {
		p.greet(roleSend, ask("f", withEarly))
		offerMany(p)
		p.send(frameAsk, &askBody{Number: 1, Path: "f", Size: 5, Mtime: ptr(mtime)})
		p.expectFail(KindIntegrity) // it was asked before
	})
	wantKind(t, err, KindIntegrity)
}

// TestEarlyQuestionCut cuts the first connection after every third byte of either greeting and of the answer, so that one
// end or both do not know what the other has heard.
func TestEarlyQuestionCut(t *testing.T) {
	content := randomBytes(1, sooner+1)
	_, so := oneFile(t, content)
	so.Preserve = true
	whole := newWire(1 << 16)
	o := move(t, whole, so, RecvOptions{Dir: t.TempDir(), Preserve: true})
	o.well(t)
	cuts := 0
	for at := int64(0); at < min(whole.a.out.moved, 500)+min(whole.b.out.moved, 500); at += 3 {
		for _, senderDials := range []bool{true, false} {
			dst := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				o, p := reconnecting(t, senderDials, so, RecvOptions{Dir: dst, Preserve: true}, func(n int, w *wire) {
					switch there := min(whole.a.out.moved, 500); {
					case n > 0:
					case at < there:
						w.a.out.cutAt = at
					default:
						w.b.out.cutAt = at - there
					}
				})
				if o.sendErr != nil || o.gotErr != nil {
					t.Fatalf("%d, sender dials %v: %d connections; send: %v, recv: %v", at, senderDials, p.made, o.sendErr, o.gotErr)
				}
				o.well(t)
				cuts += p.made - 1
			})
			is(t, dst, "f", content)
			if t.Failed() {
				t.Fatal(fmt.Sprint(at, senderDials))
			}
		}
	}
	if cuts < 170 {
		t.Errorf("only %d connections were cut", cuts)
	}
}
