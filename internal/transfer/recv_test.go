package transfer

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

func offerMany(p *script) { p.send(frameOffer, &offerBody{Shape: shapeMany, Files: -1, Bytes: -1}) }

func TestRecvScript(t *testing.T) {
	dir := t.TempDir()
	err := against(t, receiving(RecvOptions{Dir: dir, Preserve: true}), func(p *script) {
		peer := p.greet(roleSend, nil)
		if peer.Role != roleRecv || peer.Version != version || peer.Ordered {
			t.Errorf("hello %+v", peer)
		}
		offerMany(p)
		p.small(1, "a", []byte("hello"))
		p.send(frameEntry, &entryBody{ID: 2, Kind: entryDir, Name: "d", Mode: ptr(uint32(0o7755)), Mtime: ptr(int64(1e9))})
		p.send(frameEntry, &entryBody{ID: 3, Kind: entryFile, Name: "b", Size: 0, Mode: ptr(uint32(0o104755)), Mtime: ptr(int64(1e9))})
		p.fileEnd(3, nil)
		p.send(frameDirEnd, &dirEndBody{ID: 4})
		list := newListDigest(BLAKE3)
		list.add(fmt.Sprintf("%x", blake3Of([]byte("hello"))), "a")
		list.add(fmt.Sprintf("%x", blake3Of(nil)), "d/b")
		p.send(frameEnd, &endBody{Entries: 4, Files: 2, Bytes: 5, Digest: list.sum()})
		var done doneBody
		p.expect(frameDone, &done)
		if done != (doneBody{Files: 2, Bytes: 5, Digest: list.sum()}) {
			t.Errorf("%+v", done)
		}
		p.send(frameBye, &byeBody{})
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]fs.FileMode{"d": fs.ModeDir | 0o755, "d/b": 0o755} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode() != mode || info.ModTime().Unix() != 1e9 {
			t.Errorf("%s is %v, %v", name, info, err)
		}
	}
	if got := names(t, dir); !slices.Equal(got, []string{"a", "d", "d/b"}) {
		t.Error(got)
	}
}

// TestRecvRefusesNames sends hostile names: the transfer is refused and nothing is made.
func TestRecvRefusesNames(t *testing.T) {
	for _, name := range badNames {
		for _, kind := range []uint8{entryFile, entryDir} {
			up := t.TempDir()
			dir := filepath.Join(up, "dst")
			err := against(t, receiving(RecvOptions{Dir: dir, Overwrite: true}), func(p *script) {
				p.greet(roleSend, nil)
				offerMany(p)
				p.send(frameEntry, &entryBody{ID: 1, Kind: kind, Name: strings.ToValidUTF8(name, "\u202e")})
				p.expectFail(KindPolicy)
			})
			wantKind(t, err, KindPolicy)
			if err != nil && strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u202e' }) {
				t.Errorf("raw characters of the peer in %q", err)
			}
			if got := names(t, up); !slices.Equal(got, []string{"dst"}) {
				t.Errorf("%q made %q", name, got)
			}
		}
	}
}

