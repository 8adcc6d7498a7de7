package simnet

import (
	"math/rand/v2"
	"testing"
)

func TestEventsAreFIFOByTime(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var q events
	added, taken := 0, 0
	for range 200 {
		base := int64(taken)
		for range rng.IntN(100) {
			q.add(base+rng.Int64N(20), packet{port: uint16(added)})
			added++
		}
		lastAt, lastPort := int64(-1), uint16(0)
		for range rng.IntN(len(q.heap) + 1) {
			at, ok := q.first()
			p := q.take()
			if !ok || at < lastAt || at == lastAt && p.port < lastPort {
				t.Fatalf("number %d at %d comes after %d at %d", p.port, at, lastPort, lastAt)
			}
			lastAt, lastPort = at, p.port
			taken++
		}
	}
	for len(q.heap) > 0 {
		q.take()
		taken++
	}
	if _, ok := q.first(); ok || taken != added {
		t.Errorf("added %d, took %d", added, taken)
	}
}
