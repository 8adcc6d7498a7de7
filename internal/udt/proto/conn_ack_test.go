package proto

import (
	"slices"
	"testing"
	"time"
)

// More packets in flight than twice the handshake's flight size make a libudt
// sender loop for ever: what an ACK offers never exceeds it.
func TestTrapD2WindowNeverAboveFlight(t *testing.T) {
	for _, window := range []int{2, 32, 100, 20_000} {
		cfg := testConfig(1)
		cfg.Window = window
		s := newConnectedScript(t, cfg)
		if got := s.c.hs.request.FlightFlag; got != uint32(window) {
			t.Fatalf("handshake says %d", got)
		}
		s.receive(0, 2)
		s.pass(20 * ms)
		full, _, _ := s.acks()
		if len(full) == 0 || full[0].Window > uint32(window) || full[0].Window < 2 {
			t.Errorf("flight size %d: ACKs %+v", window, full)
		}
	}
}

// An ACK never offers less than two packets: libudt does not go below either,
// and the sender needs a way to find out when there is room again.
func TestWindowOfFullBuffer(t *testing.T) {
	cfg := testConfig(1)
	cfg.Window = 32
	s := newConnectedScript(t, cfg)
	s.receive(0, 32)
	s.pass(20 * ms)
	full, _, _ := s.acks()
	if len(full) == 0 || full[len(full)-1].Window != 2 {
		t.Fatalf("ACKs %+v", full)
	}
	s.receive(32, 34) // no place
	if s.c.count.Invalid != 2 || s.c.rcv.next != 32 {
		t.Errorf("%d packets outside, next %d", s.c.count.Invalid, s.c.rcv.next)
	}
	if got := s.naks(); len(got) != 0 {
		t.Errorf("NAKs %v for packets that have no place", got)
	}
}

// A slow reader that has made room says so, without being asked: UDT has no
// other way for the sender to learn it.
func TestWindowUpdateAfterSlowReader(t *testing.T) {
	cfg := testConfig(1)
	cfg.Window = 64
	s := newConnectedScript(t, cfg)
	s.receive(0, 64)
	s.pass(20 * ms)
	_, _, numbers := s.acks()
	s.control(TypeACK2, numbers[len(numbers)-1], 0)
	s.pass(400 * ms)
	if full, _, _ := s.acks(); len(full) != 0 {
		t.Fatalf("ACKs %+v, everything is confirmed", full)
	}
	p := make([]byte, 10*1456)
	s.c.Read(p)
	s.step()
	if full, _, _ := s.acks(); len(full) != 0 {
		t.Errorf("ACK %+v for a little room", full)
	}
	p = make([]byte, 22*1456)
	s.c.Read(p)
	s.step()
	full, _, _ := s.acks()
	if len(full) != 1 || full[0].Window != 32 || full[0].Next != s.seq(64) {
		t.Errorf("ACKs %+v for half of the buffer", full)
	}
	s.c.Read(p)
	s.step()
	if full, _, _ := s.acks(); len(full) != 0 {
		t.Errorf("ACKs %+v; the sender knows of room already", full)
	}
}

// A libudt sender that knows no arrival rate drops to 16 packets a second on
// its first loss: the first ACK and one each SYN carry rates.
func TestTrapD3RatesFromTheFirstACK(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	for i := range packetIndex(1000) {
		s.receive(i, i+1)
		s.pass(100 * time.Microsecond)
	}
	full, _, _ := s.acks()
	if len(full) < 10 {
		t.Fatalf("%d full ACKs in 100 ms", len(full))
	}
	for i, a := range full {
		if !a.HasRates {
			t.Errorf("ACK %d has no rates", i)
		}
	}
	last := full[len(full)-1]
	if last.ArrivalRate < 9800 || last.ArrivalRate > 10_200 || last.Capacity < 9800 {
		t.Errorf("ACK %+v, packets came at 10000/s", last)
	}
}

// A first burst tells an arrival rate, and what the path's capacity is only if
// there was a pair in it.
func TestRatesOfTheFirstBurst(t *testing.T) {
	for _, isn := range []Seq{2, 12} { // without and with a pair in the first twelve
		cfg := testConfig(1)
		cfg.ISN = isn
		s := newConnectedScript(t, cfg)
		for i := range packetIndex(12) {
			s.receive(i, i+1)
			s.pass(24 * time.Microsecond)
		}
		s.pass(syn)
		full, _, _ := s.acks()
		last := full[len(full)-1]
		if got := float64(last.ArrivalRate); !within(got, 1e9/24_000) {
			t.Errorf("arrival rate %v", got)
		}
		if pair := isn == 12; (last.Capacity != placeholderRate) != pair {
			t.Errorf("ISN %d: capacity %d", isn, last.Capacity)
		}
	}
}

