package transfer

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func TestFrameReader(t *testing.T) {
	var wireBytes []byte
	var want []frameType
	for i := range 50 {
		f, err := appendFrame(nil, frameEntry, &entryBody{ID: uint64(i), Name: "x"})
		if err != nil {
			t.Fatal(err)
		}
		c := newChunk()
		c.n = copy(c.space(minChunk), randomBytes(uint64(i), 1+i*i*300%minChunk))
		c.id = uint64(i)
		wireBytes = append(append(wireBytes, f...), c.frame(false)...)
		want = append(want, frameEntry, frameData)
	}
	for name, r := range map[string]io.Reader{
		"whole": bytes.NewReader(wireBytes), "half": iotest.HalfReader(bytes.NewReader(wireBytes)),
		"byte": iotest.OneByteReader(bytes.NewReader(wireBytes)), "dataErr": iotest.DataErrReader(bytes.NewReader(wireBytes)),
	} {
		fr := newFrameReader(r)
		for i, k := range want {
			h, _, err := fr.next()
			if err != nil || h.kind != k {
				t.Fatalf("%s: frame %d is %v, %v", name, i, h.kind, err)
			}
			if k == frameData {
				i /= 2
				b := make([]byte, h.length-dataHead)
				if err := fr.payload(b); err != nil || !bytes.Equal(b, randomBytes(uint64(i), len(b))) {
					t.Fatalf("%s: payload %d: %v", name, i, err)
				}
			}
		}
		if _, _, err := fr.next(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: after the last frame: %v", name, err)
		}
	}
}

// TestFrameBits flips every bit of a control frame and of a data frame's head: nothing gets through.
func TestFrameBits(t *testing.T) {
	control, err := appendFrame(nil, frameEntry, &entryBody{ID: 7, Name: "name"})
	if err != nil {
		t.Fatal(err)
	}
	c := newChunk()
	c.n = copy(c.space(minChunk), "payload")
	data := bytes.Clone(c.frame(false))
	for _, f := range [][]byte{control, data[:headRoom]} {
		for bit := range len(f) * 8 {
			f[bit/8] ^= 1 << (bit % 8)
			whole := f
			if len(f) == headRoom {
				whole = data
			}
			// Enough behind it for a longer length to be read.
			fr := newFrameReader(io.MultiReader(bytes.NewReader(whole), bytes.NewReader(make([]byte, maxControl))))
			if h, _, err := fr.next(); err == nil {
				t.Errorf("%v with bit %d flipped is taken", h.kind, bit)
			}
			f[bit/8] ^= 1 << (bit % 8)
		}
	}
}

func TestFrameTruncated(t *testing.T) {
	f, err := appendFrame(nil, frameEntry, &entryBody{ID: 7, Name: "name"})
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(f) {
		_, _, err := newFrameReader(bytes.NewReader(f[:n])).next()
		if want := map[bool]error{true: io.EOF, false: io.ErrUnexpectedEOF}[n == 0]; !errors.Is(err, want) {
			t.Errorf("%d bytes: %v, want %v", n, err, want)
		}
	}
}

func TestFrameLimits(t *testing.T) {
	h := make([]byte, headerLen)
	for _, c := range []struct {
		kind   frameType
		flags  byte
		length int
		ok     bool
	}{
		{frameEntry, 0, 0, true}, {frameEntry, 0, maxControl, true}, {frameEntry, 0, maxControl + 1, false},
		{frameEntry, 1, 10, false}, {frameData, 0, dataHead, false}, {frameData, 0, dataHead + 1, true},
		{frameData, 3, dataHead + minChunk, true}, {frameData, 0, dataHead + minChunk + 1, false},
		{frameData, 4, 100, false}, {0x7f, 0, 10, false}, {0, 0, 0, false}, {frameHello, 0, -1, false},
	} {
		putHeader(h, c.kind, c.flags, c.length, nil)
		if _, err := parseHeader(h, minChunk); (err == nil) != c.ok {
			t.Errorf("%v flags %d length %d: %v", c.kind, c.flags, c.length, err)
		}
	}
}

func FuzzFrames(f *testing.F) {
	control, err := appendFrame(nil, frameOffer, &offerBody{Shape: shapeOne, Files: 1, Bytes: 5})
	if err != nil {
		f.Fatal(err)
	}
	c := newChunk()
	c.n = copy(c.space(minChunk), "hello")
	f.Add(append(bytes.Clone(control), c.frame(true)...))
	f.Fuzz(func(t *testing.T, in []byte) {
		fr := newFrameReader(bytes.NewReader(in))
		fr.chunk = minChunk
		payload := make([]byte, minChunk)
		var out []byte
		for {
			h, body, err := fr.next()
			if err != nil {
				break
			}
			start := len(out)
			out = append(out, make([]byte, headerLen)...)
			out = append(out, body...)
			putHeader(out[start:], h.kind, h.flags, h.length, body)
			if h.kind == frameData {
				p, err := parsePlace(body)
				if err == nil {
					again := make([]byte, dataHead)
					if putPlace(again, p); !bytes.Equal(again, body) {
						t.Fatal("a place does not come out as it went in")
					}
				}
				b := payload[:h.length-dataHead]
				if err := fr.payload(b); err != nil {
					return
				}
				out = append(out, b...)
			}
		}
		// What parses comes out as it went in.
		if !bytes.HasPrefix(in, out) {
			t.Fatal("frames do not come out as they went in")
		}
	})
}
