package proto

import (
	"math"
	"slices"
	"testing"
	"time"
)

// Tests named TestTrap… are after the known bugs and traps of libudt 4.11 that
// a peer has to live with, by the letters that the engine's comments use.

// A libudt receiver reports a gap once. If that NAK is lost, libudt's sender
// waits for 300 ms of silence; ours has its own timer.
func TestTrapD1LostNAK(t *testing.T) {
	s := measured(t)
	s.write(16)
	s.pass(20 * ms)
	s.ack(3, 25, 8192) // packet 25 is lost, and so is the NAK
	if at := s.when(25, time.Second); at < 0 || at > 150*ms {
		t.Errorf("packet 25 is repeated after %v", at)
	}
}

// The same while the silence is broken by keep-alives, which hold libudt's
// timer up for good.
func TestTrapD1LostNAKWithKeepAlives(t *testing.T) {
	s := measured(t)
	s.write(16)
	s.pass(20 * ms)
	s.ack(3, 25, 8192)
	for range 15 {
		s.take()
		s.pass(10 * ms)
		s.control(TypeKeepAlive, 0, 0)
		if slices.Contains(s.takenData(), 25) {
			return
		}
	}
	t.Error("packet 25 is not repeated")
}

// The NAK arrived, but the retransmission was lost; the peer is silent about it.
func TestTrapD1LostRetransmission(t *testing.T) {
	s := measured(t)
	s.write(16)
	s.pass(20 * ms)
	s.ack(3, 25, 8192)
	s.take()
	s.control(TypeNAK, 0, s.word(25))
	if got := s.takenData(); !slices.Equal(got, []packetIndex{25}) {
		t.Fatalf("the NAK is answered with %v", got)
	}
	first := s.when(25, time.Second)
	if first < 20*ms || first > 100*ms {
		t.Errorf("packet 25 is repeated again after %v", first)
	}
}

// Repeats come ever more slowly, but never so slowly that the end of an outage
// is missed for long.
func TestLossTimerBacksOff(t *testing.T) {
	s := measured(t)
	s.write(1)
	var at []time.Duration
	s.take()
	s.pass(5 * time.Second)
	for _, p := range s.take() {
		if _, ok := ParseData(p.b); ok {
			at = append(at, time.Duration(p.at))
		}
	}
	if len(at) < 10 || len(at) > 30 {
		t.Fatalf("%d repeats in five seconds of silence", len(at))
	}
	for i := 2; i < len(at); i++ {
		if gap, before := at[i]-at[i-1], at[i-1]-at[i-2]; gap < before || gap > 320*ms {
			t.Errorf("repeats %v and %v apart", before, gap)
		}
	}
}

// A full-size last packet is acknowledged by libudt only after 100 ms; it is
// not repeated before, however short the round trip.
func TestTrapD6TailIsNotRepeatedEarly(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	for i := range packetIndex(20) { // a millisecond's round trip
		s.write(1)
		s.pass(ms)
		s.ack(uint32(i+1), i+1, 8192)
	}
	s.write(1)
	if at := s.when(20, 119*ms); at >= 0 {
		t.Errorf("repeated after %v", at)
	}
	if at := s.when(20, 20*ms); at < 0 {
		t.Error("never repeated")
	}
}

// A NAK that names what was never sent, because a forged packet came far ahead of
// the true ones, is obeyed in what else it says.
func TestNAKBesideAForgedPacket(t *testing.T) {
	s := measured(t)
	s.write(16)
	s.pass(20 * ms)
	s.take()
	s.control(TypeNAK, 0, s.word(25), 1<<31|s.word(40), s.word(5000))
	if got := s.takenData(); !slices.Equal(got, []packetIndex{25}) {
		t.Errorf("sent %v again, want 25", got)
	}
}