// TestRecvStateMachine sends frames in orders and with contents that no sound sender has.
func TestRecvStateMachine(t *testing.T) {
	file := func(id uint64, size int64) *entryBody {
		return &entryBody{ID: id, Kind: entryFile, Name: "f", Size: size}
	}
	content := []byte("hello")
	big := randomBytes(1, minChunk+1)
	sum := blake3Of(content)
	for name, c := range map[string]struct {
		kind Kind
		do   func(p *script)
	}{
		"entry before offer":   {KindIntegrity, func(p *script) { p.send(frameEntry, file(1, 5)) }},
		"data before offer":    {KindIntegrity, func(p *script) { p.data(1, 0, flagRepair, content) }},
		"bye before offer":     {KindIntegrity, func(p *script) { p.send(frameBye, &byeBody{}) }},
		"hello again":          {KindIntegrity, func(p *script) { p.send(frameHello, ownHello(roleSend, BLAKE3, "")) }},
		"receipt":              {KindIntegrity, func(p *script) { offerMany(p); p.send(frameReceipt, &receiptBody{}) }},
		"data outside":         {KindIntegrity, func(p *script) { offerMany(p); p.data(1, 0, 0, content) }},
		"repair not asked for": {KindIntegrity, func(p *script) { offerMany(p); p.data(1, 0, flagRepair, content) }},
		"number not next":      {KindIntegrity, func(p *script) { offerMany(p); p.send(frameEntry, file(2, 5)) }},
		"number zero":          {KindIntegrity, func(p *script) { offerMany(p); p.send(frameEntry, file(0, 5)) }},
		"entry inside file":    {KindIntegrity, func(p *script) { offerMany(p); p.send(frameEntry, file(1, 5)); p.send(frameEntry, file(2, 5)) }},
		"end inside file": {KindIntegrity, func(p *script) {
			offerMany(p)
			p.send(frameEntry, file(1, 5))
			p.send(frameEnd, &endBody{Entries: 1, Files: 1})
		}},
		"data of other file": {KindIntegrity, func(p *script) { offerMany(p); p.send(frameEntry, file(1, 5)); p.data(2, 0, 0, content) }},
		"data elsewhere":     {KindIntegrity, func(p *script) { offerMany(p); p.send(frameEntry, file(1, 9)); p.data(1, 4, 0, content) }},
		"data too short":     {KindIntegrity, func(p *script) { offerMany(p); p.send(frameEntry, file(1, 9)); p.data(1, 0, 0, content) }},
		"data too long":      {KindIntegrity, func(p *script) { offerMany(p); p.send(frameEntry, file(1, 4)); p.data(1, 0, 0, content) }},
		"data of empty file": {KindIntegrity, func(p *script) { offerMany(p); p.send(frameEntry, file(1, 0)); p.data(1, 0, 0, content) }},
		"piece of a file":    {KindIntegrity, func(p *script) { offerMany(p); p.send(frameEntry, file(1, 5)); p.data(1, 0, flagPiece, content) }},
		"more than a chunk":  {KindIntegrity, func(p *script) { offerMany(p); p.send(frameEntry, file(1, int64(len(big)))); p.data(1, 0, 0, big) }},
		"file end too early": {KindIntegrity, func(p *script) { offerMany(p); p.send(frameEntry, file(1, 5)); p.fileEnd(1, content) }},
		"file end of other":  {KindIntegrity, func(p *script) { offerMany(p); p.send(frameEntry, file(1, 0)); p.fileEnd(2, nil) }},
		"wrong digest": {KindIntegrity, func(p *script) {
			offerMany(p)
			p.send(frameEntry, file(1, 5))
			p.data(1, 0, 0, content)
			p.fileEnd(1, []byte("other"))
		}},
		"digest not agreed on": {KindIntegrity, func(p *script) {
			offerMany(p)
			p.send(frameEntry, file(1, 5))
			p.data(1, 0, 0, content)
			p.send(frameFileEnd, &fileEndBody{ID: 1, Size: 5, Digest: sum[:], SHA256: sum[:]})
		}},
		"directory end without directory": {KindIntegrity, func(p *script) { offerMany(p); p.send(frameDirEnd, &dirEndBody{ID: 1}) }},
		"directory left open": {KindIntegrity, func(p *script) {
			offerMany(p)
			p.send(frameEntry, &entryBody{ID: 1, Kind: entryDir, Name: "d"})
			p.send(frameEnd, &endBody{Entries: 1})
		}},
		"wrong totals": {KindIntegrity, func(p *script) {
			offerMany(p)
			p.small(1, "f", content)
			p.send(frameEnd, &endBody{Entries: 1, Files: 2, Bytes: 5})
		}},
		"wrong list": {KindIntegrity, func(p *script) {
			offerMany(p)
			p.small(1, "f", content)
			p.send(frameEnd, &endBody{Entries: 1, Files: 1, Bytes: 5})
		}},
		"early bye":     {KindIntegrity, func(p *script) { offerMany(p); p.send(frameEntry, file(1, 5)); p.send(frameBye, &byeBody{}) }},
		"offered twice": {KindIntegrity, func(p *script) { p.send(frameOffer, &offerBody{Shape: shapeMany}); offerMany(p) }},
		"offer changed": {KindIntegrity, func(p *script) { offerMany(p); p.send(frameOffer, &offerBody{Shape: shapeOne, Files: 1, Bytes: 1}) }},
		"directory in offer of one": {KindIntegrity, func(p *script) {
			p.send(frameOffer, &offerBody{Shape: shapeOne, Files: 1, Bytes: 1})
			p.send(frameEntry, &entryBody{ID: 1, Kind: entryDir, Name: "d"})
		}},
		"two in offer of one": {KindIntegrity, func(p *script) {
			p.send(frameOffer, &offerBody{Shape: shapeOne, Files: 1, Bytes: 5})
			p.small(1, "f", content)
			p.small(2, "g", content)
		}},
		"none in offer of one": {KindIntegrity, func(p *script) {
			p.send(frameOffer, &offerBody{Shape: shapeOne, Files: 1, Bytes: 5})
			p.send(frameEnd, &endBody{})
		}},
		"stream among files": {KindIntegrity, func(p *script) { offerMany(p); p.send(frameEntry, &entryBody{ID: 1, Kind: entryStream, Size: -1}) }},
		"stream to a directory": {KindPolicy, func(p *script) {
			p.send(frameOffer, &offerBody{Shape: shapeStream, Files: 1, Bytes: -1})
		}},
		"no room in all":   {KindLocalIO, func(p *script) { p.send(frameOffer, &offerBody{Shape: shapeMany, Files: 1, Bytes: math.MaxInt64}) }},
		"no room for one":  {KindLocalIO, func(p *script) { offerMany(p); p.send(frameEntry, file(1, math.MaxInt64)) }},
		"too large in all": {KindPolicy, func(p *script) { p.send(frameOffer, &offerBody{Shape: shapeMany, Files: 1, Bytes: 1 << 21}) }},
		"too large":        {KindPolicy, func(p *script) { offerMany(p); p.send(frameEntry, file(1, 1<<21)) }},
		"too large together": {KindPolicy, func(p *script) {
			offerMany(p)
			p.small(1, "a", content)
			p.send(frameEntry, file(2, 1<<20-4))
		}},
		"too deep": {KindPolicy, func(p *script) {
			offerMany(p)
			for i := range uint64(maxDepth + 1) {
				p.send(frameEntry, &entryBody{ID: i + 1, Kind: entryDir, Name: "d"})
			}
		}},
		"path too long": {KindPolicy, func(p *script) {
			offerMany(p)
			for i := range uint64(17) {
				p.send(frameEntry, &entryBody{ID: i + 1, Kind: entryDir, Name: strings.Repeat("d", 250)})
			}
		}},
		"unknown frame": {KindIntegrity, func(p *script) {
			f := make([]byte, headerLen)
			putHeader(f, 0x7f, 0, 0, nil)
			p.write(f)
		}},
		"garbage": {KindIntegrity, func(p *script) { p.write(randomBytes(1, 1000)) }},
		"failure": {KindRemoteIO, func(p *script) {
			offerMany(p)
			p.send(frameFail, &failBody{Kind: uint8(KindLocalIO), Op: "read", Path: "x", Msg: "input/output error"})
		}},
		"source changed": {KindIntegrity, func(p *script) { p.send(frameFail, &failBody{Kind: uint8(KindIntegrity), Msg: "changed"}) }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			err := against(t, receiving(RecvOptions{Dir: dir, MaxSize: sizeLimit(c.kind)}), func(p *script) {
				p.greet(roleSend, nil)
				c.do(p)
				if !strings.HasPrefix(name, "fail") && !strings.HasPrefix(name, "source") {
					p.expectFail(c.kind)
				}
			})
			wantKind(t, err, c.kind)
			for _, n := range names(t, dir) {
				if n != "a" && n != "f" && !strings.HasPrefix(n, "d") {
					t.Errorf("left behind: %q", n)
				}
			}
		})
	}
}

