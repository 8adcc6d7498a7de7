package proto

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// arrive feeds an estimator n packets that come every interval ns (with some
// jitter, as a fraction of it), handed over in batches when the last is there.
func arrive(a *arrivalSpeed, n, batch int, interval, jitter float64) {
	r := rand.New(rand.NewPCG(1, 1))
	for i := range n {
		if (i+1)%batch == 0 {
			at := interval * (float64(i) + jitter*r.Float64())
			a.batch(1_000_000+Instant(at), batch)
		}
	}
}

// Singles and batches of any size give the same rate: UDT's median of gaps
// would be zero in batches.
func TestArrivalSpeedOfBatches(t *testing.T) {
	for _, interval := range []float64{1_000, 12_000, 120_000, 10_000_000} {
		for _, batch := range []int{1, 2, 8, 64} {
			t.Run(fmt.Sprintf("every %v us in batches of %d", interval/1000, batch), func(t *testing.T) {
				var a arrivalSpeed
				arrive(&a, 64*40, batch, interval, 0.5)
				if got, want := a.rate(), 1e9/interval; math.Abs(got/want-1) > 0.02 {
					t.Errorf("%.1f packets/s, want %.1f", got, want)
				}
			})
		}
	}
}

// Batches handed over one packet at a time, all at one moment, count the same.
func TestArrivalSpeedOfSimultaneousSingles(t *testing.T) {
	var a arrivalSpeed
	for i := range 100 {
		for range 8 {
			a.batch(Instant(i)*80_000, 1)
		}
	}
	if got := a.rate(); math.Abs(got/100_000-1) > 0.02 {
		t.Errorf("%.1f packets/s, want 100000", got)
	}
}

// A pause of the sender is not its speed: the median filter leaves it out.
func TestArrivalSpeedIgnoresPauses(t *testing.T) {
	var a arrivalSpeed
	now := Instant(0)
	for i := range 100 * 50 {
		now += 10_000
		if i%100 == 99 {
			now += 50_000_000
		}
		a.batch(now, 1)
	}
	if got := a.rate(); math.Abs(got/100_000-1) > 0.02 {
		t.Errorf("%.1f packets/s, want 100000", got)
	}
}

// What was held up comes faster than the path: packets every 24 µs on average,
// released every millisecond and then read one by one.
func TestArrivalSpeedOfBursts(t *testing.T) {
	var a arrivalSpeed
	for i := range 42 * 200 {
		a.batch(Instant(i/42*1_000_000+i%42*2_000), 1)
	}
	if got := a.rate(); math.Abs(got/42_000-1) > 0.05 {
		t.Errorf("%.1f packets/s, want 42000", got)
	}
}

// A first burst tells before it is long, also in pieces, and after a greeting;
// not if it came in one or two.
func TestArrivalSpeedOfTheFirstBurst(t *testing.T) {
	for _, batch := range []int{1, 4, 8, 16} {
		var a arrivalSpeed
		a.batch(0, 1)
		for i := 0; i < 16; i += batch {
			a.batch(Instant(100_000_000+i*24_000), batch)
		}
		known := batch <= 4
		if got := a.rate(); known && math.Abs(got/41_667-1) > 0.02 || !known && got > 200 {
			t.Errorf("%.1f packets/s in batches of %d", got, batch)
		}
	}
}

// A train tells much the same wherever its sender was held up for half of its time, or
// a device on the way, after which what was held up comes at once; and with jitter that
// is three times as long as the train.
func TestArrivalSpeedOfATrain(t *testing.T) {
	const n, gap, stall, jitter = 256, 24_000, 3_000_000, 20_000_000
	least := map[string]float64{"sender": 0.65, "device": 0.8, "jitter": 0.4} // 0.67: in the very middle it is the mean
	most := map[string]float64{"sender": 1.1, "device": 1.2, "jitter": 1.6}
	random := rand.New(rand.NewPCG(1, 1))
	for name, delay := range map[string]func(i, k int) Instant{
		"sender": func(i, k int) Instant {
			if i < k {
				return 0
			}
			return stall
		},
		"device": func(i, k int) Instant {
			if i < k {
				return 0
			}
			return max(0, stall-Instant(i-k)*gap)
		},
		"jitter": func(int, int) Instant { return Instant(random.IntN(jitter)) },
	} {
		sum := 0.0
		for k := range n - stall/gap {
			var a arrivalSpeed
			for i := range Instant(16) { // taken in one go
				a.batch(i*1000, 1)
			}
			a.batch(90_000_000, 1)
			now := Instant(0)
			for i := range n {
				now = max(now, Instant(100_000_000+i*gap)+delay(i, k))
				a.batch(now, 1)
			}
			got := a.rate() * gap / 1e9
			if got < least[name] || got > most[name] {
				t.Errorf("%s, %d: %.2f times the rate", name, k, got)
			}
			sum += got
		}
		if mean := sum / (n - stall/gap); math.Abs(mean-1) > 0.2 {
			t.Errorf("%s: %.2f times the rate on average", name, mean)
		}
	}
}