// Reports of what was acknowledged long ago are no one's that speaks of this
// flight; those of a moment ago come late and say nothing of the path.
func TestNAKOfLongAgo(t *testing.T) {
	s := measured(t)
	s.write(16)
	s.pass(20 * ms)
	delivered := s.c.delivery.delivered
	s.control(TypeNAK, 0, s.word(10))
	if s.c.delivery.delivered != delivered || s.c.count.Invalid != 0 {
		t.Errorf("a late NAK: %d more delivered, %d invalid", s.c.delivery.delivered-delivered, s.c.count.Invalid)
	}
	s.control(TypeNAK, 0, uint32(s.c.isn.Add(int(s.c.snd.una)-s.c.path.MaxWindow-1)))
	if s.c.count.Invalid != 1 {
		t.Errorf("a NAK of long ago: %d invalid", s.c.count.Invalid)
	}
}

// The number of a full ACK has to be guessed as well as its place in the window.
func TestACKNumberIsChecked(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.write(16)
	s.pass(20 * ms)
	s.ack(3, 5, 8192)
	una := s.c.snd.una
	for _, number := range []uint32{3 + maxACKSkip, 1 << 30, SeqMask - maxACKSkip} {
		s.ack(number, 10, 8192)
		if s.c.snd.una != una {
			t.Fatalf("ACK %d was believed after 3", number)
		}
	}
	s.ack(SeqMask, 6, 8192) // an old one, so to say
	s.ack(maxACKSkip-2, 7, 8192)
	if s.c.snd.una != 7 {
		t.Errorf("una %d", s.c.snd.una)
	}
}

// An ACK that was forged in the window gives up data that has not arrived. The
// receiver's own go on to say so, and the connection is lost, which a session
// can mend, and not silent, which it can't.
func TestForgedACKInTheWindow(t *testing.T) {
	s := measured(t)
	s.write(16)
	s.pass(20 * ms)
	s.control(TypeACK, 0, s.word(30)) // light, and not the receiver's
	at := s.now
	for n := uint32(3); s.c.End() == EndNone && s.now < at.Add(5*time.Second); n++ {
		s.pass(10 * ms)
		s.ack(n, 22, 8192)
	}
	if s.c.End() != EndLost || s.now < at.Add(outageProbe) || s.now > at.Add(2*time.Second) {
		t.Errorf("end %d after %v", s.c.End(), s.now.Sub(at))
	}

	s = measured(t)
	s.write(16)
	s.pass(20 * ms)
	s.control(TypeACK, 0, s.word(30))
	for n := uint32(3); n < 1000; n++ { // all of it arrives by itself
		s.pass(10 * ms)
		s.ack(n, packetIndex(min(36, 19+n)), 8192)
	}
	if s.c.End() != EndNone || s.c.snd.una != 36 {
		t.Errorf("end %d, una %d", s.c.End(), s.c.snd.una)
	}
}

// Packets lost at the tail have nothing behind them that would show the gap.
func TestTailLoss(t *testing.T) {
	s := measured(t)
	s.write(16)
	s.pass(20 * ms)
	s.ack(3, 30, 8192) // the last 6 are lost
	s.take()
	s.pass(160 * ms)
	if got := s.takenData(); !slices.Contains(got, 30) || !slices.Contains(got, 35) {
		t.Errorf("sent %v; the first and the last are to show the gap", got)
	}
}

