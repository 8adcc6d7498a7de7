package proto

import (
	"math"
	"testing"
	"time"
)

// native is a controller with the state of a connection to hand events to.
type native struct {
	*Native
	s PathState
}

func newNative() *native {
	n := &native{Native: NewNative(), s: PathState{
		PacketSize: 1500, RTT: 40 * ms, RTTVar: ms, MaxWindow: 8192, ISN: 1000,
	}}
	n.Init(&n.s)
	return n
}

// ack lets a SYN interval go by and n packets be acknowledged.
func (n *native) ack(packets int) {
	n.s.Now = n.s.Now.Add(syn)
	n.s.Acked += int64(packets)
	n.s.Sent = max(n.s.Sent, n.s.Acked)
	n.OnACK(&n.s, packets)
}

// lose reports the loss of a packet with everything before sent at a hundred
// more than before.
func (n *native) lose(first int64) {
	n.s.Sent += 100
	n.OnLoss(&n.s, first)
}

// running is a controller past slow start at the given rate.
func running(rate float64) *native {
	n := newNative()
	n.slowStart, n.period, n.lastDecPeriod = false, 1e9/rate, math.Inf(1)
	n.s.Sent = 1000
	return n
}

func near(got, want float64) bool { return math.Abs(got/want-1) < 1e-9 }

func TestNativeStart(t *testing.T) {
	n := newNative()
	if n.Rate() != 0 || n.Window() != 16 {
		t.Errorf("rate %v, window %v; slow start has no rate and 16 packets", n.Rate(), n.Window())
	}
}

// In slow start the window grows by one more than was acknowledged, once in a
// SYN interval.
func TestNativeSlowStart(t *testing.T) {
	n := newNative()
	n.ack(16)
	if n.Window() != 16+17 {
		t.Errorf("window %v after 16 packets", n.Window())
	}
	n.s.Now += Instant(syn - 1)
	n.OnACK(&n.s, 10)
	if n.Window() != 33 {
		t.Errorf("window %v grew before the interval was over", n.Window())
	}
	n.s.Now++
	n.OnACK(&n.s, 20)
	if n.Window() != 33+31 {
		t.Errorf("window %v, want the packets of both ACKs counted", n.Window())
	}
	if n.Rate() != 0 {
		t.Errorf("rate %v in slow start", n.Rate())
	}
}

// Slow start ends when the window passes what the receiver takes.
func TestNativeSlowStartEndsAtMaxWindow(t *testing.T) {
	n := newNative()
	n.s.ArrivalRate = 20_000
	n.ack(8192 - 17)
	if !n.slowStart {
		t.Error("ended at a window of the receiver's size")
	}
	n.ack(1)
	if n.slowStart {
		t.Fatal("did not end")
	}
	if n.Rate() < 20_000 || n.Rate() > 20_001 {
		t.Errorf("rate %v, the receiver's is 20000", n.Rate())
	}
	if want := 20_000*0.050 + 16; !near(n.Window(), want) {
		t.Errorf("window %v, want %v", n.Window(), want)
	}
}

// One early loss or timeout, before the receiver has reported a rate, throttles
// libudt to 16 packets/s (protocol trap D3). Here the window's rate is kept.
func TestTrapD3SlowStartExitWithoutRate(t *testing.T) {
	for name, event := range map[string]func(*native){
		"loss":    func(n *native) { n.lose(3) },
		"timeout": func(n *native) { n.OnTimeout(&n.s) },
	} {
		n := newNative()
		event(n)
		if want := 16 / 0.050; !near(n.Rate(), want) {
			t.Errorf("%s: rate %v packets/s, want a window each RTT and SYN: %v", name, n.Rate(), want)
		}
		if n.slowStart {
			t.Errorf("%s: still in slow start", name)
		}
	}
}

// With a rate known it is the new rate; the loss itself doesn't slow down, nor
// stop the next increase.
func TestNativeSlowStartExitWithRate(t *testing.T) {
	n := newNative()
	n.s.ArrivalRate, n.s.Capacity = 5000, 80_000
	n.lose(3)
	if !near(n.Rate(), 5000) || n.lossSeen {
		t.Errorf("rate %v, loss seen %v", n.Rate(), n.lossSeen)
	}
}

