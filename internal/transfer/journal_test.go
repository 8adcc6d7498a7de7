package transfer

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"
)

// sampleJournal is the text of a journal with some records.
func sampleJournal(t testing.TB, id identity, records ...int) []byte {
	t.Helper()
	text, sum, err := journalHead(&id)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range records {
		values := make([][32]byte, n)
		for k := range values {
			values[k] = [32]byte(randomBytes(uint64(100*i+k), 32))
		}
		var r []byte
		r, sum = journalRecord(sum, values)
		text = append(text, r...)
	}
	return text
}

var sampleIdentity = identity{Name: "f", Size: 10*minChunk + 1, Stamp: 1234567890, Chunk: minChunk}

// parsed is what parseJournal made of a text, and the text that would be written for it.
func parsed(t testing.TB, text []byte) (end journalEnd, again []byte, err error) {
	t.Helper()
	var sum journalSum
	end, err = parseJournal(bytes.NewReader(text), func(id identity) bool {
		var headErr error
		if again, sum, headErr = journalHead(&id); headErr != nil {
			t.Error(headErr)
		}
		return true
	}, func(first int64, values [][32]byte) bool {
		var r []byte
		r, sum = journalRecord(sum, values)
		again = append(again, r...)
		return true
	})
	return end, again, err
}

func TestJournal(t *testing.T) {
	text := sampleJournal(t, sampleIdentity, 1, 4, 6)
	end, again, err := parsed(t, text)
	if err != nil || end.chunks != 11 || end.bytes != int64(len(text)) || !bytes.Equal(again, text) {
		t.Errorf("%+v, %v", end, err)
	}
	// One more than the file has.
	end, _, err = parsed(t, sampleJournal(t, sampleIdentity, 1, 4, 7))
	if err != nil || end.chunks != 5 {
		t.Errorf("%+v, %v", end, err)
	}
	// A record is not taken: neither are those behind.
	calls := 0
	end, err = parseJournal(bytes.NewReader(text), func(identity) bool { return true }, func(first int64, _ [][32]byte) bool {
		calls++
		return first != 1
	})
	if err != nil || end.chunks != 1 || calls != 2 {
		t.Errorf("%+v, %v, %d calls", end, err, calls)
	}
	if _, err = parseJournal(bytes.NewReader(text), func(identity) bool { return false }, nil); !errors.Is(err, errForeignJournal) {
		t.Error(err)
	}
	// A failing disk is no foreign journal.
	for n := range len(text) {
		r := io.MultiReader(bytes.NewReader(text[:n]), iotest.ErrReader(io.ErrNoProgress))
		_, err := parseJournal(r, func(identity) bool { return true }, func(int64, [][32]byte) bool { return true })
		if !errors.Is(err, io.ErrNoProgress) {
			t.Fatalf("fails after %d bytes: %v", n, err)
		}
	}
}

// TestJournalDamaged cuts a journal at every length, and spoils every byte of it: what still counts is a beginning of it.
func TestJournalDamaged(t *testing.T) {
	text := sampleJournal(t, sampleIdentity, 1, 4, 6)
	_, head, err := parsed(t, sampleJournal(t, sampleIdentity))
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, at int, bad []byte) {
		end, again, err := parsed(t, bad)
		switch {
		case at < len(head):
			if !errors.Is(err, errForeignJournal) {
				t.Fatalf("%s at %d: %v", what, at, err)
			}
		case err != nil || end.bytes > int64(at) || !bytes.HasPrefix(text, again) || int64(len(again)) != end.bytes:
			t.Fatalf("%s at %d: %+v, %v", what, at, end, err)
		}
	}
	for at := range text {
		check("cut", at, text[:at])
		for _, bit := range []byte{1, 0x80} {
			bad := slices.Clone(text)
			bad[at] ^= bit
			check("spoilt", at, bad)
		}
	}
}

func FuzzJournal(f *testing.F) {
	f.Add(sampleJournal(f, sampleIdentity))
	f.Add(sampleJournal(f, sampleIdentity, 1, 4, 6))
	f.Add(sampleJournal(f, identity{Chunk: maxChunk}, 3))
	f.Fuzz(func(t *testing.T, text []byte) {
		end, again, err := parsed(t, text)
		if err != nil {
			return
		}
		if !bytes.Equal(again, text[:end.bytes]) {
			t.Fatalf("%x does not come out as it went in: %x", text[:end.bytes], again)
		}
		if end.chunks > maxRecord*int64(len(text)) {
			t.Fatalf("%d chunks of %d bytes", end.chunks, len(text))
		}
	})
}