// A train of any length keeps to its points.
func TestTrainOfAnyLength(t *testing.T) {
	for _, n := range []int{1, 8, 63, 64, 1000, 100_000} {
		var tr train
		for range n {
			tr.take(1000, 1)
		}
		if got := tr.rate(); math.Abs(got/1e6-1) > 1e-9 {
			t.Errorf("%d packets: %.0f packets/s", n, got)
		}
	}
}

func TestArrivalSpeedUnknown(t *testing.T) {
	var a arrivalSpeed
	for range 100 {
		a.batch(5, 3) // time stands still
		if a.rate() != 0 {
			t.Fatalf("rate %v after no time", a.rate())
		}
	}
	a.batch(4, 1) // and goes backwards
	if a.rate() != 0 {
		t.Errorf("rate %v in negative time", a.rate())
	}
	for i := range Instant(enoughPackets + 1) {
		if a.rate() != 0 {
			t.Errorf("rate %v after %d pauses", a.rate(), i)
		}
		a.batch(5+(i+1)*4_000_000, 1)
	}
	if got := a.rate(); !(got > 0) || math.IsInf(got, 0) {
		t.Errorf("rate %v", got)
	}
}

// Packets that greet, milliseconds apart, do not blur what the burst after them
// tells.
func TestArrivalSpeedAfterAGreeting(t *testing.T) {
	var a arrivalSpeed
	for _, at := range []Instant{0, 3_000_000, 100_000_000, 103_000_000} {
		a.batch(at, 1)
	}
	for i := range Instant(64) {
		a.batch(200_000_000+i*100_000, 1)
	}
	if got := a.rate(); math.Abs(got/10_000-1) > 0.02 {
		t.Errorf("%.1f packets/s, want 10000", got)
	}
}

// Nor do bursts before it that came at one moment each.
func TestArrivalSpeedAfterSilentBursts(t *testing.T) {
	var a arrivalSpeed
	for i := range Instant(4) {
		a.batch(i*100_000_000, 64)
	}
	for i := range Instant(64) {
		a.batch(400_000_000+i*100_000, 1)
	}
	if got := a.rate(); math.Abs(got/10_000-1) > 0.02 {
		t.Errorf("%.1f packets/s, want 10000", got)
	}
}

func TestLinkCapacity(t *testing.T) {
	for _, gap := range []Instant{1_000, 12_000, 1_200_000} {
		var l linkCapacity
		batch := int64(0)
		now := Instant(0)
		for i := range 16 * 200 {
			s := Seq(SeqMask - 100).Add(i)
			now += 20 * gap // the pace
			if s%16 == 1 {
				now -= 19 * gap // but pairs come back to back
			}
			batch++
			l.packet(now, s, batch)
		}
		if got, want := l.rate(), 1e9/float64(gap); math.Abs(got/want-1) > 0.02 {
			t.Errorf("pairs %d ns apart: %.1f packets/s, want %.1f", gap, got, want)
		}
	}
}

// Of pairs that all came in one batch, or at one moment, nobody knows the time
// between their packets; libudt divides by zero there.
func TestLinkCapacitySkipsPairsInOneBatch(t *testing.T) {
	var l linkCapacity
	for i := range 16 * 100 {
		batch := int64(i / 32) // sequence numbers 0 and 1, 16 and 17 in one
		l.packet(Instant(i*1000), Seq(i), batch)
	}
	if got := l.rate(); got != 0 {
		t.Errorf("rate %v", got)
	}
	// In two batches, but at one moment or earlier.
	l.packet(1000, 0, 1000)
	l.packet(1000, 1, 1001)
	l.packet(1000, 16, 1002)
	l.packet(900, 17, 1003)
	if l.win.n != 0 {
		t.Errorf("%d samples, rate %v", l.win.n, l.rate())
	}
}