// sizeLimit is there for the cases that are about it.
func sizeLimit(k Kind) int64 {
	if k == KindPolicy {
		return 1 << 20
	}
	return 0
}

// TestRecvGreeting has peers of other kinds and versions.
func TestRecvGreeting(t *testing.T) {
	hello := func(change func(*helloBody)) func(p *script) {
		return func(p *script) { p.greet(roleSend, change) }
	}
	for name, c := range map[string]struct {
		kind Kind
		says string
		do   func(p *script)
	}{
		"other program":   {KindPolicy, "does not speak", func(p *script) { p.write([]byte("GET / HTTP/1.1\r\n")) }},
		"other version":   {KindPolicy, "version 7", func(p *script) { p.write([]byte("UDTCP\x07p\n")) }},
		"secure":          {KindAuth, "secure", func(p *script) { p.write([]byte("UDTCP\x01s\n")) }},
		"unknown session": {KindPolicy, "unknown kind", func(p *script) { p.write([]byte("UDTCP\x01q\n")) }},
		"hello version":   {KindPolicy, "version 9", hello(func(h *helloBody) { h.Version = 9 })},
		"same role":       {KindPolicy, "both ends", hello(func(h *helloBody) { h.Role = roleRecv })},
		"no role":         {KindIntegrity, "role", hello(func(h *helloBody) { h.Role = "\x1b[2J" })},
		"need":            {KindPolicy, `"teleport\x1b"`, hello(func(h *helloBody) { h.Needs = []string{"teleport\x1b"} })},
		"digest":          {KindPolicy, "md5", hello(func(h *helloBody) { h.Digest = "md5" })},
		"tiny chunk":      {KindIntegrity, "chunk", hello(func(h *helloBody) { h.Chunk = 1 })},
		"huge chunk":      {KindIntegrity, "chunk", hello(func(h *helloBody) { h.Chunk = 1 << 40 })},
		"odd chunk":       {KindIntegrity, "chunk", hello(func(h *helloBody) { h.Chunk = 3 << 19 })},
		"no hello":        {KindIntegrity, "before the hello", func(p *script) { p.write(prelude()); offerMany(p) }},
		"silent end":      {KindLost, "lost", func(p *script) {}},
		"fails at once":   {KindPolicy, "go away", func(p *script) { p.write(prelude()); p.send(frameFail, &failBody{Kind: 9, Msg: "go away"}) }},
		"end in greeting": {KindLost, "lost", func(p *script) { p.write([]byte("UDTC")) }},
	} {
		err := against(t, receiving(RecvOptions{Dir: t.TempDir()}), c.do)
		wantKind(t, err, c.kind)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %q", name, err)
		}
	}
}