// A libudt peer breaks the connection on ACKs and NAKs out of its window, and
// reads past their end; we count and ignore them.
func TestTrapD10InvalidReportsAreIgnored(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.write(16)
	s.pass(20 * ms)
	s.ack(1, 5, 8192)
	s.take()
	before := s.c.count.Invalid
	una, lost := s.c.snd.una, s.c.snd.lostCount
	for name, p := range map[string][]byte{
		"ACK of the unsent":        controlPacket(1, TypeACK, 9, s.word(17), 20_000, 1000, 8192),
		"ACK far ahead":            controlPacket(1, TypeACK, 9, s.word(1<<29), 20_000, 1000, 8192),
		"ACK with the top bit":     controlPacket(1, TypeACK, 9, 1<<31|s.word(6), 20_000, 1000, 8192),
		"ACK of no words":          controlPacket(1, TypeACK, 9),
		"ACK of two words":         controlPacket(1, TypeACK, 9, s.word(6), 20_000),
		"ACK of three words":       controlPacket(1, TypeACK, 9, s.word(6), 20_000, 1000),
		"light ACK of the unsent":  controlPacket(1, TypeACK, 0, s.word(17)),
		"NAK of no words":          controlPacket(1, TypeNAK, 0),
		"NAK of the unsent":        controlPacket(1, TypeNAK, 0, s.word(16)),
		"NAK of a range too long":  controlPacket(1, TypeNAK, 0, 1<<31|s.word(10), s.word(16)),
		"NAK far ahead":            controlPacket(1, TypeNAK, 0, s.word(1<<29)),
		"inverted NAK":             controlPacket(1, TypeNAK, 0, 1<<31|s.word(12), s.word(11)),
		"NAK half round the ring":  controlPacket(1, TypeNAK, 0, 1<<31|s.word(12), s.word(12+1<<30)),
		"NAK without its end":      controlPacket(1, TypeNAK, 0, 1<<31|s.word(12)),
		"NAK of two beginnings":    controlPacket(1, TypeNAK, 0, 1<<31|s.word(12), 1<<31|s.word(13)),
		"good NAK with a bad tail": controlPacket(1, TypeNAK, 0, s.word(7), 1<<31|s.word(12), s.word(11)),
		"a header and no more":     s.dataPacket(0, nil)[:15],
	} {
		s.give(p)
		if s.c.count.Invalid != before+1 {
			t.Errorf("%s: counted %d times", name, s.c.count.Invalid-before)
		}
		before = s.c.count.Invalid
		if s.c.snd.una != una || s.c.snd.lostCount != lost || s.c.count.Retransmitted != 0 || s.c.State() != StateConnected {
			t.Fatalf("%s had an effect", name)
		}
		if got := s.takenData(); len(got) != 0 {
			t.Errorf("%s: packets %v were sent again", name, got)
		}
	}
	s.control(TypeNAK, 0, s.word(7)) // all is well still
	if got := s.takenData(); !slices.Equal(got, []packetIndex{7}) {
		t.Errorf("a good NAK afterwards: %v sent", got)
	}
	s.ack(2, 16, 8192)
	if s.c.snd.una != 16 {
		t.Error("a good ACK afterwards is not taken")
	}
}

// NAK entries below the ACK are skipped, a range across it is cut.
func TestNAKOfTheAcknowledged(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.write(16)
	s.pass(20 * ms)
	s.ack(1, 10, 8192)
	s.take()
	s.control(TypeNAK, 0, s.word(3), 1<<31|s.word(5), s.word(11), s.word(14))
	s.pass(20 * ms) // they are paced
	if got := s.takenData(); !slices.Equal(got, []packetIndex{10, 11, 14}) {
		t.Errorf("sent again: %v, want 10, 11, 14", got)
	}
	if s.c.count.SendLoss != 3 || s.c.count.Retransmitted != 3 || s.c.count.NAKReceived != 1 {
		t.Errorf("counted %+v", s.c.count)
	}
}

// What was sent again less than a round trip ago isn't sent a third time for a
// NAK that can't know of it.
func TestNAKOfWhatIsOnItsWay(t *testing.T) {
	s := measured(t)
	s.write(16)
	s.pass(20 * ms)
	s.control(TypeNAK, 0, s.word(25))
	s.pass(19 * ms)
	s.take()
	s.control(TypeNAK, 0, s.word(25), s.word(26))
	if got := s.takenData(); !slices.Equal(got, []packetIndex{26}) {
		t.Errorf("sent again within a round trip: %v, want 26", got)
	}
	s.pass(ms)
	s.take()
	s.control(TypeNAK, 0, s.word(25))
	if got := s.takenData(); !slices.Equal(got, []packetIndex{25}) {
		t.Errorf("sent again after a round trip: %v, want 25", got)
	}
}

