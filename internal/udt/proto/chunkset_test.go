package proto

import (
	"math/rand/v2"
	"testing"
)

// A window that moves over the numbers, as acknowledgements move it, with
// members added and removed anywhere in it.
func TestChunkSetModel(t *testing.T) {
	for _, room := range []int{8, 64, 128, 4096, 8192, 1 << 18} {
		r := rand.New(rand.NewPCG(uint64(room), 1))
		s := makeChunkSet(room)
		members := map[int64]bool{}
		from := int64(room) - 3
		for range 3000 {
			n := from + int64(r.IntN(room))
			switch r.IntN(4) {
			case 0, 1:
				s.add(n)
				members[n] = true
			case 2:
				s.remove(n)
				delete(members, n)
				if first, ok := s.first(from); ok && r.IntN(2) == 0 {
					s.remove(first)
					delete(members, first)
				}
			case 3:
				to := from + int64(r.IntN(room/8+1))
				for k := range members {
					if k < to {
						s.remove(k)
						delete(members, k)
					}
				}
				from = to
			}
			want, found := int64(0), false
			for k := range members {
				if !found || k < want {
					want, found = k, true
				}
			}
			if got, ok := s.first(from); ok != found || ok && got != want {
				t.Fatalf("room %d: first from %d is %d (%v), want %d (%v)", room, from, got, ok, want, found)
			}
		}
	}
	var s chunkSet
	if _, ok := s.first(5); ok {
		t.Error("the zero set has a member")
	}
}
