package proto

import "testing"

// Data packets beyond what the buffer takes are dropped without an answer; they
// are no gap.
func TestDataFarAheadIsIgnored(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	for _, i := range []packetIndex{8192, 100_000, 1 << 29} {
		s.data(i, []byte("far"))
	}
	s.pass(20 * ms)
	if got := s.take(); len(got) != 0 || s.c.count.Invalid != 3 || s.c.rcv.high != 0 {
		t.Errorf("%d packets in answer, %d invalid, high %d", len(got), s.c.count.Invalid, s.c.rcv.high)
	}
}

// Packets longer than the MSS that was agreed on are not ours.
func TestOversizeDataIsIgnored(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.data(0, make([]byte, 1457))
	if s.c.count.Invalid != 1 || s.c.rcv.next != 0 {
		t.Errorf("%d invalid, next %d", s.c.count.Invalid, s.c.rcv.next)
	}
}

// Packets of types that say nothing to us only show that the peer lives.
func TestOtherControlPackets(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.pass(ms)
	for typ := range Type(0x20) {
		if typ == TypeHandshake || typ == TypeACK || typ == TypeNAK || typ == TypeShutdown {
			continue
		}
		s.control(typ, 5, 0)
		s.give(controlPacket(1, typ, 5)) // without padding
	}
	s.control(TypeUser, 5, 1, 2, 3)
	if s.c.count.Invalid != 0 || s.c.State() != StateConnected || len(s.take()) != 0 || s.c.lastHeard != s.now {
		t.Errorf("%d invalid, state %d, heard at %d", s.c.count.Invalid, s.c.State(), s.c.lastHeard)
	}
}

func TestPeerError(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	if _, ok := s.c.PeerError(); ok {
		t.Error("an error before there was one")
	}
	s.control(TypePeerError, 4000, 0)
	if code, ok := s.c.PeerError(); !ok || code != 4000 {
		t.Errorf("error %d, %v", code, ok)
	}
	if _, ok := s.c.PeerError(); ok {
		t.Error("the error is reported twice")
	}
}

// Empty data packets have a number and no bytes.
func TestEmptyDataPacket(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.data(0, nil)
	s.data(1, []byte("x"))
	var p [10]byte
	if n := s.c.Read(p[:]); n != 1 || s.c.rcv.next != 2 || s.c.Ready().Readable {
		t.Errorf("read %d bytes, next %d", n, s.c.rcv.next)
	}
	full, _, _ := s.acks()
	if len(full) == 0 || full[0].Next != s.seq(1) {
		t.Errorf("ACKs %+v", full)
	}
}