// While there is a queue the round trip is what it is now, not the least ever.
func TestNAKOfWhatIsInTheQueue(t *testing.T) {
	s := measured(t)
	s.c.ackRTT.srtt = 80 * ms
	s.write(16)
	s.pass(20 * ms)
	s.control(TypeNAK, 0, s.word(25))
	s.pass(60 * ms)
	s.take()
	s.control(TypeNAK, 0, s.word(25))
	if got := s.takenData(); len(got) != 0 {
		t.Errorf("sent again within a round trip: %v", got)
	}
	s.pass(20 * ms)
	s.take()
	s.control(TypeNAK, 0, s.word(25))
	if got := s.takenData(); !slices.Equal(got, []packetIndex{25}) {
		t.Errorf("sent again after a round trip: %v, want 25", got)
	}
}

// A NAK is one congestion event, whatever it holds, and none if all it says is
// known.
func TestNAKIsOneCongestionEvent(t *testing.T) {
	cfg := testConfig(1)
	cc := &recorder{Native: NewNative()}
	cfg.Controller = cc
	s := newConnectedScript(t, cfg)
	s.write(16)
	s.pass(20 * ms)
	s.control(TypeNAK, 0, s.word(9), s.word(5), 1<<31|s.word(11), s.word(13))
	if !slices.Equal(cc.losses, []int64{5}) {
		t.Errorf("losses told to the controller: %v, want the lowest", cc.losses)
	}
	s.ack(1, 16, 8192)
	s.control(TypeNAK, 0, s.word(9))
	if len(cc.losses) != 1 {
		t.Errorf("an old NAK is told to the controller: %v", cc.losses)
	}
	if len(cc.acks) != 1 || cc.acks[0] != 16 {
		t.Errorf("ACKs told to the controller: %v", cc.acks)
	}
}

// recorder is a controller that keeps what it is told.
type recorder struct {
	*Native
	losses   []int64
	acks     []int
	timeouts int
}

func (r *recorder) OnLoss(_ *PathState, first int64) { r.losses = append(r.losses, first) }

func (r *recorder) OnACK(_ *PathState, n int) { r.acks = append(r.acks, n) }

func (r *recorder) OnTimeout(*PathState) { r.timeouts++ }

func (r *recorder) Window() float64 { return 1000 }

// An absurd light ACK is ignored; a true one moves the window on.
func TestTrapD5LightACKReceived(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.write(16)
	s.control(TypeACK, 0, s.word(17))
	s.control(TypeACK, 0, s.word(1<<29))
	if s.c.count.Invalid != 2 || s.c.snd.una != 0 {
		t.Fatalf("%d invalid, una %d", s.c.count.Invalid, s.c.snd.una)
	}
	s.take()
	s.control(TypeACK, 0, s.word(10))
	if n := len(s.taken(TypeACK2)); n != 0 || s.c.snd.una != 10 {
		t.Errorf("%d ACK2s to a light ACK, una %d", n, s.c.snd.una)
	}
	flow := s.c.flowEnd
	s.control(TypeACK, 0, s.word(10))
	s.control(TypeACK, 0, s.word(3))
	if s.c.flowEnd != flow || s.c.snd.una != 10 {
		t.Errorf("light ACKs moved the flow window from %d to %d, una %d", flow, s.c.flowEnd, s.c.snd.una)
	}
}

