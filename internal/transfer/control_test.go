package transfer

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

func ptr[T any](v T) *T { return &v }

// samples has one body of each kind.
var samples = map[frameType]body{
	frameHello:   asking(ownHello(roleSend, SHA256, "udtcp 1.2")),
	frameFail:    &failBody{Kind: 7, Op: "write", Path: "a/b", Msg: "no space left on device", Hint: "make room there"},
	frameOffer:   &offerBody{Shape: shapeMany, Files: -1, Bytes: -1},
	frameEntry:   &entryBody{ID: 3, Kind: entryFile, Name: "name", Size: 1 << 40, Mode: ptr(uint32(0o644)), Mtime: ptr(int64(-5)), Nanos: 7, Stamp: -5e9},
	frameFileEnd: &fileEndBody{ID: 3, Size: 9, Digest: make([]byte, 32), SHA256: make([]byte, 32)},
	frameDirEnd:  &dirEndBody{ID: 4},
	frameEnd:     &endBody{Entries: 4, Files: 1, Bytes: 9, Digest: "00"},
	frameBye:     &byeBody{},
	frameHole:    &holeBody{ID: 3, Offset: 1 << 20, Length: 1 << 20},
	frameLink:    &linkBody{ID: 3, Name: "name", Target: "../a/b"},
	frameAsk:     &askBody{Number: 1, Path: "a/b", Size: 9, Mtime: ptr(int64(-5)), Nanos: 7, Check: true},
	frameSkip:    &skipBody{First: 1, Count: 1, Answer: answerCompare, Digest: make([]byte, 32)},
	frameReceipt: &receiptBody{UpTo: 4},
	frameTaken:   &takenBody{Bytes: 9, ID: 3, Offset: 9},
	frameAgain:   &againBody{ID: 3, Offset: 1 << 20, Length: 1 << 20},
	frameDone:    &doneBody{Files: 1, Bytes: 9, Digest: "00"},
	frameHave:    &haveBody{ID: 3, Offset: 1 << 20},
	framePing:    &pingBody{Fill: make([]byte, 9)},
	frameRenew:   &renewBody{},
}

func asking(b *helloBody) *helloBody {
	b.Ask = &askBody{Number: 1, Path: "b", Size: 1 << 40, Mtime: ptr(int64(-5)), Nanos: 7, Holes: 1 << 20}
	return b
}

func fresh(b body) body { return reflect.New(reflect.TypeOf(b).Elem()).Interface().(body) }

func TestBodies(t *testing.T) {
	for kind := range frameNames {
		if kind != frameData && samples[kind] == nil {
			t.Errorf("no sample of a %v frame", kind)
		}
	}
	for kind, b := range samples {
		f, err := appendFrame([]byte("before"), kind, b)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(f, []byte("before")) {
			t.Errorf("%v: what was there is gone", kind)
		}
		h, raw, err := newFrameReader(bytes.NewReader(f[len("before"):])).next()
		if err != nil || h.kind != kind {
			t.Errorf("%v: %v, %v", kind, h.kind, err)
			continue
		}
		got := fresh(b)
		if err := parseBody(kind, raw, got); err != nil || !reflect.DeepEqual(got, b) {
			t.Errorf("%v: %+v, want %+v: %v", kind, got, b, err)
		}
	}
}