// The increase table of UDT, in packets a SYN interval per SYN interval.
func TestNativeIncrease(t *testing.T) {
	for _, c := range []struct{ spare, want float64 }{ // bits/s
		{-1e9, 0.01},
		{0, 0.01},
		{1, 0.01},
		{1e6, 0.01},
		{9e6, 0.01},
		{11e6, 0.1},
		{99e6, 0.1},
		{101e6, 1},
		{999e6, 1},
		{1.01e9, 10},
		{9.9e9, 10},
		{10.1e9, 100},
		{99e9, 100},
	} {
		n := running(10_000)
		n.s.Capacity = 10_000 + c.spare/12_000
		n.ack(10)
		if got := (n.Rate() - 10_000) / 100; math.Abs(got/c.want-1) > 1e-6 {
			t.Errorf("%v bit/s to spare: %v packets, want %v", c.spare, got, c.want)
		}
	}
}

// Below the rate of the last decrease only a ninth of the capacity is taken
// for spare.
func TestNativeIncreaseBelowLastDecrease(t *testing.T) {
	n := running(10_000)
	n.s.Capacity = 90_000 // a ninth is 120 Mbit/s
	n.lastDecPeriod = n.period * 0.99
	n.ack(10)
	if got := (n.Rate() - 10_000) / 100; math.Abs(got-1) > 1e-6 {
		t.Errorf("%v packets, want 1", got)
	}
	n = running(10_000)
	n.s.Capacity = 10_500 // what is really spare is less than a ninth: 6 Mbit/s
	n.lastDecPeriod = n.period * 0.99
	n.ack(10)
	if got := (n.Rate() - 10_000) / 100; math.Abs(got-0.01) > 1e-6 {
		t.Errorf("%v packets, want 0.01", got)
	}
}

// Where pairs are too fast for the receiver there is much to spare, whatever the
// arrival rate stands in for.
func TestNativeIncreaseUnresolved(t *testing.T) {
	n := running(10_000)
	n.s.Capacity, n.s.Latest.Unresolved = 10_000, true
	n.ack(10)
	if got := (n.Rate() - 10_000) / 100; math.Abs(got-10) > 1e-6 {
		t.Errorf("%v packets, want 10", got)
	}
	n = running(10_000)
	n.s.Capacity, n.s.Latest.Unresolved = 10_000, true
	n.lastDecPeriod = n.period * 0.99
	n.ack(10)
	if got := (n.Rate() - 10_000) / 100; math.Abs(got-10) > 1e-6 {
		t.Errorf("%v packets below the rate of the last decrease, want 10", got)
	}
}

// Half of the packet size is a tenth of the packets for the same bits; the
// table is in bits.
func TestNativeIncreaseCountsBits(t *testing.T) {
	n := running(10_000)
	n.s.PacketSize, n.s.Capacity = 9000, 10_000+101e6/72_000
	n.ack(10)
	if got := (n.Rate() - 10_000) / 100; math.Abs(got-1.0/6) > 1e-6 {
		t.Errorf("%v packets, want a sixth", got)
	}
}

// Increases come once in a SYN interval, whatever the number of ACKs.
func TestNativeIncreasesOncePerSYN(t *testing.T) {
	n := running(10_000)
	n.s.Capacity = 20_000
	n.ack(1)
	rate := n.Rate()
	for range 100 {
		n.OnACK(&n.s, 1)
	}
	if n.Rate() != rate {
		t.Errorf("rate %v, want %v", n.Rate(), rate)
	}
}

func TestNativeWindowFollowsArrivalRate(t *testing.T) {
	n := running(10_000)
	n.s.ArrivalRate = 30_000
	n.ack(1)
	if want := 30_000*0.050 + 16; !near(n.Window(), want) {
		t.Errorf("window %v, want %v", n.Window(), want)
	}
	n.s.ArrivalRate = 0
	n.ack(1)
	if want := 30_000*0.050 + 16; !near(n.Window(), want) {
		t.Errorf("window %v without a report, want it left at %v", n.Window(), want)
	}
}

// The first loss of an epoch slows down by exactly 1/9 of the rate, with no
// rounding of the period, and the next increase is skipped.
func TestNativeDecrease(t *testing.T) {
	n := running(850_000) // 1.18 us: libudt's whole microseconds make 425,000 of it
	n.s.Capacity = 1e6
	period := n.period
	n.lose(500)
	if !near(n.period, period*1.125) || n.lastDecPeriod != period {
		t.Errorf("period %v after %v, last %v", n.period, period, n.lastDecPeriod)
	}
	n.ack(10)
	if !near(n.period, period*1.125) {
		t.Error("the increase after a loss was not skipped")
	}
	n.ack(10)
	if n.period >= period*1.125 {
		t.Error("no increase follows")
	}
}

