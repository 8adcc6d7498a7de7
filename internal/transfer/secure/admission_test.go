package secure

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
)

// room enters handshakes and tells which were evicted.
type room struct {
	Admission
	evicted []int
	n       int
}

func (r *room) enter(addr string) func() bool {
	i := r.n
	r.n++
	return r.Enter(netip.MustParseAddr(addr), func() { r.evicted = append(r.evicted, i) })
}

func TestAdmissionOfOneSource(t *testing.T) {
	for _, same := range [][2]string{
		{"192.0.2.1", "192.0.2.1"}, {"192.0.2.1", "::ffff:192.0.2.1"}, {"2001:db8::1", "2001:db8::ffff:1"}, {"fe80::1%eth0", "fe80::2%eth1"},
	} {
		var r room
		first := r.enter(same[0])
		for range maxSource - 1 {
			r.enter(same[1])
		}
		if len(r.evicted) != 0 {
			t.Errorf("%v: evicted too early", same)
		}
		if r.enter(same[0]); fmt.Sprint(r.evicted) != "[0]" {
			t.Errorf("%v: evicted %v", same, r.evicted)
		}
		if first() {
			t.Error("an evicted handshake counts")
		}
	}
	var r room
	for i := range 10 {
		r.enter(fmt.Sprintf("192.0.2.%d", i))
		r.enter(fmt.Sprintf("2001:db8:0:%d::1", i))
	}
	if len(r.evicted) != 0 {
		t.Errorf("different sources are taken for one: %v", r.evicted)
	}
}

func TestAdmissionInAll(t *testing.T) {
	var r room
	leave := make([]func() bool, maxPending)
	for i := range leave {
		leave[i] = r.enter(fmt.Sprintf("10.0.0.%d", i))
	}
	if len(r.evicted) != 0 || !leave[0]() {
		t.Fatalf("evicted %v", r.evicted)
	}
	if r.enter("10.0.1.0"); len(r.evicted) != 0 {
		t.Errorf("a place that was left counts: %v", r.evicted)
	}
	r.enter("10.0.1.1")
	r.enter("10.0.1.2")
	if fmt.Sprint(r.evicted) != "[1 2]" {
		t.Errorf("evicted %v, want the oldest", r.evicted)
	}
	if len(r.pending) != maxPending {
		t.Errorf("%d pending", len(r.pending))
	}
	if leave[1]() || !leave[3]() {
		t.Error("leave tells nothing of eviction")
	}
}

func TestAdmissionConcurrently(t *testing.T) {
	var a Admission
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			a.Enter(netip.AddrFrom4([4]byte{10, 0, byte(i % 40), 1}), func() {})()
		})
	}
	wg.Wait()
	if len(a.pending) != 0 {
		t.Errorf("%d pending", len(a.pending))
	}
}
