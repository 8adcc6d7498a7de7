package transfer

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sparseFile makes a file of a size with a few bytes here and there, and holes between.
func sparseFile(t *testing.T, path string, size int64, at ...int64) []byte {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	content := make([]byte, size)
	for _, offset := range at {
		n := copy(content[offset:], "some bytes")
		if _, err := f.WriteAt(content[offset:offset+int64(n)], offset); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return content
}

// holesAt is how much of a file is holes, bytes. Where the file system has none the test ends.
func holesAt(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return holesOf(info)
}

func TestSparse(t *testing.T) {
	src := filepath.Join(t.TempDir(), "top")
	contents := map[string][]byte{
		"middle":   sparseFile(t, filepath.Join(src, "middle"), 9*minChunk+5, 3*minChunk+1000),
		"ends":     sparseFile(t, filepath.Join(src, "ends"), 6*minChunk, 0, 6*minChunk-10),
		"nothing":  sparseFile(t, filepath.Join(src, "nothing"), maxHole+3*minChunk+7),
		"small":    sparseFile(t, filepath.Join(src, "small"), 700_000, 300_000),
		"fine":     sparseFile(t, filepath.Join(src, "fine"), 3*minChunk, 10_000, 400_000, minChunk+70_000, 2*minChunk),
		"no holes": randomBytes(1, 2*minChunk+1),
	}
	put(t, filepath.Join(src, "no holes"), contents["no holes"])
	if !tellsHoles || holesAt(t, filepath.Join(src, "nothing")) < maxHole {
		t.Skip("NOT TESTED: no holes in files here")
	}
	for _, d := range []Digest{BLAKE3, SHA256} {
		dst := t.TempDir()
		o, sent := again(t, SendOptions{Paths: []string{src}, Digest: d}, RecvOptions{Dir: dst})
		o.well(t)
		for name, content := range contents {
			path := filepath.Join(dst, "top", name)
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s: %d bytes, or others, %v", name, len(got), err)
			}
			if was, is := holesAt(t, filepath.Join(src, name)), holesAt(t, path); is < was {
				t.Errorf("%s: %d bytes of holes here, %d there", name, was, is)
			}
			sum := blake3Of(content)
			if d == SHA256 {
				sum = sha256Of(content)
			}
			if !slices.ContainsFunc(o.gotFiles, func(f FileDone) bool {
				return f.Name == "top/"+name && f.Size == int64(len(content)) && f.Digest == fmt.Sprintf("%x", sum)
			}) {
				t.Errorf("%s: not with the digest of the dense file: %v", name, o.gotFiles)
			}
		}
		// One chunk of middle, two of ends, three of fine, small, and what has no holes.
		if most := int64(1+2+3+1+3) * minChunk; sent > most {
			t.Errorf("%d bytes sent, more than %d", sent, most)
		}
	}
}

// TestSparseChunkAgain: a chunk that comes late, asked for again, among holes.
func TestSparseChunkAgain(t *testing.T) {
	src, dst := filepath.Join(t.TempDir(), "f"), t.TempDir()
	content := sparseFile(t, src, 9*minChunk, 0, minChunk+4096, 5*minChunk)
	w := newWire(1 << 16)
	damage := true
	w.a.out.alter = func(at int64, b []byte) {
		if at > minChunk && damage { // in the payload of the second
			damage = false
			b[len(b)-1] ^= 1
		}
	}
	o := move(t, w, SendOptions{Paths: []string{src}}, RecvOptions{Dir: dst})
	o.well(t)
	if got, err := os.ReadFile(filepath.Join(dst, "f")); err != nil || !bytes.Equal(got, content) || damage {
		t.Errorf("%d bytes, or others, damaged %v, %v", len(got), !damage, err)
	}
}

// TestSparseResumed: a transfer that was cut behind a hole goes on there, and the holes stay.
func TestSparseResumed(t *testing.T) {
	src := filepath.Join(t.TempDir(), "f")
	content := sparseFile(t, src, 12*minChunk+9, 0, 4*minChunk, 8*minChunk, 12*minChunk)
	if !tellsHoles || holesAt(t, src) < 8*minChunk {
		t.Skip("NOT TESTED: no holes in files here")
	}
	for _, digest := range []Digest{BLAKE3, SHA256} {
		for data := range int64(2) {
			dst := t.TempDir()
			so, ro := SendOptions{Paths: []string{src}}, RecvOptions{Dir: dst, Digest: digest, Verify: true}
			leftover(t, so, ro, (data+1)*(minChunk+100)+2000)
			o, wrote := rerun(t, so, ro)
			o.well(t)
			is(t, dst, "f", content)
			// All up to the chunk that was on its way: it is the next behind a hole.
			if kept := 4 * (data + 1) * minChunk; o.got.Resumed != kept || wrote > 3*minChunk {
				t.Errorf("cut in data %d: resumed %d, want %d; %d bytes sent", data+1, o.got.Resumed, kept, wrote)
			}
			if was, is := holesAt(t, src), holesAt(t, filepath.Join(dst, "f")); is < was {
				t.Errorf("%d bytes of holes here, %d there", was, is)
			}
		}
	}
}

// TestSparseNeedsLittleRoom: a hole needs no room at the receiver.
func TestSparseNeedsLittleRoom(t *testing.T) {
	src := filepath.Join(t.TempDir(), "f")
	sparseFile(t, src, 100*minChunk, 50*minChunk)
	if !tellsHoles || holesAt(t, src) < 99*minChunk {
		t.Skip("NOT TESTED: no holes in files here")
	}
	open := func(dir string) (store, error) {
		st, err := openStore(dir)
		return &roomy{st, minChunk}, err
	}
	o := moveWith(t, newWire(1<<16), SendOptions{Paths: []string{src}}, RecvOptions{Dir: t.TempDir()}, open)
	o.well(t)
}

