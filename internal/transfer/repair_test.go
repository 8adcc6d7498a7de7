package transfer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// damage flips a bit in the first payload byte of each data frame that pick chooses, as the bytes pass.
type damage struct {
	pick func(p place, repair bool) bool
	head []byte // of the frame that is passing: up to the first byte of its payload
	skip int    // bytes to pass over: the greeting's prelude, the rest of a frame
	hits int
}

// on sets the damage up for what the sender writes.
func (d *damage) on(w *wire) {
	d.skip = preludeLen
	w.a.out.alter = func(_ int64, b []byte) {
		for len(b) > 0 {
			if n := min(d.skip, len(b)); n > 0 {
				d.skip -= n
				b = b[n:]
				continue
			}
			d.head = append(d.head, b[0])
			b[0] ^= d.look()
			b = b[1:]
		}
	}
}

// look tells how to change the last byte of head.
func (d *damage) look() byte {
	if len(d.head) < headerLen {
		return 0
	}
	h, err := parseHeader(d.head, maxChunk)
	if err != nil {
		return 0
	}
	if h.kind != frameData {
		d.skip, d.head = h.length, d.head[:0]
		return 0
	}
	if len(d.head) <= headRoom {
		return 0
	}
	p, err := parsePlace(d.head[headerLen:])
	d.skip, d.head = h.length-dataHead-1, d.head[:0]
	if err != nil || !d.pick(p, h.flags&flagRepair != 0) {
		return 0
	}
	d.hits++
	return 0x10
}

// TestBadChunks: chunks that arrive damaged are asked for again, and everything still comes out right.
func TestBadChunks(t *testing.T) {
	src := t.TempDir()
	content := randomBytes(1, 6*minChunk+100)
	put(t, filepath.Join(src, "large"), content)
	put(t, filepath.Join(src, "top", "a"), []byte("small"))
	put(t, filepath.Join(src, "top", "b"), randomBytes(2, 3*minChunk))
	put(t, filepath.Join(src, "top", "c"), randomBytes(3, 2*minChunk))
	put(t, filepath.Join(src, "top", "d"), []byte("also small"))
	large, top := SendOptions{Paths: []string{filepath.Join(src, "large")}}, SendOptions{Paths: []string{filepath.Join(src, "top")}}
	type pick = func(p place, repair bool) bool
	picks := map[string]func() pick{
		"first":  func() pick { return func(p place, repair bool) bool { return p.offset == 0 && !repair } },
		"second": func() pick { return func(p place, repair bool) bool { return p.offset == minChunk && !repair } },
		"all":    func() pick { return func(_ place, repair bool) bool { return !repair } },
		"thrice": func() pick {
			n := 0
			return func(place, bool) bool { n++; return n <= 3 }
		},
		"every other": func() pick {
			n, hits := 0, make(map[spot]int)
			return func(p place, _ bool) bool {
				n++
				k := spot{p.id, p.offset}
				if n%2 == 0 || hits[k] == maxTries-1 {
					return false
				}
				hits[k]++
				return true
			}
		},
	}
	for name, pick := range picks {
		for _, digest := range []Digest{BLAKE3, SHA256} {
			for _, kind := range []string{"file", "tree", "pipe", "to pipe", "pipe to pipe"} {
				t.Run(name+"/"+string(digest)+"/"+kind, func(t *testing.T) {
					dst := t.TempDir()
					w := newWire(1 << 18)
					d := &damage{pick: pick()}
					d.on(w)
					so, ro := large, RecvOptions{File: filepath.Join(dst, "large"), Digest: digest}
					var out bytes.Buffer
					if kind == "tree" {
						so, ro.File, ro.Dir = top, "", dst
					}
					if kind == "pipe" || kind == "pipe to pipe" {
						so = SendOptions{Paths: []string{"-"}, Stdin: bytes.NewReader(content)}
					}
					if kind == "to pipe" || kind == "pipe to pipe" {
						ro.File, ro.Stdout = "", &out
					}
					o := move(t, w, so, ro)
					o.well(t)
					if d.hits == 0 && name != "second" {
						t.Error("nothing was damaged")
					}
					switch kind {
					case "tree":
						rightOrAbsent(t, src, dst)
						return
					case "file", "pipe":
						b, err := os.ReadFile(filepath.Join(dst, "large"))
						if err != nil {
							t.Fatal(err)
						}
						out.Write(b)
					}
					if !bytes.Equal(out.Bytes(), content) {
						t.Error("other bytes")
					}
					want := blake3Of(content)
					if digest == SHA256 {
						want = sha256.Sum256(content)
					}
					if o.got.Digest != hex.EncodeToString(want[:]) {
						t.Error("other digest")
					}
				})
			}
		}
	}
}

