package proto

import (
	"bytes"
	"slices"
	"testing"
)

func TestNextLoss(t *testing.T) {
	// The example of draft-gg-udt-03, section 3.2.5, and a range across the wrap.
	body := unhex(t, "00000002 80000006 0000000b 0000000e fffffff3 00000008")
	want := []SeqRange{{2, 2}, {6, 11}, {14, 14}, {0x7ffffff3, 8}}
	var got []SeqRange
	var again []byte
	for rest := body; ; {
		r, next, ok := NextLoss(rest)
		if !ok {
			break
		}
		got, again, rest = append(got, r), AppendLoss(again, r), next
	}
	if !slices.Equal(got, want) {
		t.Errorf("read as %v", got)
	}
	if !bytes.Equal(again, body) {
		t.Errorf("written as %x", again)
	}
}

func TestNextLossMalformed(t *testing.T) {
	for _, body := range []string{
		"",
		"000000",            // not a word
		"80000001",          // a range without its end
		"80000001 000000",   // with a part of it
		"80000001 80000002", // two beginnings
	} {
		if r, _, ok := NextLoss(unhex(t, body)); ok {
			t.Errorf("%q: read as %v", body, r)
		}
	}
	// A range with equal ends is odd but clear.
	if r, rest, ok := NextLoss(unhex(t, "80000005 00000005 01")); !ok || r != (SeqRange{5, 5}) || len(rest) != 1 {
		t.Errorf("5 to 5: %v, rest %x, ok %v", r, rest, ok)
	}
}
