//go:build linux

package main

import (
	"math/rand/v2"
	"testing"
)

func TestFlightIsFIFOByTime(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var f flight
	added, taken := 0, 0
	lastAt, lastSize := int64(-1), -1
	for added < 2000 || taken < added {
		if added < 2000 && rng.IntN(2) == 0 {
			p := f.get()
			p.size = added // tells the order of sending
			f.add(max(0, lastAt)+rng.Int64N(20), p)
			added++
			continue
		}
		at, ok := f.first()
		if !ok {
			continue
		}
		p := f.take()
		if p.at != at || at < lastAt || at == lastAt && p.size < lastSize {
			t.Fatalf("number %d at %d comes after %d at %d; first said %d", p.size, p.at, lastSize, lastAt, at)
		}
		lastAt, lastSize = at, p.size
		f.put(p)
		taken++
	}
	if _, ok := f.first(); ok || len(f.spare) >= added {
		t.Errorf("%d packets were made for %d", len(f.spare), added)
	}
}

func TestCopyIsApart(t *testing.T) {
	var f flight
	p := f.get()
	p.size = copy(p.buf[:], "0123456789packet")
	c := f.copyOf(p)
	clear(p.buf[:])
	if string(c.packet()) != "packet" {
		t.Errorf("got %q", c.packet())
	}
}