// TestHopelessChunk: a chunk that never arrives well ends the transfer at both ends.
func TestHopelessChunk(t *testing.T) {
	src := t.TempDir()
	for name, size := range map[string]int{"small": 10, "large": 3 * minChunk} {
		dst := t.TempDir()
		put(t, filepath.Join(src, name), randomBytes(1, size))
		w := newWire(1 << 18)
		(&damage{pick: func(p place, _ bool) bool { return p.offset == 0 }}).on(w)
		o := move(t, w, SendOptions{Paths: []string{filepath.Join(src, name)}}, RecvOptions{Dir: dst})
		o.badly(t, KindIntegrity, KindIntegrity)
		if got := names(t, dst); len(got) != 0 {
			t.Errorf("left behind: %v", got)
		}
	}
}

// TestTooManyBadChunks: a receiver does not keep any number of files open for chunks to come.
func TestTooManyBadChunks(t *testing.T) {
	err := against(t, receiving(RecvOptions{Dir: t.TempDir()}), func(p *script) {
		p.greet(roleSend, nil)
		offerMany(p)
		for i := range uint64(maxRepairs + 1) {
			p.send(frameEntry, &entryBody{ID: i + 1, Kind: entryFile, Name: fmt.Sprint(i), Size: 1})
			p.dataSum(i+1, 0, 0, []byte("x"), [32]byte{})
			p.fileEnd(i+1, []byte("x"))
		}
		p.expectFail(KindIntegrity)
	})
	wantKind(t, err, KindIntegrity)
}

// TestRepairMustFit: what comes again must be what was announced.
func TestRepairMustFit(t *testing.T) {
	for name, again := range map[string]func(p *script){
		"other digest": func(p *script) { p.data(1, 0, flagRepair, []byte("other")) },
		"other length": func(p *script) { p.data(1, 0, flagRepair, []byte("hell")) },
		"other place":  func(p *script) { p.data(1, 1, flagRepair, []byte("hello")) },
		"other file":   func(p *script) { p.data(2, 0, flagRepair, []byte("hello")) },
		"twice": func(p *script) {
			p.data(1, 0, flagRepair, []byte("hello"))
			p.data(1, 0, flagRepair, []byte("hello"))
		},
	} {
		err := against(t, receiving(RecvOptions{Dir: t.TempDir()}), func(p *script) {
			p.greet(roleSend, nil)
			offerMany(p)
			p.send(frameEntry, &entryBody{ID: 1, Kind: entryFile, Name: "f", Size: 5})
			p.dataSum(1, 0, 0, []byte("hullo"), chunkSum([]byte("hello"), 0, false))
			p.fileEnd(1, []byte("hello"))
			var b againBody
			p.expect(frameAgain, &b)
			if b != (againBody{ID: 1, Length: 5}) {
				t.Errorf("asks for %+v", b)
			}
			again(p)
			p.expectFail(KindIntegrity)
		})
		if KindOf(err) != KindIntegrity {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestStreamHoldsNoMoreThanAgreed: behind a missing chunk a sender may send no more than the window.
func TestStreamHoldsNoMoreThanAgreed(t *testing.T) {
	var out bytes.Buffer
	err := against(t, receiving(RecvOptions{Stdout: &out}), func(p *script) {
		peer := p.greet(roleSend, nil)
		p.send(frameOffer, &offerBody{Shape: shapeStream, Files: 1, Bytes: -1})
		p.send(frameEntry, &entryBody{ID: 1, Kind: entryStream, Size: -1})
		p.dataSum(1, 0, flagPiece, []byte("x"), [32]byte{})
		for i := range peer.Window + 1 {
			p.data(1, i+1, flagPiece, []byte("x"))
		}
		p.expectFail(KindIntegrity)
	})
	wantKind(t, err, KindIntegrity)
	if out.Len() > 0 {
		t.Errorf("%d bytes came through behind a gap", out.Len())
	}
}
