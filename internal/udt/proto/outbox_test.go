package proto

import (
	"encoding/hex"
	"slices"
	"testing"
)

// user is a user packet in a test.
func user(kind uint16, words ...uint32) UserPacket { return UserPacket{Kind: kind, Words: words} }

// take returns what was sent since the last look, in hexadecimal.
func (s *script) wire() (out []string) {
	s.step()
	for _, p := range s.sent {
		out = append(out, hex.EncodeToString(p.b))
	}
	s.sent = nil
	return out
}

// What the user sends goes out as libudt packs it, in order.
func TestOutbox(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.wire()
	if _, set := s.c.NextTimeout(); !set {
		t.Fatal("no timeout")
	}
	if !s.c.SendUser(user(0x1234, 1, 0xdeadbeef)) || !s.c.SendUser(user(0)) || !s.c.SendError(4000) {
		t.Fatal("refused")
	}
	if at, set := s.c.NextTimeout(); !set || at > s.now {
		t.Errorf("next timeout %v, want now", at)
	}
	want := []string{
		"ffff1234" + "00000000" + "00000000" + "00000309" + "00000001" + "deadbeef",
		"ffff0000" + "00000000" + "00000000" + "00000309" + "00000000",
		"80080000" + "00000fa0" + "00000000" + "00000309" + "00000000",
	}
	if got := s.wire(); !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
	if got := s.wire(); len(got) != 0 {
		t.Errorf("sent again: %q", got)
	}
}

// There is a bound to how much waits and to how long it is, and an end.
func TestOutboxIsBounded(t *testing.T) {
	cfg := testConfig(1)
	most := (cfg.MSS - IPUDPHeaders - HeaderSize) / 4
	s := newConnectedScript(t, cfg)
	if s.c.SendUser(user(1, make([]uint32, most+1)...)) {
		t.Error("took more than a packet")
	}
	if !s.c.SendUser(user(1, make([]uint32, most)...)) {
		t.Error("refused a packet")
	}
	n := 1
	for s.c.SendUser(user(1)) {
		n++
	}
	if n != maxOutbox || s.c.SendError(1) {
		t.Errorf("took %d packets, want %d", n, maxOutbox)
	}
	if got := s.wire(); len(got) != n {
		t.Errorf("sent %d packets of %d", len(got), n)
	}
	if !s.c.SendUser(user(1)) {
		t.Error("refused one after all were sent")
	}
	s.c.Abort(s.now)
	if s.c.SendUser(user(1)) || s.c.SendError(1) {
		t.Error("took one after the end")
	}
	c := NewClient(0, cfg)
	if c.SendUser(user(1)) {
		t.Error("took one before there was a connection")
	}
}

// A blocking client of libudt dies of what comes before it is connected (trap
// H2): it is kept back as data are.
func TestOutboxWaitsForTheClient(t *testing.T) {
	s := newServerScript(t, testConfig(1))
	s.sent = nil
	s.c.SendUser(user(5, 6))
	if got := s.wire(); len(got) != 0 {
		t.Fatalf("sent %q before the client was heard from", got)
	}
	at, set := s.c.NextTimeout()
	if !set || at <= s.now {
		t.Fatalf("next timeout %v", at)
	}
	s.control(TypeKeepAlive, 0, 0)
	if !slices.ContainsFunc(s.sent, func(p sentPacket) bool { return p.b[0] == 0xff }) {
		t.Error("not sent once the client was heard from")
	}
}

// What comes is kept for the application, as far as it wants.
func TestInbox(t *testing.T) {
	cfg := testConfig(1)
	cfg.UserQueue = 2
	s := newConnectedScript(t, cfg)
	for i := range uint32(5) {
		c := Control{Type: TypeUser, Ext: uint16(i), Dst: 1, Body: []byte{0, 0, 0, byte(i), 9, 9}} // half a word counts for nothing
		s.give(c.Append(nil))
	}
	for i := range uint32(2) {
		p, ok := s.c.TakeUser()
		if !ok || uint32(p.Kind) != i || !slices.Equal(p.Words, []uint32{i}) {
			t.Errorf("%+v, %v", p, ok)
		}
	}
	if p, ok := s.c.TakeUser(); ok {
		t.Errorf("%+v too many", p)
	}
	s.give(Control{Type: TypeUser, Ext: 7, Dst: 1}.Append(nil))
	if p, ok := s.c.TakeUser(); !ok || p.Kind != 7 || len(p.Words) != 0 {
		t.Errorf("%+v, %v after there was room again", p, ok)
	}
}
