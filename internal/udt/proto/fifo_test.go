package proto

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// A fifo gives what was pushed in order, and keeps its memory in check.
func TestFIFO(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var f fifo[gap]
	var model []gap
	next := packetIndex(0)
	for range 200_000 {
		switch r.IntN(6) {
		case 0, 1:
			g := gap{first: next, end: next + 1}
			next++
			f.push(g)
			model = append(model, g)
		case 2, 3:
			if len(model) == 0 {
				break
			}
			if got := f.pop(); got != model[0] || len(f.all()) != len(model)-1 {
				t.Fatalf("popped %v, want %v", got, model[0])
			}
			model = model[1:]
		case 4:
			if len(model) > 300 { // keep it short
				for range 250 {
					f.pop()
				}
				model = model[250:]
			}
			if len(model) == 0 {
				break
			}
			g := f.pop()
			g.end++
			f.putBack(g)
			model = slices.Clone(model)
			model[0] = g
		case 5:
			if len(model) == 0 {
				break
			}
			if got := f.back(); got != model[len(model)-1] {
				t.Fatalf("%v at the back, want %v", got, model[len(model)-1])
			}
			f.dropBack()
			model = model[:len(model)-1]
		}
		if f.empty() != (len(model) == 0) || len(model) > 0 && f.front() != model[0] {
			t.Fatalf("empty %v, want %v", f.empty(), model)
		}
	}
	if cap(f.q) > 4096 {
		t.Errorf("memory for %d gaps, at most %d were waiting", cap(f.q), 600)
	}
	if f.clear(); !f.empty() || len(f.all()) != 0 {
		t.Errorf("%d left", len(f.all()))
	}
	var g fifo[gap]
	g.push(gap{first: 2})
	g.putBack(gap{first: 1})
	if a, b := g.pop(), g.pop(); a.first != 1 || b.first != 2 {
		t.Errorf("put back %v, then %v", a, b)
	}
}
