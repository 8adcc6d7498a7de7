package proto

import "testing"

func TestBitRange(t *testing.T) {
	for from := range 65 {
		for to := range 65 {
			var want uint64
			for i := from; i < to; i++ {
				want |= 1 << i
			}
			if got := bitRange(from, to); got != want {
				t.Fatalf("bits %d to %d: %#x, want %#x", from, to, got, want)
			}
		}
	}
}

func TestFirstSet(t *testing.T) {
	for i := range 64 {
		if got := firstSet(^uint64(0) << i); got != i {
			t.Errorf("first set bit of all from %d: %d", i, got)
		}
	}
	if got := firstSet(0); got != 64 {
		t.Errorf("first set bit of none: %d", got)
	}
}
