package proto

import (
	"math/rand/v2"
	"testing"
)

// A ring behaves as a map of the numbers in its window.
func TestChunkRing(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var ring chunkRing[int64]
		model := map[int64]*int64{}
		first := r.Int64N(1 << 40)
		last := first - 1
		for range 500 {
			switch n := first + r.Int64N(1<<r.IntN(8)); r.IntN(3) {
			case 0: // out of order, with holes
				if ring.get(n) == nil {
					v := n
					ring.put(first, n, &v)
					model[n], last = &v, max(last, n)
				}
			case 1:
				ring.clear(n)
				delete(model, n)
			case 2: // the window moves up
				for move := r.Int64N(1 << r.IntN(6)); move > 0; move-- {
					ring.clear(first)
					delete(model, first)
					first++
				}
			}
			for n := first; n < max(last, first)+300; n++ {
				if ring.get(n) != model[n] {
					t.Fatalf("seed %d: chunk %d of %d to %d: %v, want %v", seed, n, first, last, ring.get(n), model[n])
				}
			}
		}
		if len(ring.table) > 512 {
			t.Fatalf("seed %d: the table has %d entries for a window of 128", seed, len(ring.table))
		}
	}
}
