package proto

import "testing"

// Chunks in use go round; what was of no use from one relax to the next goes.
func TestChunkPool(t *testing.T) {
	var p chunkPool[recvChunk]
	if p.get() != nil {
		t.Fatal("an empty pool gives a chunk")
	}
	for range 100 {
		p.put(&recvChunk{})
	}
	p.relax() // they have just come
	if len(p.free) != 100 {
		t.Fatalf("%d chunks after the first look, want all", len(p.free))
	}
	for range 3 { // 30 are used
		for range 10 {
			var c [30]*recvChunk
			for i := range c {
				c[i] = p.get()
			}
			for i := range c {
				if c[i] == nil {
					t.Fatal("none left")
				}
				p.put(c[i])
			}
		}
		p.relax()
		if len(p.free) != 30 {
			t.Fatalf("%d chunks are kept, want the 30 in use", len(p.free))
		}
	}
	p.relax()
	if len(p.free) != 0 {
		t.Errorf("%d chunks are kept of which none was used", len(p.free))
	}
}
