package transfer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// oneWay is a connection on which a fixed text comes in, and what goes out is dropped.
type oneWay struct {
	io.Reader
}

func (oneWay) Write(b []byte) (int, error) { return len(b), nil }
func (oneWay) Close() error                { return nil }

// frameScript turns any bytes into frames that pass the outer checks, so that fuzzing gets behind them. Each frame is
// its type, its flags, two bytes of length, the body; a data frame's body begins with its number (one byte), offset
// (four) and whether the digest is to be right.
func frameScript(in []byte) []byte {
	out := []byte(nil)
	for len(in) >= 4 {
		kind, flags, n := frameType(in[0]), in[1], int(binary.BigEndian.Uint16(in[2:]))
		in = in[4:]
		n = min(n, len(in))
		body := in[:n]
		in = in[n:]
		start := len(out)
		if kind != frameData {
			out = append(append(out, make([]byte, headerLen)...), body...)
			putHeader(out[start:], kind, flags, n, body)
			continue
		}
		if n < 7 {
			continue
		}
		p := place{id: uint64(body[0]), offset: int64(binary.BigEndian.Uint32(body[1:]))}
		right, body := body[5]&1 != 0, body[6:]
		if right {
			p.sum = chunkSum(body, p.offset, flags&flagPiece != 0)
		}
		out = append(append(out, make([]byte, headRoom)...), body...)
		putPlace(out[start+headerLen:], p)
		putHeader(out[start:], frameData, flags, dataHead+len(body), out[start+headerLen:start+headRoom])
	}
	return out
}

// scriptOf is the reverse, for seeds; payloads must be short.
func scriptOf(frames []byte) []byte {
	var out []byte
	fr := newFrameReader(bytes.NewReader(frames))
	for {
		h, body, err := fr.next()
		if err != nil {
			return out
		}
		if h.kind == frameData {
			p, err := parsePlace(body)
			if err != nil {
				return out
			}
			body = append([]byte{byte(p.id)}, binary.BigEndian.AppendUint32(nil, uint32(p.offset))...)
			body = append(body, 1)
			b := make([]byte, h.length-dataHead)
			if err := fr.payload(b); err != nil {
				return out
			}
			body = append(body, b...)
		}
		out = append(out, byte(h.kind), h.flags)
		out = binary.BigEndian.AppendUint16(out, uint16(len(body)))
		out = append(out, body...)
	}
}

// record runs a transfer and gives what each end wrote after its prelude.
func record(t testing.TB, so SendOptions, ro RecvOptions) (sent, got []byte) {
	t.Helper()
	w := newWire(1 << 16)
	w.a.out.alter = func(_ int64, b []byte) { sent = append(sent, b...) }
	w.b.out.alter = func(_ int64, b []byte) { got = append(got, b...) }
	o := moveCtx(t.Context(), t.Context(), w, so, ro, openUnsynced)
	if o.sendErr != nil || o.gotErr != nil {
		t.Fatal(o.sendErr, o.gotErr)
	}
	return sent[preludeLen:], got[preludeLen:]
}

