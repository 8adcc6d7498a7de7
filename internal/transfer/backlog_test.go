package transfer

import (
	"bytes"
	"net"
	"runtime"
	"sync"
	"testing"
)

func TestBacklog(t *testing.T) {
	b := newBacklog(3)
	stop := make(chan struct{})
	for i := range uint64(3) {
		e := &outbound{}
		if !b.add(e, stop) || e.ID != i+1 || b.find(e.ID) != e {
			t.Fatal("entry", i)
		}
	}
	if b.find(0) != nil || b.find(4) != nil || b.last() != 3 || b.empty() {
		t.Error("entries that are not there")
	}
	close(stop)
	if b.add(&outbound{}, stop) {
		t.Error("a fourth of three")
	}
	if b.pop(0) != nil || b.pop(2).ID != 1 || b.pop(2).ID != 2 || b.pop(2) != nil || b.pop(9).ID != 3 || b.pop(9) != nil || !b.empty() {
		t.Error("popped in another order")
	}
	if e := (&outbound{}); !b.add(e, make(chan struct{})) || e.ID != 4 {
		t.Error("no room after receipts")
	}
}

func TestLedger(t *testing.T) {
	l := newLedger(2)
	a, b := &inbound{}, &inbound{}
	if !l.add(a) || !l.add(b) || l.add(&inbound{}) {
		t.Fatal("room for two")
	}
	l.finish([]*inbound{b})
	if l.pop() != nil {
		t.Error("a receipt out of order")
	}
	l.finish([]*inbound{a})
	if l.pop() != a || l.pop() != b || l.pop() != nil {
		t.Error("popped in another order")
	}
}

func TestKeep(t *testing.T) {
	k := &keep{pool: newPool(2, 2)}
	a, b := k.pool.try(), k.pool.try()
	a.n, b.n, b.offset = 10, 5, 10
	k.add(a)
	k.add(b)
	if k.pool.try() != nil || k.lend(5, 5) != nil || k.lend(10, 4) != nil {
		t.Error("chunks that are not there")
	}
	if k.release(10) {
		t.Error("a chunk is free while it is being written")
	}
	k.back(a)
	if k.pool.try() != a || k.len() != 1 {
		t.Error("a chunk is not free though written and taken")
	}
	k.back(b)
	for range 2 {
		if k.lend(10, 5) != b {
			t.Error("a chunk is not lent twice")
		}
	}
	k.release(15)
	k.back(b)
	if k.pool.try() != nil {
		t.Error("a chunk is free while it is being written again")
	}
	k.back(b)
	if k.pool.try() != b {
		t.Error("a chunk is never free")
	}
}

func TestPool(t *testing.T) {
	p := newPool(1, 3)
	stop := make(chan struct{})
	a := p.get(stop)
	if p.try() != nil {
		t.Error("two of one")
	}
	p.grow(1)
	if b := p.get(stop); b == nil || b == a || p.try() != nil {
		t.Error("it did not grow by one")
	}
	got := make(chan *chunk)
	go func() { got <- p.get(stop) }()
	a.n, a.piece = 5, true
	p.put(a)
	if c := <-got; c != a || c.n != 0 || c.piece {
		t.Error("a chunk comes back as it was")
	}
	close(stop)
	if p.get(stop) != nil {
		t.Error("a chunk after the end")
	}
}

// TestNoAllocationPerChunk compares a long stream with a short one.
func TestNoAllocationPerChunk(t *testing.T) {
	run := func(chunks int) uint64 {
		var before, after runtime.MemStats
		x, y := net.Pipe()
		var out countWriter
		in := bytes.NewReader(make([]byte, chunks*minChunk))
		runtime.ReadMemStats(&before)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := Send(t.Context(), x, SendOptions{Paths: []string{"-"}, Stdin: in}); err != nil {
				t.Error(err)
			}
		})
		if _, err := Recv(t.Context(), y, RecvOptions{Stdout: &out}); err != nil {
			t.Error(err)
		}
		wg.Wait()
		runtime.ReadMemStats(&after)
		if out != countWriter(chunks*minChunk) {
			t.Errorf("%d bytes", out)
		}
		return after.Mallocs - before.Mallocs
	}
	run(10)
	short, long := run(100), run(400)
	if each := float64(int64(long-short)) / 300; each > 3 { // what the race detector's build and the runtime add included
		t.Errorf("%.1f allocations a chunk", each)
	} else {
		t.Logf("%.2f allocations a chunk, both ends together", each)
	}
}

type countWriter int

func (w *countWriter) Write(b []byte) (int, error) { *w += countWriter(len(b)); return len(b), nil }