// TestSparseOldEnds: an end that knows no holes gets, and sends, zeros.
func TestSparseOldEnds(t *testing.T) {
	src := filepath.Join(t.TempDir(), "f")
	sparseFile(t, src, 3*minChunk, minChunk)
	err := against(t, sending(SendOptions{Paths: []string{src}}), func(p *script) {
		p.greet(roleRecv, nil)
		var e entryBody
		p.expect(frameEntry, &e)
		if e.Holes != 0 {
			t.Errorf("%+v", e)
		}
		for range 3 {
			p.expect(frameData, nil)
		}
		p.send(frameFail, &failBody{Kind: uint8(KindPolicy), Msg: "enough"})
	})
	wantKind(t, err, KindPolicy)
}

func withSparse(h *helloBody) { h.Features = append([]string{featureSparse}, oldFeatures...) }

// TestHostileHoles sends runs of zeros that no sound sender has.
func TestHostileHoles(t *testing.T) {
	file := &entryBody{ID: 1, Kind: entryFile, Name: "f", Size: 3*minChunk + 5, Holes: 1}
	for name, holes := range map[string][]holeBody{
		"elsewhere":      {{ID: 1, Offset: minChunk, Length: minChunk}},
		"twice":          {{ID: 1, Offset: 0, Length: minChunk}, {ID: 1, Offset: 0, Length: minChunk}},
		"too long":       {{ID: 1, Offset: 0, Length: 4 * minChunk}},
		"no whole chunk": {{ID: 1, Offset: 0, Length: minChunk + 1}},
		"other file":     {{ID: 2, Offset: 0, Length: minChunk}},
		"nothing":        {{ID: 1, Offset: 0, Length: 0}},
		"huge":           {{ID: 1, Offset: 0, Length: 1 << 62}},
	} {
		dir := t.TempDir()
		err := against(t, receiving(RecvOptions{Dir: dir}), func(p *script) {
			p.greet(roleSend, withSparse)
			offerMany(p)
			p.send(frameEntry, file)
			for _, h := range holes {
				p.send(frameHole, &h)
			}
			p.expectFail(KindIntegrity)
		})
		if wantKind(t, err, KindIntegrity); t.Failed() || len(names(t, dir)) != 0 {
			t.Fatalf("%s: %v", name, names(t, dir))
		}
	}
	for name, do := range map[string]func(p *script){
		"small file": func(p *script) {
			p.greet(roleSend, withSparse)
			offerMany(p)
			p.send(frameEntry, &entryBody{ID: 1, Kind: entryFile, Name: "f", Size: 5})
			p.send(frameHole, &holeBody{ID: 1, Length: 5})
		},
		"not agreed": func(p *script) {
			p.greet(roleSend, nil)
			offerMany(p)
			p.send(frameEntry, file)
			p.send(frameHole, &holeBody{ID: 1, Length: minChunk})
		},
		"other bytes": func(p *script) {
			p.greet(roleSend, withSparse)
			offerMany(p)
			p.send(frameEntry, &entryBody{ID: 1, Kind: entryFile, Name: "f", Size: 2 * minChunk, Holes: 1})
			p.send(frameHole, &holeBody{ID: 1, Length: 2 * minChunk})
			p.fileEnd(1, randomBytes(1, 2*minChunk))
		},
	} {
		err := against(t, receiving(RecvOptions{Dir: t.TempDir()}), func(p *script) {
			do(p)
			p.expectFail(KindIntegrity)
		})
		if wantKind(t, err, KindIntegrity); t.Failed() {
			t.Fatal(name)
		}
	}
}

// Where the system does not tell of holes, chunks of zeros are taken for some.
func TestZerosRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	put(t, path, append(make([]byte, minChunk), randomBytes(1, minChunk)...))
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := &reading{e: &outbound{from: path}, f: f, look: true, done: make(chan struct{}, 2)}
	for i, hole := range []bool{true, false} {
		c := newChunk()
		c.n, c.offset, c.from = minChunk, int64(i*minChunk), r
		if err := r.fill(c, minChunk); err != nil || c.hole != hole {
			t.Errorf("chunk %d: a hole is %v, %v", i, c.hole, err)
		}
	}
	if h := (&holeFinder{f: f, blind: true}); h.covers(0, 1) {
		t.Error("a hole that nobody told of")
	}
}

func TestEachData(t *testing.T) {
	const k = holeBlock
	for _, c := range []struct {
		size int
		data []int
		want string
	}{
		{0, nil, ""}, {k, nil, ""}, {k + 1, nil, ""},
		{k, []int{0}, "0-4096 "}, {k - 1, []int{5}, "0-4095 "}, {3 * k, []int{k}, "4096-8192 "},
		{3*k + 1, []int{3 * k}, "12288-12289 "}, {4 * k, []int{0, k + 1, 3 * k}, "0-8192 12288-16384 "},
	} {
		b := make([]byte, c.size)
		for _, at := range c.data {
			b[at] = 1
		}
		var got strings.Builder
		if err := eachData(b, func(from, to int) error { fmt.Fprintf(&got, "%d-%d ", from, to); return nil }); err != nil || got.String() != c.want {
			t.Errorf("%d bytes, data at %v: %s", c.size, c.data, got.String())
		}
	}
}
