package proto

import (
	"slices"
	"testing"
)

// The latest ACKs are answered, in order.
func TestACK2Queue(t *testing.T) {
	var q ack2Queue
	for n := range uint32(11) {
		q.push(n)
	}
	var got []uint32
	for q.n > 0 {
		got = append(got, q.pop())
	}
	if want := []uint32{3, 4, 5, 6, 7, 8, 9, 10}; !slices.Equal(got, want) {
		t.Errorf("answered %v, want %v", got, want)
	}
}

func TestACKHistory(t *testing.T) {
	var a ackSender
	a.init()
	if _, ok := a.confirm(0); ok {
		t.Error("an ACK2 for an ACK that was never sent is taken")
	}
	a.number = 0x7FFFFFFD
	for i := range 5 { // across the wrap to 0
		a.number = nextACKNumber(a.number)
		a.record(Instant(100+i), packetIndex(10+i))
	}
	if a.number != 2 || a.full != 14 || a.fullAt != 104 {
		t.Fatalf("after five ACKs: %+v", a)
	}
	if when, ok := a.confirm(0); !ok || when != 102 || a.confirmed != 12 {
		t.Errorf("ACK 0: sent at %d, ok %v; confirmed %d", when, ok, a.confirmed)
	}
	if _, ok := a.confirm(0); ok {
		t.Error("an ACK is confirmed twice")
	}
	if when, ok := a.confirm(0x7FFFFFFE); !ok || when != 100 || a.confirmed != 12 {
		t.Errorf("a late ACK2: sent at %d, ok %v; confirmed went back to %d", when, ok, a.confirmed)
	}
	if _, ok := a.confirm(3); ok {
		t.Error("an ACK2 for an ACK not sent yet is taken")
	}
	if _, ok := a.confirm(1 + ackHistorySize); ok {
		t.Error("the number of another ACK in the same place of the history is taken")
	}
	for range ackHistorySize {
		a.number = nextACKNumber(a.number)
		a.record(200, 20)
	}
	if _, ok := a.confirm(2); ok {
		t.Error("an ACK that has left the history is confirmed")
	}
}
