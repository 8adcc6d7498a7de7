package proto

import (
	"math/rand/v2"
	"testing"
)

func TestSeqArithmetic(t *testing.T) {
	const top = Seq(SeqMask)
	for _, c := range []struct {
		a, b   Seq
		sub    int
		before bool
	}{
		{0, 0, 0, false},
		{1, 0, 1, false},
		{0, 1, -1, true},
		{0, top, 1, false}, // 0 follows 0x7FFFFFFF
		{top, 0, -1, true},
		{5, top - 4, 10, false},
		{top - 4, 5, -10, true},
		{1<<30 - 1, 0, 1<<30 - 1, false},
		{1 << 30, 0, -1 << 30, true}, // exactly half way round
		{top, 1 << 30, 1<<30 - 1, false},
	} {
		if got := c.a.Sub(c.b); got != c.sub {
			t.Errorf("%#x - %#x = %d, want %d", c.a, c.b, got, c.sub)
		}
		if got := c.a.Before(c.b); got != c.before {
			t.Errorf("%#x before %#x: %v", c.a, c.b, got)
		}
		if got := c.b.Add(c.sub); got != c.a {
			t.Errorf("%#x + %d = %#x, want %#x", c.b, c.sub, got, c.a)
		}
	}
}

func TestSeqSubUndoesAdd(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 100_000 {
		s, n := Seq(r.Uint32()&SeqMask), r.IntN(1<<31)-1<<30
		if sum := s.Add(n); sum > SeqMask || sum.Sub(s) != n {
			t.Fatalf("%#x + %d = %#x, whose distance is %d", s, n, sum, sum.Sub(s))
		}
	}
}

// An index survives the way over the wire, however many times the sequence
// numbers have wrapped.
func TestIndexOfSeq(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	for range 100_000 {
		isn := Seq(r.Uint32() & SeqMask)
		near := packetIndex(r.Int64N(1 << r.IntN(40)))
		i := near + packetIndex(r.IntN(1<<31)-1<<30)
		if got := indexOf(i.seqOf(isn), isn, near); got != i {
			t.Fatalf("packet %d, ISN %#x, has number %#x, which near %d is packet %d", i, isn, i.seqOf(isn), near, got)
		}
	}
}