// TestLaterHello has what a later version may say: unknown features and keys change nothing.
func TestLaterHello(t *testing.T) {
	err := against(t, receiving(RecvOptions{Dir: t.TempDir()}), func(p *script) {
		p.greet(roleSend, func(h *helloBody) { h.Features = append([]string{"teleport"}, h.Features...); h.Chunk = maxChunk })
		p.send(frameOffer, &offerBody{Shape: shapeMany})
		p.send(frameEnd, &endBody{})
		p.expect(frameDone, nil)
		p.send(frameBye, &byeBody{})
	})
	if err != nil {
		t.Error(err)
	}
}

// TestRecvUnconfirmed: the final receipt was sent, the word that it came did not return. All is in place, and the sender
// may be content: so is the receiver.
func TestRecvUnconfirmed(t *testing.T) {
	dir := t.TempDir()
	var said atomic.Bool
	o := RecvOptions{Dir: dir, OnMessage: func(line string) { said.Store(strings.Contains(line, "did not confirm")) }}
	err := against(t, receiving(o), func(p *script) {
		p.greet(roleSend, nil)
		offerMany(p)
		p.small(1, "f", []byte("x"))
		p.send(frameEnd, &endBody{Entries: 1, Files: 1, Bytes: 1, Digest: fmt.Sprintf("%x", blake3Of([]byte("x")))})
		p.expect(frameDone, nil)
	})
	if err != nil || !said.Load() {
		t.Errorf("%v, message %v", err, said.Load())
	}
}

