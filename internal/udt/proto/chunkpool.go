package proto

// A chunkPool keeps chunks for reuse. In a steady stream the same ones go
// round; those that were of no use for a while are let go.
type chunkPool[T any] struct {
	free []*T
	low  int // least there were since the last relax
}

// get returns a chunk, nil if there is none.
func (p *chunkPool[T]) get() *T {
	n := len(p.free) - 1
	if n < 0 {
		return nil
	}
	c := p.free[n]
	p.free[n] = nil
	p.free = p.free[:n]
	p.low = min(p.low, n)
	return c
}

func (p *chunkPool[T]) put(c *T) { p.free = append(p.free, c) }

// relax lets go what nobody has wanted since it was called last.
func (p *chunkPool[T]) relax() {
	n := len(p.free) - p.low
	clear(p.free[n:])
	p.free = p.free[:n]
	p.low = n
}