func TestBodyOfLaterVersion(t *testing.T) {
	raw, err := cbor.Marshal(map[int]any{1: 4, 11: []byte("session"), 99: map[string]int{"x": 1}})
	if err != nil {
		t.Fatal(err)
	}
	var b receiptBody
	if err := parseBody(frameReceipt, raw, &b); err != nil || b.UpTo != 4 {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestBodiesRefused(t *testing.T) {
	mapOf := func(kv ...any) map[any]any {
		m := make(map[any]any)
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return m
	}
	deep := any(1)
	for range 6 {
		deep = []any{deep}
	}
	wide := mapOf()
	for i := range 40 {
		wide[100+i] = 0
	}
	for name, c := range map[string]struct {
		b   body
		raw any
	}{
		"nested":           {&receiptBody{}, mapOf(1, 1, 50, deep)},
		"wide":             {&receiptBody{}, wide},
		"long list":        {&receiptBody{}, mapOf(50, make([]int, 100))},
		"tag":              {&receiptBody{}, cbor.Tag{Number: 1, Content: 1}},
		"text for number":  {&receiptBody{}, mapOf(1, "1")},
		"negative":         {&receiptBody{}, mapOf(1, -1)},
		"no map":           {&receiptBody{}, "x"},
		"shape":            {&offerBody{}, mapOf(1, 9, 2, 1, 3, 1)},
		"one that is two":  {&offerBody{}, mapOf(1, 0, 2, 2, 3, 1)},
		"total":            {&offerBody{}, mapOf(1, 1, 2, -2, 3, 1)},
		"kind":             {&entryBody{}, mapOf(1, 1, 2, 9, 3, "x", 4, 0)},
		"size":             {&entryBody{}, mapOf(1, 1, 2, 0, 3, "x", 4, -1)},
		"big size":         {&entryBody{}, mapOf(1, 1, 2, 0, 3, "x", 4, uint64(1)<<63)},
		"dir size":         {&entryBody{}, mapOf(1, 1, 2, 1, 3, "x", 4, 5)},
		"stream with name": {&entryBody{}, mapOf(1, 1, 2, 2, 3, "x", 4, -1)},
		"nanoseconds":      {&entryBody{}, mapOf(1, 1, 2, 0, 3, "x", 4, 1, 7, 1_000_000_000)},
		"kept, not asked":  {&entryBody{}, mapOf(1, 1, 2, 0, 3, "x", 4, 1, 9, true)},
		"directory asked":  {&entryBody{}, mapOf(1, 1, 2, 1, 3, "x", 4, 0, 8, 1)},
		"digest, not kept": {&entryBody{}, mapOf(1, 1, 2, 0, 3, "x", 4, 1, 8, 1, 10, make([]byte, 32))},
		"short digest":     {&entryBody{}, mapOf(1, 1, 2, 0, 3, "x", 4, 1, 8, 1, 9, true, 10, make([]byte, 31))},
		"sha alone":        {&entryBody{}, mapOf(1, 1, 2, 0, 3, "x", 4, 1, 8, 1, 9, true, 11, make([]byte, 32))},
		"hole":             {&holeBody{}, mapOf(1, 1, 2, 0, 3, 0)},
		"long hole":        {&holeBody{}, mapOf(1, 1, 2, 0, 3, maxHole+1)},
		"hole before":      {&holeBody{}, mapOf(1, 1, 2, -1, 3, 1)},
		"holes":            {&entryBody{}, mapOf(1, 1, 2, 0, 3, "x", 4, 1, 12, 2)},
		"holes of none":    {&entryBody{}, mapOf(1, 1, 2, 1, 3, "x", 4, 0, 12, 1)},
		"asked holes":      {&askBody{}, mapOf(1, 1, 2, "x", 3, 1, 7, 2)},
		"link target":      {&linkBody{}, mapOf(1, 1, 2, "x", 3, strings.Repeat("x", maxPath+1))},
		"asked second":     {&helloBody{}, mapOf(1, 1, 2, "send", 5, "", 18, mapOf(1, 2, 2, "x", 3, 1))},
		"asked size early": {&helloBody{}, mapOf(1, 1, 2, "send", 5, "", 18, mapOf(1, 1, 2, "x", 3, -1))},
		"asked size":       {&askBody{}, mapOf(1, 1, 2, "x", 3, -1)},
		"asked path":       {&askBody{}, mapOf(1, 1, 2, strings.Repeat("x", maxPath+1), 3, 1)},
		"asked time":       {&askBody{}, mapOf(1, 1, 2, "x", 3, 1, 5, 1_000_000_000)},
		"answer":           {&skipBody{}, mapOf(1, 1, 2, 1, 3, 4)},
		"no answer":        {&skipBody{}, mapOf(1, 1, 2, 0, 3, 1)},
		"many answers":     {&skipBody{}, mapOf(1, 1, 2, outstanding+1, 3, 1)},
		"digest of none":   {&skipBody{}, mapOf(1, 1, 2, 1, 3, 2)},
		"digest of two":    {&skipBody{}, mapOf(1, 1, 2, 2, 3, 2, 4, make([]byte, 32))},
		"digest of kept":   {&skipBody{}, mapOf(1, 1, 2, 1, 3, 1, 4, make([]byte, 32))},
		"digest":           {&fileEndBody{}, mapOf(1, 1, 2, 1, 3, []byte("short"))},
		"sha":              {&fileEndBody{}, mapOf(1, 1, 2, 1, 3, make([]byte, 32), 4, []byte("short"))},
		"again":            {&againBody{}, mapOf(1, 1, 2, 0, 3, maxChunk+1)},
		"again nothing":    {&againBody{}, mapOf(1, 1, 2, 0, 3, 0)},
		"taken":            {&takenBody{}, mapOf(1, -1)},
		"done":             {&doneBody{}, mapOf(1, -1)},
		"end":              {&endBody{}, mapOf(1, 1, 2, 1, 3, 1, 4, strings.Repeat("x", 65))},
		"fail":             {&failBody{}, mapOf(1, 7, 4, strings.Repeat("x", maxFailMsg+1))},
		"features":         {&helloBody{}, mapOf(1, 1, 3, []string{strings.Repeat("x", maxWord+1)})},
	} {
		raw, err := cbor.Marshal(c.raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := parseBody(frameReceipt, raw, c.b); KindOf(err) != KindIntegrity {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, raw := range map[string][]byte{
		"twice the same key": {0xa2, 1, 1, 1, 2}, "indefinite": {0xbf, 1, 1, 0xff}, "more behind": {0xa1, 1, 1, 0},
		"bad UTF-8": {0xa1, 3, 0x61, 0xff}, "huge count": {0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "empty": {},
		"huge text": {0xa1, 3, 0x7a, 0xff, 0xff, 0xff, 0xff},
	} {
		if err := parseBody(frameEntry, raw, &entryBody{}); KindOf(err) != KindIntegrity {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFailAcrossTheWire(t *testing.T) {
	for _, c := range []struct{ here, there Kind }{
		{KindLocalIO, KindRemoteIO}, {KindPolicy, KindPolicy}, {KindIntegrity, KindIntegrity}, {KindAuth, KindAuth},
		{KindInternal, KindRemoteIO}, {KindUsage, KindRemoteIO}, {KindUnknown, KindRemoteIO}, {0, KindRemoteIO}, {200, KindRemoteIO},
	} {
		b := failOf(&Error{Kind: c.here, Op: "write", Path: "/secret/a", name: "a", Msg: "bad\x1b[31m\u202e luck"})
		if strings.Contains(b.Path, "secret") {
			t.Error("our path is told to the peer")
		}
		e := b.remote()
		if e.Kind != c.there || !e.Remote {
			t.Errorf("%v here is %v there, want %v", c.here, e.Kind, c.there)
		}
		if s := e.Error(); strings.ContainsAny(s, "\x1b\u202e") || !strings.Contains(s, "luck") && c.here != KindUsage {
			t.Errorf("%q", s)
		}
	}
}

func FuzzBodies(f *testing.F) {
	kinds := make([]frameType, 0, len(samples))
	for kind := range 256 {
		if b := samples[frameType(kind)]; b != nil {
			kinds = append(kinds, frameType(kind))
			raw, err := cbor.Marshal(b)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(byte(kind), raw)
		}
	}
	f.Fuzz(func(t *testing.T, k byte, raw []byte) {
		kind := kinds[int(k)%len(kinds)]
		b := fresh(samples[kind])
		if len(raw) > maxControl || parseBody(kind, raw, b) != nil {
			return
		}
		frame, err := appendFrame(nil, kind, b)
		if err != nil {
			t.Fatalf("%v was taken and cannot be sent: %v", kind, err)
		}
		again := fresh(b)
		if err := parseBody(kind, frame[headerLen:], again); err != nil {
			t.Fatalf("%v: %v", kind, err)
		}
		second, err := appendFrame(nil, kind, again)
		if err != nil || !bytes.Equal(frame, second) {
			t.Fatalf("%v does not come out as it went in: %v", kind, err)
		}
	})
}