// TestRecvEndBeforeReceipt: the sender vanishes when it has sent everything. What came is kept; nobody knows.
func TestRecvEndBeforeReceipt(t *testing.T) {
	dir := t.TempDir()
	gate := make(chan struct{})
	open := func(dir string) (store, error) {
		st, err := openStore(dir)
		return &faulty{store: st, fail: func(op, _ string) error {
			if op == "sync" {
				<-gate // until the sender has gone
			}
			return nil
		}}, err
	}
	run := func(ctx context.Context, conn io.ReadWriteCloser) error {
		_, err := receive(ctx, conn, RecvOptions{Dir: dir}, open)
		return err
	}
	err := against(t, run, func(p *script) {
		p.greet(roleSend, nil)
		offerMany(p)
		p.small(1, "f", []byte("x"))
		p.send(frameEnd, &endBody{Entries: 1, Files: 1, Bytes: 1, Digest: fmt.Sprintf("%x", blake3Of([]byte("x")))})
		p.expect(frameTaken, nil)
		p.end.Close()
		close(gate)
	})
	// Whether the receipt still went into the closed connection is a matter of moments: either the receiver knows that
	// it did not arrive, or it may believe it did.
	if err != nil {
		wantKind(t, err, KindUnknown)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "f")); string(b) != "x" {
		t.Errorf("%q, %v", b, err)
	}
}

// TestRecvEndWithChunkMissing: the sender vanishes when it has sent everything, but one chunk was damaged. That is no
// matter of receipts.
func TestRecvEndWithChunkMissing(t *testing.T) {
	for name, o := range map[string]RecvOptions{"small": {Dir: t.TempDir()}, "output": {Stdout: io.Discard}} {
		err := against(t, receiving(o), func(p *script) {
			p.greet(roleSend, nil)
			p.send(frameOffer, &offerBody{Shape: shapeOne, Files: 1, Bytes: 5})
			p.send(frameEntry, &entryBody{ID: 1, Kind: entryFile, Name: "f", Size: 5})
			p.dataSum(1, 0, 0, []byte("hullo"), chunkSum([]byte("hello"), 0, false))
			p.fileEnd(1, []byte("hello"))
			p.send(frameEnd, &endBody{Entries: 1, Files: 1, Bytes: 5, Digest: fmt.Sprintf("%x", blake3Of([]byte("hello")))})
		})
		if KindOf(err) != KindLost {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSizeLimitOfSums: sizes that are too much together for a number are too much.
func TestSizeLimitOfSums(t *testing.T) {
	err := against(t, receiving(RecvOptions{Dir: t.TempDir(), MaxSize: 1000}), func(p *script) {
		p.greet(roleSend, func(h *helloBody) { h.Features = append(h.Features[:len(h.Features):len(h.Features)], featureSparse) })
		p.send(frameOffer, &offerBody{Shape: shapeMany, Files: -1, Bytes: -1})
		p.small(1, "a", []byte("x"))
		p.send(frameEntry, &entryBody{ID: 2, Kind: entryFile, Name: "b", Size: maxFileSize, Holes: maxFileSize})
		p.expectFail(KindPolicy)
	})
	wantKind(t, err, KindPolicy)
}