// fuzzSource makes a small tree.
func fuzzSource(t testing.TB) string {
	t.Helper()
	src := filepath.Join(t.TempDir(), "top")
	for name, content := range map[string]string{"a": "hello", "d/b": "", "c": strings.Repeat("world", 50)} {
		p := filepath.Join(src, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../a", filepath.Join(src, "d", "link")); err != nil {
		t.Fatal(err)
	}
	return src
}

// seeds gives scripts of sound transfers, of the sender or of the receiver, to the fuzzer.
func seeds(f *testing.F, ofSender bool) {
	f.Helper()
	src, sparse := fuzzSource(f), filepath.Join(f.TempDir(), "sparse")
	if err := errors.Join(os.WriteFile(sparse, nil, 0o600), os.Truncate(sparse, 3*minChunk+5)); err != nil {
		f.Fatal(err)
	}
	for _, so := range []SendOptions{
		{Paths: []string{src}, Preserve: true},
		{Paths: []string{filepath.Join(src, "a")}, Digest: SHA256},
		{Paths: []string{"-"}, Stdin: strings.NewReader("standard input")},
		{Paths: []string{src, sparse}, Preserve: true, Links: true},
	} {
		ro := RecvOptions{Dir: f.TempDir(), Links: so.Links}
		if so.Stdin != nil {
			ro = RecvOptions{File: filepath.Join(f.TempDir(), "f")}
		}
		sent, got := record(f, so, ro)
		if ofSender {
			got = sent
		}
		script := scriptOf(got)
		for mode := range byte(8) {
			f.Add(mode, script)
			f.Add(mode, script[:len(script)/2])
		}
	}
}

// FuzzRecv feeds the whole receiver: whatever comes, it ends, and nothing outside its destination is touched.
func FuzzRecv(f *testing.F) {
	seeds(f, true)
	f.Fuzz(func(t *testing.T, mode byte, script []byte) {
		up, dst := fenced(t)
		o := RecvOptions{Dir: dst, Preserve: true, Links: mode&4 != 0}
		var out bytes.Buffer
		switch mode % 4 {
		case 1:
			o.Overwrite, o.Digest = true, SHA256
		case 2:
			o.Dir, o.File = "", filepath.Join(dst, "f")
		case 3:
			o.Dir, o.Stdout = "", &out
		}
		conn := oneWay{Reader: io.MultiReader(bytes.NewReader(prelude()), bytes.NewReader(frameScript(script)))}
		_, err := receive(t.Context(), conn, o, openUnsynced)
		wantSpoken(t, err)
		if err != nil && KindOf(err) == KindInternal {
			t.Errorf("%v", err)
		}
		wantFenced(t, up)
	})
}

// fenced makes a destination beside something else.
func fenced(t *testing.T) (up, dst string) {
	up = t.TempDir()
	for _, d := range []string{"dst", "outside"} {
		if err := os.Mkdir(filepath.Join(up, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return up, filepath.Join(up, "dst")
}

// wantFenced checks that nothing is outside the destination that was not there before, and nothing in it that may not be.
func wantFenced(t *testing.T, up string) {
	list, readErr := os.ReadDir(up)
	outside, outErr := os.ReadDir(filepath.Join(up, "outside"))
	if readErr != nil || outErr != nil || len(list) != 2 || len(outside) != 0 {
		t.Errorf("outside: %v %v %v %v", list, outside, readErr, outErr)
	}
	dst := filepath.Join(up, "dst")
	walkErr := filepath.WalkDir(dst, func(p string, d os.DirEntry, err error) error {
		if err == nil && p != dst && nameFault(d.Name()) != "" && !reserved(d.Name()) {
			t.Errorf("there is %q", p)
		}
		if err == nil && d.Type() == os.ModeSymlink {
			rel, _ := filepath.Rel(dst, filepath.Dir(p))
			if target, err := os.Readlink(p); err != nil || linkFault(strings.TrimPrefix(rel, "."), target) != "" {
				t.Errorf("there is a link %q to %q, %v", p, target, err)
			}
		}
		return err
	})
	if walkErr != nil && !errors.Is(walkErr, os.ErrPermission) {
		t.Error(walkErr)
	}
}

// wantSpoken checks that an error says nothing raw of the peer.
func wantSpoken(t *testing.T, err error) {
	t.Helper()
	if err != nil && strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u202e' }) {
		t.Errorf("raw characters of the peer in %q", err)
	}
}

// FuzzSend feeds the whole sender: whatever comes, it ends, and the source is as it was.
func FuzzSend(f *testing.F) {
	seeds(f, false)
	src := fuzzSource(f)
	f.Fuzz(func(t *testing.T, mode byte, script []byte) {
		o := SendOptions{Paths: []string{src}, Links: mode&4 != 0, Checksum: mode&8 != 0}
		switch mode % 4 {
		case 1:
			o.Paths = []string{filepath.Join(src, "a")}
		case 2:
			o.Paths, o.Stdin = []string{"-"}, strings.NewReader("standard input")
		}
		conn := oneWay{Reader: io.MultiReader(bytes.NewReader(prelude()), bytes.NewReader(frameScript(script)))}
		_, err := Send(t.Context(), conn, o)
		wantSpoken(t, err)
		if b, err := os.ReadFile(filepath.Join(src, "a")); string(b) != "hello" {
			t.Errorf("the source is %q, %v", b, err)
		}
	})
}

// FuzzGreeting feeds raw bytes, from the first one on, to both ends.
func FuzzGreeting(f *testing.F) {
	sent, got := record(f, SendOptions{Paths: []string{fuzzSource(f)}}, RecvOptions{Dir: f.TempDir()})
	f.Add(append(prelude(), sent...))
	f.Add(append(prelude(), got...))
	f.Add([]byte("UDTCP\x01s\n\x16\x03\x01"))
	_, so := oneFile(f, []byte("x"))
	f.Fuzz(func(t *testing.T, in []byte) {
		_, recvErr := receive(t.Context(), oneWay{Reader: bytes.NewReader(in)}, RecvOptions{Dir: t.TempDir()}, openUnsynced)
		_, sendErr := Send(t.Context(), oneWay{Reader: bytes.NewReader(in)}, so)
		if recvErr == nil && sendErr == nil {
			t.Error("both ends are content with the same text")
		}
	})
}

// TestHostileSizes: what a peer announces makes nothing grow.
func TestHostileSizes(t *testing.T) {
	open := func(dir string) (store, error) {
		st, err := openStore(dir)
		return &boundless{st}, err
	}
	huge := &entryBody{ID: 1, Kind: entryFile, Name: "f", Size: 1<<63 - 1}
	header := func(kind frameType, length int) []byte {
		h := make([]byte, headerLen)
		putHeader(h, kind, 0, length, nil)
		return h
	}
	frame := func(kind frameType, b body) []byte {
		f, err := appendFrame(nil, kind, b)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	offer := frame(frameOffer, &offerBody{Shape: shapeMany, Files: 1<<63 - 1, Bytes: 1<<63 - 1})
	hello := ownHello(roleSend, BLAKE3, "")
	for name, text := range map[string][]byte{
		"file":         slices.Concat(frame(frameHello, hello), offer, frame(frameEntry, huge)),
		"data frame":   slices.Concat(frame(frameHello, hello), offer, frame(frameEntry, huge), header(frameData, 1<<32-1)),
		"2^40 chunks":  slices.Concat(frame(frameHello, hello), offer, frame(frameEntry, &entryBody{ID: 1, Kind: entryFile, Name: "f", Size: minChunk << 40}), header(frameData, 1<<32-1)),
		"long name":    slices.Concat(frame(frameHello, hello), offer, frame(frameEntry, &entryBody{ID: 1, Kind: entryFile, Name: strings.Repeat("x", 65_500)})),
		"longer name":  slices.Concat(frame(frameHello, hello), offer, header(frameEntry, 64<<10+1)),
		"control":      slices.Concat(frame(frameHello, hello), offer, header(frameEntry, 1<<32-1)),
		"hello":        header(frameHello, 1<<31),
		"map of CBOR":  append(header(frameHello, 9), 0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
		"outstanding":  frame(frameHello, &helloBody{Version: 1, Role: roleSend, Digest: "blake3", Chunk: minChunk, Outstanding: 1<<63 - 1, Window: 1<<63 - 1}),
		"huge chunks":  frame(frameHello, &helloBody{Version: 1, Role: roleSend, Digest: "blake3", Chunk: 1 << 62}),
		"many entries": slices.Concat(frame(frameHello, hello), offer, frame(frameEnd, &endBody{Entries: 1<<64 - 1, Files: 1<<63 - 1, Bytes: 1<<63 - 1})),
	} {
		var before, after runtime.MemStats
		dir := t.TempDir()
		runtime.ReadMemStats(&before)
		conn := oneWay{Reader: io.MultiReader(bytes.NewReader(prelude()), bytes.NewReader(text))}
		began := time.Now()
		_, err := receive(t.Context(), conn, RecvOptions{Dir: dir}, open)
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; err == nil || grown > 1<<20 {
			t.Errorf("%s: %d bytes allocated, %v", name, grown, err)
		} else {
			t.Logf("%s: refused within %v, %d KiB allocated", name, took, grown>>10)
		}
	}
	// And the sender.
	_, so := oneFile(t, []byte("x"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	text := frame(frameHello, &helloBody{Version: 1, Role: roleRecv, Digest: "blake3", Window: maxWindow, Outstanding: 1<<63 - 1})
	_, err := Send(t.Context(), oneWay{Reader: io.MultiReader(bytes.NewReader(prelude()), bytes.NewReader(text))}, so)
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; err == nil || grown > 4<<20 {
		t.Errorf("sender: %d bytes allocated, %v", grown, err)
	}
}
