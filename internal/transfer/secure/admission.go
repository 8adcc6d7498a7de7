package secure

import (
	"net/netip"
	"slices"
	"sync"
)

const (
	maxPending = 64 // handshakes with strangers at once
	maxSource  = 4  // of these, from one IPv4 address or IPv6 /64
)

// Admission bounds the handshakes that go on with peers not known yet. There is always room for one more: it takes the
// place of the oldest, of its own source where that has its share already. A friend needs a few round trips, so it is
// gone before its turn comes; who stalls makes room. The zero value is ready, and safe for many goroutines.
type Admission struct {
	mu      sync.Mutex
	pending []*pending // the oldest first
}

type pending struct {
	source netip.Prefix
	evict  func()
}

// Enter registers a handshake with a peer at addr, and perhaps calls the evict of another. leave, to be called when the
// handshake is over, says whether the place was kept until then.
func (a *Admission) Enter(addr netip.Addr, evict func()) (leave func() bool) {
	p := &pending{source: sourceOf(addr), evict: evict}
	if victim := a.enter(p); victim != nil {
		victim.evict()
	}
	return func() bool { return a.leave(p) }
}

func (a *Admission) enter(p *pending) (victim *pending) {
	a.mu.Lock()
	defer a.mu.Unlock()
	oldest, same := -1, 0
	for i, q := range a.pending {
		if q.source == p.source {
			if same == 0 {
				oldest = i
			}
			same++
		}
	}
	switch {
	case same >= maxSource:
	case len(a.pending) >= maxPending:
		oldest = 0
	default:
		oldest = -1
	}
	if oldest >= 0 {
		victim = a.pending[oldest]
		a.pending = slices.Delete(a.pending, oldest, oldest+1)
	}
	a.pending = append(a.pending, p)
	return victim
}

func (a *Admission) leave(p *pending) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.Index(a.pending, p)
	if i >= 0 {
		a.pending = slices.Delete(a.pending, i, i+1)
	}
	return i >= 0
}

// sourceOf is the part of an address that tells one source from another: whoever has an IPv6 address has a /64.
func sourceOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address at all
	}
	return p
}
