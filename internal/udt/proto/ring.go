package proto

// A chunkRing maps ascending chunk numbers to chunks. Numbers in use lie in a
// window that only moves up, so a power-of-two table indexed by the low bits
// serves; it grows with the window in use, not with what a peer announced.
type chunkRing[T any] struct {
	table []*T
	end   int64 // after the highest number ever put
}

const minRing = 8

// get returns chunk n, nil if there is none. Numbers below the window must not
// be asked for.
func (r *chunkRing[T]) get(n int64) *T {
	if n >= r.end {
		return nil
	}
	return r.table[int(n)&(len(r.table)-1)]
}

// put stores c under number n; first is the lowest number in use.
func (r *chunkRing[T]) put(first, n int64, c *T) {
	if need := int(n-first) + 1; need > len(r.table) {
		size := max(len(r.table), minRing)
		for size < need {
			size *= 2
		}
		old := r.table
		r.table = make([]*T, size)
		for i := range old {
			m := first + int64(i)
			r.table[int(m)&(size-1)] = old[int(m)&(len(old)-1)]
		}
	}
	r.table[int(n)&(len(r.table)-1)] = c
	r.end = max(r.end, n+1)
}

// clear forgets chunk n.
func (r *chunkRing[T]) clear(n int64) {
	if n < r.end {
		r.table[int(n)&(len(r.table)-1)] = nil
	}
}
