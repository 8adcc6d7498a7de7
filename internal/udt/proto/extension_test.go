package proto

import (
	"slices"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// The ends of a connection know each other, and nobody is taken for one of ours
// who does not say so: not a listener that echoes what it doesn't know.
func TestExtensionIsAgreed(t *testing.T) {
	link := simnet.Params{Delay: ms}
	p := newPair(t, 1, link, link)
	p.dial()
	p.sleep(10 * ms)
	if !p.ends[0].conn.extended || !p.ends[1].conn.extended {
		t.Error("two ends of ours do not know each other")
	}
	for info, want := range map[uint32]bool{0: false, 1: false, extensionOffer: false, extensionAccept: true} {
		s := newClientScript(t, testConfig(1))
		if c, ok := ParseControl(s.sent[0].b); !ok || c.Info != extensionOffer {
			t.Fatalf("the request %x offers nothing", s.sent[0].b)
		}
		h := testChallenge(testConfig(1))
		h.Info = extensionOffer // comes back from every listener
		s.handshake(h)
		h = testResponse(testConfig(1))
		h.Info = info
		s.handshake(h)
		if s.c.State() != StateConnected || s.c.extended != want {
			t.Errorf("an answer with %#x: state %d, extended %v", info, s.c.State(), s.c.extended)
		}
	}
	for info, want := range map[uint32]uint32{0: 0, 1: 0, extensionOffer: extensionAccept, extensionAccept: 0} {
		h := testRequest(1000)
		h.Info = info
		s := &script{t: t, c: NewServer(0, testConfig(1), h)}
		s.step()
		if c, ok := ParseControl(s.sent[0].b); !ok || c.Info != want || s.c.extended != (want != 0) {
			t.Errorf("a request with %#x: %x, extended %v", info, s.sent[0].b, s.c.extended)
		}
	}
}

// newExtendedScript is newConnectedScript with a peer of ours.
func newExtendedScript(t testing.TB) *script {
	s := newClientScript(t, testConfig(1))
	s.handshake(testChallenge(testConfig(1)))
	h := testResponse(testConfig(1))
	h.Info = extensionAccept
	s.handshake(h)
	if !s.c.extended {
		t.Fatal("not extended")
	}
	s.sent = nil
	return s
}

// settledWords returns the ACKs sent since the last call, as {next, settled};
// settled is -1 where it is not said.
func (s *script) settledWords() (out [][2]packetIndex) {
	full, light, _ := s.acks()
	if len(light) > 0 {
		s.t.Errorf("light ACKs %v", light)
	}
	for _, a := range full {
		words := [2]packetIndex{indexOf(a.Next, s.c.isn, s.c.rcv.next), -1}
		if a.HasSettled {
			words[1] = indexOf(a.Settled, s.c.isn, s.c.rcv.next)
		}
		out = append(out, words)
	}
	return out
}

// While data arrives behind a gap, an end of ours hears every 10 ms how far it
// has come, but not beyond a gap that was not reported; libudt hears nothing.
func TestSettledIsReported(t *testing.T) {
	for _, extended := range []bool{true, false} {
		s := newConnectedScript(t, testConfig(1))
		if extended {
			s = newExtendedScript(t)
		}
		s.receive(0, 10)
		s.c.HandleRun(s.now, controlPacket(1, TypeACK2, 1, 0), 20)
		var got [][2]packetIndex
		for i := packetIndex(11); i < 60; i += 2 { // packet 10 is lost
			s.pass(ms)
			s.receive(i, i+2)
			got = append(got, s.settledWords()...)
		}
		want := [][2]packetIndex{{10, 10}, {10, 29}, {10, 49}}
		if !extended {
			want = [][2]packetIndex{{10, -1}}
		}
		if !slices.Equal(got, want) {
			t.Errorf("extended %v: ACKs %v, want %v", extended, got, want)
		}
		s.c.reorder.late = 20 * ms // from here on, gaps are given time
		s.pass(10 * ms)
		s.take()
		s.receive(70, 80)
		s.pass(10 * ms)
		got = s.settledWords()
		if len(got) > 0 {
			t.Errorf("ACKs %v for packets behind a gap that may fill by itself", got)
		}
		s.pass(20 * ms)
		s.take()
		s.receive(80, 90)
		s.pass(10 * ms)
		got = s.settledWords()
		if extended && (len(got) != 1 || got[0] != [2]packetIndex{10, 90}) {
			t.Errorf("ACKs %v once the gap is reported", got)
		}
		if !extended && slices.ContainsFunc(got, func(w [2]packetIndex) bool { return w[1] >= 0 }) {
			t.Errorf("ACKs %v to a peer of libudt", got)
		}
		s.pass(time.Second)
		s.take()
		s.pass(time.Second)
		if n := len(s.settledWords()); extended && n > 0 {
			t.Errorf("%d ACKs while nothing arrives", n)
		}
	}
}

// Only a number between what is acknowledged and what was sent is taken.
func TestSettledIsChecked(t *testing.T) {
	s := newExtendedScript(t)
	s.write(16)
	s.pass(20 * ms)
	give := func(number uint32, next, settled uint32) {
		s.control(TypeACK, number, next, 20_000, 1000, 8192, 1000, 1000, settled)
	}
	for name, words := range map[string][2]uint32{
		"far ahead":                 {s.word(3), s.word(1 << 29)},
		"of less than acknowledged": {s.word(3), s.word(2)},
	} {
		before := s.c.count.Invalid
		s.take()
		give(1, words[0], words[1])
		if s.c.count.Invalid != before+1 || s.c.snd.una != 0 || s.c.settledTo != 0 || len(s.taken(TypeACK2)) != 0 {
			t.Errorf("a seventh word %s: %d invalid, una %d", name, s.c.count.Invalid-before, s.c.snd.una)
		}
	}
	// Somebody else's packet may have made the receiver believe in what was never
	// sent. That word is passed over, the ACK is not.
	give(1, s.word(2), s.word(17))
	if s.c.snd.una != 2 || s.c.settledTo != 2 {
		t.Errorf("una %d, settled to %d by a word of what was never sent", s.c.snd.una, s.c.settledTo)
	}
	give(2, s.word(3), s.word(16))
	if s.c.snd.una != 3 || s.c.settledTo != 16 {
		t.Errorf("una %d, settled to %d", s.c.snd.una, s.c.settledTo)
	}
	give(1, s.word(2), s.word(5)) // late
	if s.c.snd.una != 3 || s.c.settledTo != 16 {
		t.Errorf("una %d, settled to %d after a late ACK", s.c.snd.una, s.c.settledTo)
	}
	plain := newConnectedScript(t, testConfig(1))
	plain.write(16)
	plain.pass(20 * ms)
	plain.control(TypeACK, 1, plain.word(3), 20_000, 1000, 8192, 1000, 1000, plain.word(900))
	if plain.c.snd.una != 3 || plain.c.count.Invalid != 0 {
		t.Error("a seventh word of a peer that is not ours counts")
	}
}

// Behind a gap the round trip goes on being measured, but not by copies.
func TestSettledMeasuresTheRoundTrip(t *testing.T) {
	s := newExtendedScript(t)
	s.write(4)
	s.pass(20 * ms)
	s.ack(1, 4, 8192)
	s.write(8)
	s.pass(30 * ms)
	before := s.c.ackRTT.srtt
	s.control(TypeACK, 2, s.word(4), 20_000, 1000, 8192, 1000, 1000, s.word(9))
	after := s.c.ackRTT.srtt
	if after <= before {
		t.Errorf("round trip %v, then %v after one of 30 ms", before, after)
	}
	s.control(TypeNAK, 0, s.word(4), s.word(10))
	s.pass(10 * ms)
	s.control(TypeACK, 3, s.word(4), 20_000, 1000, 8192, 1000, 1000, s.word(11))
	if s.c.ackRTT.srtt != after {
		t.Errorf("round trip %v from a packet sent twice", s.c.ackRTT.srtt)
	}
}
