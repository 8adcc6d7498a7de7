package transfer

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// oneFile makes a file and the options to send it.
func oneFile(t testing.TB, content []byte) (string, SendOptions) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path, SendOptions{Paths: []string{path}}
}

// takeAll reads the sender's frames up to the end, as a receiver would.
func takeAll(p *script) (end endBody) {
	p.expect(frameEnd, &end)
	return end
}

func TestSendScript(t *testing.T) {
	_, o := oneFile(t, []byte("hello"))
	o.Preserve = true
	err := against(t, sending(o), func(p *script) {
		if h := p.greet(roleRecv, nil); h.Role != roleSend || h.Chunk != minChunk {
			t.Errorf("hello %+v", h)
		}
		var offer offerBody
		p.expect(frameOffer, &offer)
		if offer != (offerBody{Shape: shapeOne, Files: 1, Bytes: 5}) {
			t.Errorf("%+v", offer)
		}
		var e entryBody
		p.expect(frameEntry, &e)
		if e.ID != 1 || e.Name != "f" || e.Size != 5 || *e.Mode != 0o644 || time.Since(time.Unix(*e.Mtime, 0)) > time.Hour {
			t.Errorf("%+v", e)
		}
		p.expect(frameData, nil)
		var fe fileEndBody
		p.expect(frameFileEnd, &fe)
		if sum := blake3Of([]byte("hello")); fe.ID != 1 || fe.Size != 5 || !bytes.Equal(fe.Digest, sum[:]) || fe.SHA256 != nil {
			t.Errorf("%+v", fe)
		}
		end := takeAll(p)
		p.send(frameTaken, &takenBody{Bytes: 5})
		p.send(frameReceipt, &receiptBody{UpTo: 1})
		p.send(frameDone, &doneBody{Files: end.Files, Bytes: end.Bytes, Digest: end.Digest})
		p.expect(frameBye, nil)
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSendStateMachine(t *testing.T) {
	done := func(end endBody) *doneBody { return &doneBody{Files: end.Files, Bytes: end.Bytes, Digest: end.Digest} }
	for name, c := range map[string]struct {
		kind Kind
		do   func(p *script)
	}{
		"done at once":         {KindIntegrity, func(p *script) { p.expect(frameOffer, nil); p.send(frameDone, &doneBody{}) }},
		"receipt for nothing":  {KindIntegrity, func(p *script) { p.send(frameReceipt, &receiptBody{UpTo: 9}) }},
		"done without receipt": {KindIntegrity, func(p *script) { p.send(frameDone, done(takeAll(p))) }},
		"other digest":         {KindIntegrity, func(p *script) { end := takeAll(p); end.Digest = "\x1b"; p.receipt(1); p.send(frameDone, done(end)) }},
		"other count":          {KindIntegrity, func(p *script) { end := takeAll(p); end.Files++; p.receipt(1); p.send(frameDone, done(end)) }},
		"entry":                {KindIntegrity, func(p *script) { p.send(frameEntry, &entryBody{ID: 1, Name: "x"}) }},
		"data":                 {KindIntegrity, func(p *script) { p.data(1, 0, 0, []byte("x")) }},
		"hello again":          {KindIntegrity, func(p *script) { p.send(frameHello, ownHello(roleRecv, BLAKE3, "")) }},
		"again for nobody":     {KindIntegrity, func(p *script) { takeAll(p); p.send(frameAgain, &againBody{ID: 7, Length: 5}) }},
		"again too long":       {KindIntegrity, func(p *script) { takeAll(p); p.send(frameAgain, &againBody{ID: 1, Length: 6}) }},
		"again behind the end": {KindIntegrity, func(p *script) { takeAll(p); p.send(frameAgain, &againBody{ID: 1, Offset: minChunk, Length: 5}) }},
		"again between chunks": {KindIntegrity, func(p *script) { takeAll(p); p.send(frameAgain, &againBody{ID: 1, Offset: 3, Length: 2}) }},
		"failure": {KindRemoteIO, func(p *script) {
			p.send(frameFail, &failBody{Kind: uint8(KindLocalIO), Msg: "no space left on device"})
		}},
		"refusal":                  {KindPolicy, func(p *script) { p.send(frameFail, &failBody{Kind: uint8(KindPolicy), Path: "f", Msg: "it exists"}) }},
		"end before all was sent":  {KindLost, func(p *script) {}},
		"end before the receipt":   {KindUnknown, func(p *script) { takeAll(p) }},
		"end before the last word": {KindUnknown, func(p *script) { takeAll(p); p.receipt(1) }},
	} {
		t.Run(name, func(t *testing.T) {
			content := []byte("hello")
			if c.kind == KindLost {
				content = randomBytes(1, 30*minChunk) // more than the wire holds
			}
			_, o := oneFile(t, content)
			err := against(t, sending(o), func(p *script) {
				p.greet(roleRecv, nil)
				c.do(p)
				if c.kind == KindIntegrity {
					p.expectFail(c.kind)
				}
			})
			wantKind(t, err, c.kind)
			if err != nil && strings.Contains(err.Error(), "\x1b") {
				t.Errorf("%q", err)
			}
		})
	}
}

func (p *script) receipt(upTo uint64) {
	p.t.Helper()
	p.send(frameReceipt, &receiptBody{UpTo: upTo})
}

// TestSendAsksWithoutEnd: a receiver cannot make the sender send for ever.
func TestSendAsksWithoutEnd(t *testing.T) {
	_, o := oneFile(t, []byte("hello"))
	err := against(t, sending(o), func(p *script) {
		p.greet(roleRecv, nil)
		takeAll(p)
		for range maxAsks + maxRepairs + 1 {
			p.send(frameAgain, &againBody{ID: 1, Length: 5})
		}
		p.expectFail(KindIntegrity)
	})
	wantKind(t, err, KindIntegrity)
}

// TestSendBounded: without receipts the sender stops after the agreed number of entries.
func TestSendBounded(t *testing.T) {
	src := filepath.Join(t.TempDir(), "top")
	for i := range 20 {
		put(t, filepath.Join(src, fmt.Sprintf("%02d", i)), nil)
	}
	err := against(t, sending(SendOptions{Paths: []string{src}}), func(p *script) {
		p.greet(roleRecv, func(h *helloBody) { h.Outstanding = 3 })
		p.expect(frameOffer, nil)
		p.expect(frameEntry, nil) // the directory
		p.expect(frameEntry, nil)
		p.expect(frameEntry, nil)
		p.expect(frameFileEnd, nil)
		if p.fr.j != p.fr.i {
			t.Error("more entries than agreed")
		}
		for i := range uint64(20) {
			p.receipt(i + 1)
			if i < 18 {
				p.expect(frameFileEnd, nil)
			}
		}
		end := takeAll(p)
		p.receipt(22)
		p.send(frameDone, &doneBody{Files: end.Files, Bytes: end.Bytes, Digest: end.Digest})
		p.expect(frameBye, nil)
	})
	if err != nil {
		t.Error(err)
	}
}

// TestLateTotals has a tree whose count takes longer than the sender waits.
func TestLateTotals(t *testing.T) {
	src := filepath.Join(t.TempDir(), "top")
	put(t, filepath.Join(src, "a"), []byte("x"))
	info, err := os.Stat(src)
	if err != nil {
		t.Fatal(err)
	}
	s := &sender{session: newSession(newWire(1 << 16).a), totals: make(chan totals, 1), progress: new(Progress), sources: []source{{info: info}}}
	s.seal = make(chan parcel, 3)
	if err := s.offerTotals(totals{-1, -1}); err != nil {
		t.Fatal(err)
	}
	if err := s.lateOffer(); err != nil || len(s.seal) != 1 {
		t.Errorf("an offer without totals: %v", err)
	}
	s.totals <- totals{1, 1}
	if err := s.lateOffer(); err != nil || len(s.seal) != 2 {
		t.Errorf("no offer with totals: %v", err)
	}

	// And the receiver takes the two.
	var p Progress
	err = against(t, receiving(RecvOptions{Dir: t.TempDir(), Progress: &p}), func(sc *script) {
		sc.greet(roleSend, nil)
		offerMany(sc)
		sc.small(1, "a", []byte("x"))
		sc.send(frameOffer, (<-s.seal).ctl)
		sc.send(frameOffer, (<-s.seal).ctl)
		sc.send(frameEnd, &endBody{Entries: 1, Files: 1, Bytes: 1, Digest: fmt.Sprintf("%x", blake3Of([]byte("x")))})
		sc.expect(frameDone, nil)
		sc.send(frameBye, &byeBody{})
	})
	if err != nil || p.Total() != 1 || p.TotalFiles() != 1 {
		t.Errorf("%v, total %d", err, p.Total())
	}
}