// Where all packets come in batches pairs are too fast to measure; libudt's
// sender gets a capacity to grow to, as from a libudt receiver; one of ours is
// told the truth as a negative word.
func TestTrapD3CapacityOfBatches(t *testing.T) {
	for extended, told := range map[bool]func(ACK) bool{
		false: func(a ACK) bool { return a.Capacity == 800_000 },
		true:  func(a ACK) bool { return within(float64(-a.Capacity), 32_000) },
	} {
		s := newConnectedScript(t, testConfig(1))
		s.c.extended = extended
		for i := packetIndex(0); i < 3200; i += 32 {
			s.receive(i, i+32)
			s.pass(ms)
		}
		full, _, _ := s.acks()
		if a := full[len(full)-1]; !within(float64(a.ArrivalRate), 32_000) || !told(a) {
			t.Errorf("extended %v: ACK %+v, packets came at 32000/s", extended, a)
		}
	}
}

// While something is missing a libudt sender is told of an arrival rate that makes
// room for the repair in its window; one of ours goes by what has arrived.
func TestArrivalRateWhileSomethingIsMissing(t *testing.T) {
	for extended, factor := range map[bool]float64{false: missedRoom, true: 1} {
		s := newConnectedScript(t, testConfig(1))
		s.c.extended = extended
		s.c.rtt = rttEstimator{srtt: 20 * ms, measured: true}
		rate := func() float64 {
			full, _, _ := s.acks()
			return float64(full[len(full)-1].ArrivalRate)
		}
		feed := func(from, to packetIndex) {
			s.take()
			for i := from; i < to; i++ {
				s.receive(i, i+1)
				s.pass(100 * time.Microsecond)
			}
		}
		feed(0, 1000)
		if got := rate(); !within(got, 10_000) {
			t.Errorf("extended %v: %v packets/s, they came at 10000", extended, got)
		}
		feed(1001, 1400)
		s.receive(1000, 1001)
		feed(1400, 1600)
		if got := rate(); !within(got, factor*10_000) {
			t.Errorf("extended %v: %v packets/s after a gap", extended, got)
		}
		feed(1600, 2400)
		if got := rate(); !within(got, 10_000) {
			t.Errorf("extended %v: %v packets/s three round trips after it", extended, got)
		}
	}
}

// A packet that is sent again is no half of a pair: its delay is a round trip.
func TestRetransmissionIsNoProbe(t *testing.T) {
	cfg := testConfig(1)
	cfg.ISN = 16 * 100
	s := newConnectedScript(t, cfg)
	s.receive(0, 1)
	s.pass(ms)
	s.receive(2, 3)
	s.pass(30 * ms)
	s.receive(1, 2)
	if s.c.capacity.win.n != 0 {
		t.Errorf("a capacity of %v packets/s by packets 0 and 1", s.c.capacity.rate())
	}
}

// In between, ACKs hurried by short packets have four words.
func TestShortACKsBetweenSYNs(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	for i := range packetIndex(40) {
		s.data(i, []byte("short"))
		s.pass(ms)
	}
	full, _, numbers := s.acks()
	if len(full) < 30 || len(full) > 41 {
		t.Fatalf("%d full ACKs for 40 short packets in 40 ms", len(full))
	}
	withRates := 0
	for i, a := range full {
		if a.HasRates {
			withRates++
		}
		if numbers[i] != uint32(i+1) {
			t.Fatalf("ACK numbers %v", numbers)
		}
	}
	if withRates < 4 || withRates > 5 {
		t.Errorf("%d of %d ACKs in 40 ms carry rates", withRates, len(full))
	}
}

// A short packet may be the last for a while: it is acknowledged within 1 ms.
func TestShortPacketIsAcknowledgedSoon(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.receive(0, 1)
	s.pass(2 * ms)
	s.take()
	s.receive(1, 2)
	s.pass(ms)
	if full, _, _ := s.acks(); len(full) != 0 {
		t.Fatal("a full packet is acknowledged before its SYN")
	}
	s.data(2, []byte("end"))
	s.pass(ms)
	if full, _, _ := s.acks(); len(full) != 1 || full[0].Next != s.seq(3) {
		t.Errorf("ACKs %+v", full)
	}
}

// A stream is acknowledged each SYN, not with each batch.
func TestFullACKEachSYN(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	for i := range packetIndex(1000) {
		s.receive(i, i+1)
		s.pass(100 * time.Microsecond)
	}
	if full, light, _ := s.acks(); len(full) < 10 || len(full) > 12 || len(light) > 16 {
		t.Errorf("%d full and %d light ACKs for 1000 packets in 100 ms", len(full), len(light))
	}
}

