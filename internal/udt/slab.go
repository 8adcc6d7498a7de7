package udt

import (
	"sync"

	"github.com/udtcp/udtcp/internal/udt/udpio"
)

// readMessages is how many messages a read takes at most; each may be a run of
// packets that the kernel put together.
const readMessages = 8

// A slab is the memory of a read from a socket with GRO.
type slab [readMessages * udpio.MaxRead]byte

// slabs are those of all endpoints: at half a megabyte each, only those that
// have something to read should have one.
var slabs = sync.Pool{New: func() any { return new(slab) }}

// slabLender lends an endpoint's reader a slab; it is a udpio.Lender.
type slabLender struct{ slab *slab }

func (l *slabLender) Lend(ms []udpio.Message) {
	l.slab, _ = slabs.Get().(*slab)
	cut(ms, l.slab[:])
}

func (l *slabLender) TakeBack(ms []udpio.Message) {
	for i := range ms {
		ms[i].Buf = nil
	}
	if l.slab != nil {
		slabs.Put(l.slab)
		l.slab = nil
	}
}

// cut gives every message an equal part of b.
func cut(ms []udpio.Message, b []byte) {
	size := len(b) / len(ms)
	for i := range ms {
		ms[i].Buf = b[i*size : (i+1)*size : (i+1)*size]
	}
}