// A receiver that takes what has come from time to time tears few pairs apart,
// and those by too much; how few of them tells the capacity.
func TestLinkCapacityOfBatches(t *testing.T) {
	const gap = 120_000 // ns, of 1500 bytes at 100 Mbit/s
	for _, grain := range []Instant{200_000, 300_000, 1_000_000} {
		var l linkCapacity
		for i := range Instant(2000) {
			at := i * 1_234_567
			for k := range Instant(2) {
				taken := (at + k*gap + grain - 1) / grain * grain
				l.packet(taken, Seq(16*i+k), int64(taken))
			}
		}
		if got := l.rate(); math.Abs(got*gap/1e9-1) > 0.15 {
			t.Errorf("taken every %v: %.0f packets/s", time.Duration(grain), got)
		}
		if got, want := l.unresolved(), grain > 2*gap; got != want {
			t.Errorf("taken every %v: unresolved %v", time.Duration(grain), got)
		}
	}
}

// A chance pair that was torn apart among a few is not believed.
func TestLinkCapacityOfFewPairs(t *testing.T) {
	var l linkCapacity
	for i := range Instant(64) {
		l.packet(i*Instant(ms), Seq(16*i), int64(i))
		if i == 32 {
			l.packet(i*Instant(ms)+200_000, Seq(16*i+1), -1)
		} else {
			l.packet(i*Instant(ms), Seq(16*i+1), int64(i))
		}
	}
	if got := l.rate(); got > 64*5000/2 {
		t.Errorf("%.0f packets/s by one pair of 64, 5000/s apart", got)
	}
}

// Where most pairs come at one moment the rate is a guess.
func TestLinkCapacityUnresolved(t *testing.T) {
	for _, test := range []struct {
		torn int // of eight pairs
		want bool
	}{{8, false}, {5, false}, {3, true}, {0, true}} {
		var l linkCapacity
		if l.unresolved() {
			t.Error("unresolved without a pair")
		}
		now := Instant(0)
		for i := range 8 * 40 {
			now += Instant(ms)
			l.packet(now, Seq(16*i), int64(2*i))
			if i%8 < test.torn {
				now += Instant(ms / 4)
			}
			l.packet(now, Seq(16*i+1), int64(2*i+1))
		}
		if got := l.unresolved(); got != test.want {
			t.Errorf("%d pairs of 8 torn apart: unresolved %v", test.torn, got)
		}
	}
}

// A pair is two neighbours; what else ends in 1 modulo 16 is none.
func TestLinkCapacityNeedsNeighbours(t *testing.T) {
	var l linkCapacity
	l.packet(1000, 16, 1)
	l.packet(2000, 33, 2) // 17 to 32 were lost
	l.packet(3000, 49, 3)
	if l.win.n != 0 {
		t.Fatal("packets 16 and 33 made a pair")
	}
	l.packet(4000, 64, 4)
	l.packet(5000, 65, 5)
	l.packet(6000, 65, 6)
	if l.win.n != 1 {
		t.Errorf("%d samples of one pair", l.win.n)
	}
}

// The window keeps the latest samples only.
func TestSampleWindowForgets(t *testing.T) {
	var w sampleWindow
	for range arrivalWindow {
		w.add(1000, 1, arrivalWindow)
	}
	for range arrivalWindow {
		w.add(500, 1, arrivalWindow)
	}
	if got := w.rate(); got != 2e6 || w.n != arrivalWindow {
		t.Errorf("rate %v of %d samples", got, w.n)
	}
}

func TestRateWord(t *testing.T) {
	for rate, want := range map[float64]int32{0: 0, 0.4: 0, 0.6: 1, 12345.6: 12346, 1e12: 1<<31 - 1, 1<<31 - 1: 1<<31 - 1} {
		if got := rateWord(rate); got != want {
			t.Errorf("%v: %d, want %d", rate, got, want)
		}
	}
}