// Every full ACK is answered with its number, also those that say nothing new:
// the receiver repeats what isn't.
func TestTrapD12ACK2ForEveryFullACK(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.write(16)
	s.pass(20 * ms)
	s.take()
	for _, c := range []struct {
		number uint32
		next   packetIndex
	}{{1, 5}, {2, 10}, {3, 10}, {1, 5}, {0x7FFFFFFF, 16}, {0, 16}} {
		s.ack(c.number, c.next, 8192)
		got := s.taken(TypeACK2)
		if len(got) != 1 || got[0].Info != c.number || got[0].Dst != peerSocket || len(got[0].Body) != 4 {
			t.Errorf("ACK %d answered with %+v", c.number, got)
		}
	}
	// Several that come together.
	var run []byte
	for n := range uint32(4) {
		run = append(run, controlPacket(1, TypeACK, 20+n, s.word(16), 20_000, 1000, 8192)...)
	}
	s.c.HandleRun(s.now, run, len(run)/4)
	s.step()
	var numbers []uint32
	for _, c := range s.taken(TypeACK2) {
		numbers = append(numbers, c.Info)
	}
	if !slices.Equal(numbers, []uint32{20, 21, 22, 23}) {
		t.Errorf("ACKs 20 to 23 answered with %v", numbers)
	}
}

// Libudt's estimators divide by zero: rate words of zero or less are no report.
func TestTrapD11RateWords(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.write(16)
	give := func(number uint32, next packetIndex, words ...uint32) {
		s.control(TypeACK, number, append([]uint32{s.word(next), 20_000, 1000, 8192}, words...)...)
	}
	give(1, 1, 0, 0x80000000)
	give(2, 2, 1<<32-1, 0)
	give(3, 3) // four words only
	give(3, 3, placeholderRate, 0)
	if s.c.path.ArrivalRate != 0 || s.c.path.Capacity != 0 {
		t.Errorf("rates %v, %v from no report", s.c.path.ArrivalRate, s.c.path.Capacity)
	}
	give(4, 4, 8000, 16_000)
	give(5, 5, 0, 1<<32-5)
	if s.c.path.ArrivalRate != 8000 || s.c.path.Capacity != 16_000 {
		t.Errorf("rates %v, %v; the first report counts in full", s.c.path.ArrivalRate, s.c.path.Capacity)
	}
	give(6, 6, 16_000, 8000)
	if s.c.path.ArrivalRate != 9000 || s.c.path.Capacity != 15_000 {
		t.Errorf("rates %v, %v; later ones with an eighth", s.c.path.ArrivalRate, s.c.path.Capacity)
	}
	if s.c.Stats(s.now).Capacity != 15_000 {
		t.Errorf("stats %+v", s.c.Stats(s.now))
	}
}

// A negative capacity is a guess, from an end of ours; from others it is no report.
func TestUnresolvedCapacity(t *testing.T) {
	for _, test := range []struct {
		extended bool
		word     uint32
		want     Rates
	}{
		{true, -9000 & (1<<32 - 1), Rates{Arrival: 8000, Capacity: 9000, Unresolved: true, Count: 1}},
		{true, 1 << 31, Rates{Arrival: 8000, Capacity: math.MaxInt32, Unresolved: true, Count: 1}},
		{true, 9000, Rates{Arrival: 8000, Capacity: 9000, Count: 1}},
		{false, 1 << 31, Rates{Arrival: 8000, Count: 1}},
	} {
		s := newConnectedScript(t, testConfig(1))
		s.c.extended = test.extended
		s.write(16)
		s.control(TypeACK, 1, s.word(4), 20_000, 1000, 8192, 8000, test.word)
		if s.c.path.Latest != test.want || s.c.path.Capacity != test.want.Capacity {
			t.Errorf("extended %v, %#x: %+v, capacity %v", test.extended, test.word, s.c.path.Latest, s.c.path.Capacity)
		}
	}
}

// What is repeated because nothing was heard is not held against the path: it
// may be the ACK that is late.
func TestPresumedLossesAreNoSignOfCongestion(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.write(8)
	s.pass(500 * ms)
	if s.c.count.SendLoss == 0 {
		t.Fatal("nothing was repeated")
	}
	s.c.refreshPath(s.now)
	if s.c.path.Lost != 0 {
		t.Errorf("%d packets count as lost", s.c.path.Lost)
	}
	s.control(TypeNAK, 0, s.word(3))
	if s.c.path.Lost != 1 {
		t.Errorf("%d packets count as lost after a report of one", s.c.path.Lost)
	}
}
