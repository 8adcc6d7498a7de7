package transfer

import (
	"path/filepath"
	"slices"
	"testing"
)

// TestFill: whoever asks about much fills the path meanwhile, once, with the first question that makes it much; nobody
// else does.
func TestFill(t *testing.T) {
	const much = fillShare * fillSize
	big, bigOptions := oneFile(t, make([]byte, much))
	_, less := oneFile(t, make([]byte, much-1))
	tree := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		put(t, filepath.Join(tree, name), make([]byte, much/2))
	}
	small := t.TempDir()
	put(t, filepath.Join(small, "a"), make([]byte, much-1))
	for name, c := range map[string]struct {
		so    SendOptions
		early bool
		want  []frameType // questions and fills
	}{
		"lone":                       {bigOptions, true, []frameType{framePing}},
		"lone, less":                 {less, true, nil},
		"lone, to an older receiver": {bigOptions, false, []frameType{framePing, frameAsk}},
		"tree":                       {SendOptions{Paths: []string{tree}}, true, []frameType{frameAsk, frameAsk, framePing, frameAsk}},
		"tree, less":                 {SendOptions{Paths: []string{small}}, true, []frameType{frameAsk}},
		"one in a tree":              {SendOptions{Paths: []string{filepath.Dir(big)}}, true, []frameType{frameAsk, framePing}},
	} {
		err := against(t, sending(c.so), func(p *script) {
			says := withEarly
			if !c.early {
				says = withSkip
			}
			p.greet(roleRecv, says)
			var got []frameType
			for len(got) < len(c.want) {
				h, body, err := p.fr.next()
				if err != nil {
					t.Errorf("%s: %v", name, err)
					break
				}
				var ping pingBody
				switch h.kind {
				case frameAsk:
					got = append(got, h.kind)
				case framePing:
					if got = append(got, h.kind); parseBody(h.kind, body, &ping) != nil || len(ping.Fill) != fillSize {
						t.Errorf("%s: filled with %d bytes", name, len(ping.Fill))
					}
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: %v, want %v", name, got, c.want)
			}
			if c.early && (name == "lone" || name == "lone, less") { // answered; nothing of the kind comes after that
				p.send(frameSkip, &skipBody{First: 1, Count: 1})
				if slices.Contains(p.upToFile(), framePing) {
					t.Errorf("%s: filled again", name)
				}
			}
			p.end.Close()
		})
		if err == nil {
			t.Errorf("%s: it ended well without a receipt", name)
		}
	}
}

// TestFillIsATrain: the greeting of a large file, plain and in records of TLS, is what a UDT sender may send at once.
func TestFillIsATrain(t *testing.T) {
	_, so := oneFile(t, make([]byte, fillShare*fillSize))
	s := newSender(so)
	ln := &line{own: s.hello()}
	b, err := ln.greeting(modePlain)
	if err != nil {
		t.Fatal(err)
	}
	const payload, packets, record = 1456, 16, 22
	for name, n := range map[string]int{"plain": len(b), "secure": len(b) + (len(b)+1<<14-1)>>14*record} {
		if got := (n + payload - 1) / payload; got != packets {
			t.Errorf("%s: %d packets", name, got)
		}
	}
}