// A full ACK that no ACK2 answers is repeated after RTT + 4 deviations, under
// a new number; then there is silence.
func TestACKRepeatedUntilConfirmed(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.c.rtt.adopt(20_000, 5_000)
	s.receive(0, 1)
	s.pass(100 * ms)
	full, _, numbers := s.acks()
	if len(full) != 3 || !slices.Equal(numbers, []uint32{1, 2, 3}) {
		t.Fatalf("ACKs %+v, numbers %v; want one each 40 ms", full, numbers)
	}
	s.control(TypeACK2, 2, 0)
	s.pass(time.Second)
	if full, _, _ := s.acks(); len(full) != 0 {
		t.Errorf("ACKs %+v follow the ACK2", full)
	}
	if !s.c.rtt.measured || s.c.rtt.srtt != 60*ms {
		t.Errorf("round trip %v; ACK 2 left 60 ms before", s.c.rtt.srtt)
	}
}

// A duplicate means that the sender may have missed the ACK, also if it seems
// to have confirmed it: an ACK2 can be forged, and the transfer would hang.
func TestDuplicateIsAcknowledgedAgain(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.receive(0, 3)
	s.pass(20 * ms)
	_, _, numbers := s.acks()
	s.pass(280 * ms)
	s.take()
	s.c.rtt.adopt(1000, 100)
	s.receive(1, 2)
	s.pass(15 * ms)
	full, _, numbers2 := s.acks()
	if len(full) == 0 || full[0].Next != s.seq(3) {
		t.Fatalf("ACKs %+v after a duplicate", full)
	}
	s.control(TypeACK2, append(numbers, numbers2...)[len(numbers)], 0)
	s.take()
	s.pass(time.Second)
	if full, _, _ := s.acks(); len(full) != 0 {
		t.Errorf("ACKs %+v for what is confirmed", full)
	}
	s.receive(1, 2)
	s.pass(15 * ms)
	full, _, numbers = s.acks()
	if len(full) != 1 || full[0].Next != s.seq(3) {
		t.Fatalf("ACKs %+v after a duplicate of what is confirmed", full)
	}
	s.control(TypeACK2, numbers[0], 0)
	s.pass(time.Second)
	if full, _, _ := s.acks(); len(full) != 0 {
		t.Errorf("ACKs %+v for what is confirmed again", full)
	}
	if s.c.count.Duplicates != 2 {
		t.Errorf("%d duplicates", s.c.count.Duplicates)
	}
}

// Libudt goes on repeating losses that a light ACK covers, so there are none
// while there are gaps.
func TestTrapD5LightACKOnlyWithoutGaps(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.receive(0, 1)
	s.take()
	s.pass(ms)
	s.receive(1, 64)
	if _, light, _ := s.acks(); len(light) != 0 {
		t.Errorf("light ACKs %+v after 63 packets", light)
	}
	s.receive(64, 65)
	if _, light, _ := s.acks(); len(light) != 1 || light[0].Next != s.seq(65) {
		t.Errorf("light ACKs %+v after 64 packets", light)
	}
	s.receive(66, 140)
	s.receive(141, 200)
	s.receive(65, 66) // in order up to 140
	if _, light, _ := s.acks(); len(light) != 0 {
		t.Errorf("light ACKs %+v with a gap", light)
	}
	s.receive(140, 141)
	if _, light, _ := s.acks(); len(light) != 1 || light[0].Next != s.seq(200) {
		t.Errorf("light ACKs %+v with the gap closed", light)
	}
}

// A few jumbo packets are as much data as many small ones.
func TestLightACKCountsBytes(t *testing.T) {
	for mss, every := range map[int]packetIndex{1500: 64, 9000: 11, 65535: 2} {
		cfg := testConfig(1)
		cfg.MSS = mss
		s := newConnectedScript(t, cfg)
		s.receive(0, 1)
		s.take()
		s.pass(ms)
		s.receive(1, every)
		if _, light, _ := s.acks(); len(light) != 0 {
			t.Errorf("MSS %d: light ACKs %+v after %d packets", mss, light, every-1)
		}
		s.receive(every, every+1)
		if _, light, _ := s.acks(); len(light) != 1 || light[0].Next != s.seq(every+1) {
			t.Errorf("MSS %d: light ACKs %+v after %d packets", mss, light, every)
		}
	}
}

// Whoever repeats what was acknowledged has missed the ACK: it is not left to
// the time that a round trip may take at most.
func TestMissedACKIsRepeatedSoon(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.c.rtt = rttEstimator{srtt: 300 * ms, rttvar: 150 * ms, measured: true}
	s.receive(0, 4)
	s.take()
	s.pass(100 * ms)
	s.receive(3, 4)
	s.pass(20*ms - 1)
	if full, _, _ := s.acks(); len(full) != 0 {
		t.Errorf("ACKs %v sooner than every 120 ms", full)
	}
	s.pass(1)
	if full, _, _ := s.acks(); len(full) != 1 {
		t.Errorf("ACKs %v, want a repeat", full)
	}
	s.pass(500 * ms)
	if full, _, _ := s.acks(); len(full) != 0 {
		t.Errorf("ACKs %v while nothing came twice", full)
	}
}