// Within one epoch the rate falls at most five times, however many reports
// come; the next epoch begins with a packet sent after the last decrease.
func TestNativeDecreasesPerEpoch(t *testing.T) {
	for isn := range Seq(100) {
		n := newNative()
		n.s.ISN, n.s.RTT = isn*7919, 10*time.Second // no floor here
		n.Init(&n.s)
		n.slowStart, n.period, n.s.Sent = false, 1e4, 1000
		n.avgNAK, n.nakCount = float64(isn%20), 30
		start := n.period
		for range 50 {
			n.OnLoss(&n.s, 500)
		}
		times := math.Log(n.period/start) / math.Log(1.125)
		if times < 0.999 || times > 5.001 {
			t.Fatalf("ISN %d: %v decreases in one epoch", isn, times)
		}
		before := n.period
		n.OnLoss(&n.s, 1000)
		if !near(n.period, before*1.125) {
			t.Fatalf("ISN %d: a new epoch changed the period by %v", isn, n.period/before)
		}
	}
}

// Where many reports an epoch are the rule, only a random part of them counts,
// so that many flows don't all slow down five times.
func TestNativeDecreasesAtRandom(t *testing.T) {
	n := running(1e6)
	n.s.RTT = 10 * time.Second // no floor here
	seen := map[int]int{}
	const epochs = 500
	for range epochs {
		n.period = 1000
		n.s.Sent += 1000
		for range 10 {
			n.OnLoss(&n.s, n.s.Sent-1)
		}
		seen[int(math.Round(math.Log(n.period/1000)/math.Log(1.125)))]++
	}
	// A fifth each for five, three and three times two decreases.
	for times, part := range map[int]float64{5: 0.2, 3: 0.2, 2: 0.6} {
		if got := float64(seen[times]) / epochs; math.Abs(got-part) > 0.07 {
			t.Errorf("%v of the epochs had %d decreases, want %v: %v", got, times, part, seen)
		}
	}
}

// With few reports an epoch each of them counts.
func TestNativeEveryReportCountsAtFirst(t *testing.T) {
	n := running(1e6)
	start := n.period
	for range 10 {
		n.lose(500)
	}
	if got := math.Log(n.period/start) / math.Log(1.125); math.Abs(got-5) > 1e-6 {
		t.Errorf("%v decreases, want five", got)
	}
}

// What was sent before the last decrease is the old epoch still.
func TestNativeEpochEndsAtLastDecrease(t *testing.T) {
	n := running(1e6)
	for range 5 {
		n.lose(500)
	}
	before := n.period
	last := n.s.Sent - 1
	n.OnLoss(&n.s, last)
	if n.period != before {
		t.Error("the last packet before the decrease began an epoch")
	}
	n.s.Sent += 10
	n.OnLoss(&n.s, last+1)
	if !near(n.period, before*1.125) {
		t.Error("the first packet after the decrease did not begin an epoch")
	}
}

// Two packets a round trip always go, and a loss never speeds up.
func TestNativeDecreaseFloor(t *testing.T) {
	n := running(1000)
	for i := range int64(500) {
		n.lose(n.s.Sent + i)
	}
	if want := 2 / 0.050; !near(n.Rate(), want) {
		t.Errorf("rate %v, want %v", n.Rate(), want)
	}
	n.s.RTT = 10 * ms // the floor rises with a shorter round trip
	before := n.Rate()
	n.lose(n.s.Sent)
	if n.Rate() > before {
		t.Errorf("a loss took the rate from %v to %v", before, n.Rate())
	}
}

// A timeout past slow start changes nothing: the lost packets' reports do.
func TestNativeTimeoutLater(t *testing.T) {
	n := running(1000)
	n.OnTimeout(&n.s)
	if !near(n.Rate(), 1000) {
		t.Errorf("rate %v", n.Rate())
	}
}

func TestNativeUniform(t *testing.T) {
	n := newNative()
	sum, low, high := 0.0, 1.0, 0.0
	for range 10_000 {
		u := n.uniform()
		sum, low, high = sum+u, min(low, u), max(high, u)
	}
	if low <= 0 || high > 1 || low > 0.01 || high < 0.99 || math.Abs(sum/10_000-0.5) > 0.02 {
		t.Errorf("from %v to %v, mean %v", low, high, sum/10_000)
	}
}
