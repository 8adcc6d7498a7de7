package proto

import (
	"slices"
	"testing"
	"time"
)

// A drill puts a BBR through reports that a test makes up.
type drill struct {
	t    testing.TB
	b    *BBR
	s    PathState
	lost float64

	limited bool // by the application
}

const drillRTT = 100 * ms

func newDrill(t testing.TB) *drill {
	d := &drill{t: t, b: NewBBR(), s: PathState{
		PacketSize: 1500, RTT: drillRTT, RTTVar: ms, MaxWindow: 100_000, ISN: 1, InFlight: 100, Pipe: 100, Sent: 100,
	}}
	d.b.Init(&d.s)
	return d
}

// trip is a round trip in which packets/s are delivered, at a round-trip time,
// reported every hundredth of it, and with a share of them lost.
func (d *drill) trip(rate float64, rtt time.Duration, loss float64) { d.part(1, rate, rtt, loss) }

// part is the first part of one.
func (d *drill) part(part, rate float64, rtt time.Duration, loss float64) {
	const reports = 100
	end := d.s.Delivered
	n := rate * rtt.Seconds() / reports
	for i := range int(part * reports) {
		d.s.Now = d.s.Now.Add(rtt / reports)
		before := d.s.Delivered
		d.s.Delivered = end + int64(n*float64(i+1))
		d.lost += float64(d.s.Delivered-before) * loss / (1 - loss)
		lost := int64(d.lost) - d.s.Lost
		d.s.Lost += lost
		d.s.Sample = RateSample{
			Delivered: int64(rate * rtt.Seconds()), Interval: rtt, RTT: rtt,
			Prior: before - int64(n*reports), InFlight: d.s.Pipe, Limited: d.limited,
		}
		if i == 0 {
			d.s.Sample.Prior = end // a packet sent after the trip began
		}
		d.s.Pipe = int(rate * rtt.Seconds())
		d.s.InFlight = d.s.Pipe
		d.s.Acked, d.s.Sent = d.s.Delivered, d.s.Delivered+int64(d.s.Pipe)
		if lost > 0 {
			d.b.OnLoss(&d.s, 0)
		} else {
			d.b.OnACK(&d.s, int(d.s.Delivered-before))
		}
		d.s.Sample = RateSample{}
	}
}

// started brings the drill to the given phase at 10,000 packets/s.
func (d *drill) started(want bbrPhase) {
	d.t.Helper()
	d.until(want, 10_000, drillRTT)
}

// until makes round trips until the given phase has come, and returns how many.
func (d *drill) until(want bbrPhase, rate float64, rtt time.Duration) int {
	d.t.Helper()
	for n := range 60 {
		d.trip(rate, rtt, 0)
		if d.b.phase == want {
			return n + 1
		}
	}
	d.t.Fatalf("phase %d never comes", want)
	return 0
}

// report makes the receiver's estimates known.
func (d *drill) report(arrival, capacity float64) {
	d.s.Latest = Rates{Arrival: arrival, Capacity: capacity, Count: d.s.Latest.Count + 1}
	d.s.Capacity = capacity
}

func within(got, want float64) bool { return got > 0.98*want && got < 1.02*want }

func TestBBRStartsWithAWindow(t *testing.T) {
	d := newDrill(t)
	if d.b.Rate() != 0 || d.b.Window() != initialWindow || d.b.Name() != "bbr" {
		t.Errorf("rate %v, window %v", d.b.Rate(), d.b.Window())
	}
}

// Startup multiplies the rate until three round trips bring no more.
func TestBBRStartup(t *testing.T) {
	d := newDrill(t)
	for rate := 200.0; rate < 10_000; rate *= 2 {
		d.trip(rate, drillRTT, 0)
		if d.b.phase != phaseStartup || !within(d.b.Rate(), 2.77*rate) {
			t.Fatalf("at %v packets/s: phase %d, rate %v", rate, d.b.phase, d.b.Rate())
		}
		if d.b.Window() < 2*rate*drillRTT.Seconds() {
			t.Errorf("at %v packets/s: window %v", rate, d.b.Window())
		}
	}
	trips := 0
	for ; d.b.phase == phaseStartup && trips < 10; trips++ {
		d.trip(10_000, drillRTT, 0)
	}
	if trips < fullRounds || trips > fullRounds+2 {
		t.Errorf("left Startup after %d round trips without growth", trips)
	}
}

// Startup ends on a queue, or if very much is lost; on other losses it does not.
func TestBBRStartupWithLoss(t *testing.T) {
	for _, test := range []struct {
		rtt     time.Duration
		loss    float64
		limited bool
		leaves  bool
	}{
		{drillRTT, 0.04, false, false},
		{2 * drillRTT, 0.04, false, true},
		{2 * drillRTT, 0, false, true},
		{2 * drillRTT, 0, true, false},
		{drillRTT * 11 / 10, 0, false, false},
		{drillRTT, 0.3, false, true},
		{drillRTT, 0.04, true, false},
		{2 * drillRTT, 0.04, true, true},
		{drillRTT, 0.3, true, true},
	} {
		d := newDrill(t)
		d.limited = test.limited
		rate := 1000.0
		for range 3 {
			d.trip(rate, drillRTT, 0)
			rate *= 2
		}
		for range 2 {
			d.trip(rate, test.rtt, test.loss)
			rate *= 2
		}
		if left := d.b.phase != phaseStartup; left != test.leaves {
			t.Errorf("round trip %v, loss %v, limited %v: left Startup: %v", test.rtt, test.loss, test.limited, left)
		}
	}
}

// The receiver's word for the first burst shortens Startup: at once if its two
// estimates agree, in steps if there is one, not at all if there is none.
func TestBBRStartupJumps(t *testing.T) {
	const window = initialWindow / (float64(drillRTT) / 1e9)
	for _, test := range []struct {
		name              string
		arrival, capacity float64
		rates             []float64 // round trip by round trip
	}{
		{"both", 10_000, 11_000, []float64{7500, 7500}},
		{"libudt's first", 40_000, 1, []float64{8 * window, 64 * window, 20_000, 20_000}},
		{"a slow one of libudt's", 2000, 1000, []float64{1000, 1000}},
		{"none", 0, 0, []float64{2.77 * window, 2.77 * window}},
		{"no arrival rate", 0, 10_000, []float64{2.77 * window, 2.77 * window}},
		{"less than was sent", 100, 100, []float64{2.77 * window, 2.77 * window}},
	} {
		d := newDrill(t)
		d.report(test.arrival, test.capacity)
		for i, rate := range test.rates {
			d.trip(160, drillRTT, 0)
			if !within(d.b.Rate(), rate) {
				t.Errorf("%s: rate %.0f in round trip %d, want %.0f", test.name, d.b.Rate(), i, rate)
			}
			if rate > 2.77*window && d.b.Window() < d.b.Rate()*drillRTT.Seconds() {
				t.Errorf("%s: window %.0f for a rate of %.0f", test.name, d.b.Window(), d.b.Rate())
			}
		}
	}
}

// What comes more than a round trip after the first burst was shaped by pacing,
// and is no word about the path.
func TestBBRStartupIgnoresLateWords(t *testing.T) {
	d := newDrill(t)
	d.trip(160, drillRTT, 0)
	d.trip(160, drillRTT, 0)
	d.report(40_000, 40_000)
	d.trip(160, drillRTT, 0)
	if d.b.Rate() > 3*160 {
		t.Errorf("rate %.0f", d.b.Rate())
	}
}

// Trains that tell too little are followed by longer ones, and what the longest
// tells is believed.
func TestBBRTrains(t *testing.T) {
	const window = initialWindow / (float64(drillRTT) / 1e9)
	for _, test := range []struct {
		name              string
		rtt               time.Duration
		arrival, capacity float64
		trains            []int // that follow
		measured, hint    float64
	}{
		{"taken in one go", drillRTT, 0, 1, []int{256}, 0, 0},
		{"the same on a short path", drillRTT / 4, 0, 1, []int{64, 256}, 0, 0},
		{"less than was sent", drillRTT, window, window, []int{64, 256}, 0, 0},
		{"both estimates", drillRTT, 10_000, 11_000, nil, 10_000, 0},
		{"a step away", drillRTT, 2000, 1, nil, 0, 2000},
		{"some steps away", drillRTT, 9000, 1, []int{64}, 0, 9000},
		{"far away", drillRTT, 40_000, 1, []int{256}, 40_000, 0},
		{"the arrival rate twice", drillRTT, 3900, 3900, []int{64}, 0, 3900},
		{"as much, and too soon for that", drillRTT, 4100, 4100, nil, 4100, 0},
	} {
		var m bbrModel
		m.rtt.add(test.rtt)
		st := bbrStartup{train: initialWindow}
		s := PathState{Sent: initialWindow}
		var trains []int
		for range 4 {
			was := st.train
			s.Now, s.Acked = s.Now.Add(test.rtt), s.Acked+1
			st.begin(&s)
			st.report(&s, &m)
			if !st.begun || st.told {
				t.Errorf("%s: begun %v, told %v by its first packet", test.name, st.begun, st.told)
			}
			s.Now, s.Acked = s.Now.Add(syn), s.Sent
			s.Latest = Rates{Arrival: test.arrival, Capacity: test.capacity, Count: s.Latest.Count + 1}
			st.begin(&s)
			st.report(&s, &m)
			if st.told {
				break
			}
			if st.train == was || st.begun {
				t.Fatalf("%s: after %d packets nothing follows", test.name, was)
			}
			trains = append(trains, st.train)
			s.Sent += int64(st.train)
		}
		if !slices.Equal(trains, test.trains) || !st.told || st.capacity != test.measured || st.hint != test.hint {
			t.Errorf("%s: trains of %v, capacity %v, hint %v", test.name, trains, st.capacity, st.hint)
		}
	}
}

// A train is heard in spite of what it lost, also of its last packets, behind
// which nothing comes to show the gap.
func TestBBRTrainWithLosses(t *testing.T) {
	for name, c := range map[string]struct {
		acked, arrived int // packets in order, and behind a hole
		unheard        int
		want           bool
	}{
		"all":              {16, 0, 0, true},
		"but the last":     {15, 0, 1, true},
		"but the last two": {14, 0, 2, false}, // they may be under way
		"but one":          {5, 10, 0, true},
		"but three":        {5, 8, 1, true},
		"half, and a hole": {4, 4, 7, false},
	} {
		var m bbrModel
		m.rtt.add(drillRTT)
		st := bbrStartup{train: initialWindow}
		s := PathState{Sent: initialWindow, Acked: 1, Now: Instant(drillRTT), InFlight: 15, Pipe: 15}
		st.begin(&s)
		st.report(&s, &m)
		s.Now = s.Now.Add(syn)
		s.Acked, s.InFlight, s.Pipe = int64(c.acked), initialWindow-c.acked, c.unheard
		s.Latest = Rates{Arrival: 9000, Capacity: 1, Count: 1}
		st.report(&s, &m)
		if followed := st.train > initialWindow; followed != c.want {
			t.Errorf("%s: a train follows: %v", name, followed)
		}
	}
}

// Jitter may keep the word of a train for half a round trip after its first packet
// was heard of; then it is not waited for.
func TestBBRTrainOfALateWord(t *testing.T) {
	for late, want := range map[time.Duration]bool{2*syn + drillRTT/2 - ms: true, 2*syn + drillRTT/2 + ms: false} {
		var m bbrModel
		m.rtt.add(drillRTT)
		st := bbrStartup{train: initialWindow}
		s := PathState{Sent: initialWindow, Acked: 1, Now: Instant(drillRTT)}
		st.begin(&s)
		s.Now, s.Acked = s.Now.Add(late), initialWindow
		s.Latest = Rates{Capacity: 1, Count: 1}
		st.report(&s, &m)
		if followed := st.train > initialWindow; followed != want || st.told == want {
			t.Errorf("told after %v: a train follows: %v, told %v", late, followed, st.told)
		}
	}
}

// What has arrived of a train that lost its end tells the path's speed, however late it
// is clear that nothing more comes; what is sent then is not the train any more.
func TestBBRTrainThatLostItsEnd(t *testing.T) {
	var m bbrModel
	m.rtt.add(drillRTT)
	st := bbrStartup{train: maxTrain, base: 16, start: 16}
	s := PathState{Sent: 16 + maxTrain, Acked: 17, Now: Instant(drillRTT), InFlight: maxTrain - 1, Pipe: maxTrain - 1}
	st.begin(&s)
	s.Now = s.Now.Add(syn)
	s.Acked, s.InFlight, s.Pipe = 16+160, maxTrain-160, maxTrain-160
	s.Latest = Rates{Arrival: 15_000, Capacity: 40_000, Count: 1}
	st.report(&s, &m)
	if st.told {
		t.Fatal("the rest is not waited for")
	}
	s.Now = s.Now.Add(drillRTT * 6 / 5)
	st.report(&s, &m)
	if !st.told || st.capacity != 15_000 {
		t.Errorf("told %v, capacity %.0f, want 15000", st.told, st.capacity)
	}
	if st.train != 160 {
		t.Errorf("a train of %d, want what has arrived: 160", st.train)
	}
	s.Now = s.Now.Add(drillRTT)
	s.Latest = Rates{Arrival: 30_000, Capacity: 30_000, Count: 2}
	st.report(&s, &m)
	if st.capacity != 15_000 {
		t.Errorf("then a capacity of %.0f, want 15000", st.capacity)
	}
}

// Whatever a train loses says nothing of the rates to come.
func TestBBRForgivesTrains(t *testing.T) {
	d := newDrill(t)
	d.part(0.5, 160, drillRTT, 0.5)
	if d.b.startup.told {
		t.Fatal("told without a word")
	}
	d.report(10_000, 11_000)
	d.s.Delivered += 5
	d.b.OnACK(&d.s, 0)
	if !d.b.startup.told || d.b.model.roundEnd != d.s.Delivered {
		t.Error("what follows the train does not begin a round trip")
	}
	d.part(0.5, 160, drillRTT, 0.5)
	if m := &d.b.model; d.b.phase != phaseStartup || m.loss > 0 {
		t.Errorf("phase %d, %.2f lost anyway", d.b.phase, m.loss)
	}
	d.trip(7500, drillRTT, 0.25)
	if d.b.phase == phaseStartup || d.b.cycle.reach() > 1 {
		t.Errorf("what is lost later is forgiven as well: phase %d, reach %v", d.b.phase, d.b.cycle.reach())
	}
}

// A queue that ends Startup before a train has told anything ends forgiving as well.
func TestBBRForgivesNothingAfterStartup(t *testing.T) {
	d := newDrill(t)
	d.part(0.5, 160, drillRTT, 0)
	d.b.enter(phaseDrain)
	d.trip(160, drillRTT, 0.5)
	d.trip(160, drillRTT, 0.5)
	if d.b.startup.told || d.b.model.last.lost == 0 {
		t.Errorf("told %v, %d lost", d.b.startup.told, d.b.model.last.lost)
	}
}

// A train is not heard of as long as only the greeting before it is.
func TestBBRTrainBehindAGreeting(t *testing.T) {
	st := bbrStartup{train: initialWindow}
	s := PathState{Sent: 3, Acked: 1}
	st.begin(&s)
	for _, acked := range []int64{2, 3, 4} {
		s.Sent, s.Acked = 3+initialWindow, acked
		if st.begin(&s); st.begun != (acked > 3) {
			t.Errorf("%d packets of 3 and a train acknowledged: begun %v", acked, st.begun)
		}
	}
}

// A greeting is no measure of the path: what follows it leaves as the first
// flight of a transfer does, unpaced.
func TestBBRAfterAGreeting(t *testing.T) {
	d := newDrill(t)
	d.limited = true
	d.s.Sent = 1
	for range 3 {
		d.s.Acked = d.s.Sent
		d.s.Sent++
		d.report(10, 10)
		d.trip(20, drillRTT, 0)
		if d.b.Rate() != 0 || d.b.Window() < initialWindow {
			t.Fatalf("rate %.0f, window %.0f", d.b.Rate(), d.b.Window())
		}
	}
	d.s.Sent += initialWindow
	d.report(40_000, 40_000)
	d.trip(160, drillRTT, 0)
	if !within(d.b.Rate(), 30_000) {
		t.Errorf("rate %.0f, want 30,000", d.b.Rate())
	}
}

// A queue ends Startup within a round trip. If the bandwidth was still growing,
// the queue may have been somebody else's: the search goes on from there.
func TestBBRStartupEndsWithAQueue(t *testing.T) {
	for _, growing := range []bool{true, false} {
		d := newDrill(t)
		rate := 1000.0
		for range 3 {
			d.trip(rate, drillRTT, 0)
			if growing {
				rate *= 2
			}
		}
		d.trip(rate, drillRTT*3/2, 0)
		if d.b.phase == phaseStartup {
			t.Fatalf("growing %v: still in Startup on top of a queue", growing)
		}
		searched := false
		for range 3 {
			d.trip(rate, drillRTT, 0)
			searched = searched || d.b.phase == phaseUp && d.b.cycle.search
		}
		if searched != growing {
			t.Errorf("growing %v: searches on %v", growing, searched)
		}
	}
}

// A word that was wrong is forgotten: Startup goes by what is delivered.
func TestBBRStartupAfterAWrongWord(t *testing.T) {
	d := newDrill(t)
	d.s.Acked = initialWindow
	d.report(100_000, 100_000)
	for range jumpRounds + 1 {
		d.trip(160, drillRTT, 0)
	}
	if d.b.Rate() > 3*160 {
		t.Errorf("rate %.0f", d.b.Rate())
	}
	d = newDrill(t)
	d.s.Acked = initialWindow
	d.report(1000, 1000)
	for rate := 160.0; rate < 10_000; rate *= 2 {
		d.trip(rate, drillRTT, 0)
	}
	d.trip(10_000, drillRTT, 0)
	if bw := d.b.model.bandwidth(); !within(bw, 10_000) {
		t.Errorf("a word too low holds the bandwidth at %.0f", bw)
	}
}

// ProbeBW goes through its phases in order, at their rates.
func TestBBRCycle(t *testing.T) {
	d := newDrill(t)
	d.started(phaseCruise)
	want := map[bbrPhase]float64{phaseCruise: 0.99, phaseRefill: 0.99, phaseUp: 0.99 * 1.125, phaseDown: 0.9}
	next := map[bbrPhase]bbrPhase{
		phaseCruise: phaseRefill, phaseRefill: phaseUp, phaseUp: phaseDown, phaseDown: phaseCruise,
	}
	last, changes := d.b.phase, 0
	for range 60 {
		d.trip(10_000, drillRTT, 0)
		if p := d.b.phase; p != last {
			if next[last] != p && !(last == phaseUp && p == phaseCruise) { // Down may be over at once
				t.Fatalf("from %d to %d", last, p)
			}
			last = p
			changes++
		}
		if !within(d.b.Rate(), want[d.b.phase]*10_000) {
			t.Errorf("phase %d: rate %.0f", d.b.phase, d.b.Rate())
		}
		if p := d.b.phase; p != phaseUp && d.b.Window() < 2000 {
			t.Errorf("phase %d: window %.0f", p, d.b.Window())
		}
	}
	if changes < 12 {
		t.Errorf("%d changes of phase in 60 round trips", changes)
	}
}

// Up asks for an eighth of the capacity, whatever the flow has of it but no more
// than a quarter of that, and goes on, faster, as long as it gets more.
func TestBBRUp(t *testing.T) {
	for _, test := range []struct {
		capacity   float64
		unresolved bool
		gain       float64
	}{{15_000, false, 1.1875}, {40_000, false, 1.25}, {40_000, true, 1.125}} {
		d := newDrill(t)
		d.report(0, test.capacity)
		d.s.Latest.Unresolved = test.unresolved
		d.started(phaseUp)
		if !within(d.b.Rate(), 0.99*test.gain*10_000) {
			t.Errorf("%+v: rate %.0f", test, d.b.Rate())
		}
	}
	d := newDrill(t)
	d.started(phaseUp)
	rate := 15_000.0
	for range 3 {
		d.trip(rate, drillRTT, 0)
		rate *= 1.5
	}
	if d.b.phase != phaseUp || d.b.Rate() < 1.5*20_000 {
		t.Errorf("phase %d, rate %.0f", d.b.phase, d.b.Rate())
	}
	d = newDrill(t)
	d.started(phaseUp)
	d.trip(10_000, drillRTT*112/100, 0)
	if d.b.phase != phaseUp || d.b.Rate() < 10_000 {
		t.Errorf("phase %d, rate %.0f: a report that came late is taken for a queue", d.b.phase, d.b.Rate())
	}
	d = newDrill(t)
	d.started(phaseUp)
	for range 2 {
		d.trip(10_000, drillRTT*5/4, 0)
		if d.b.phase == phaseUp && d.b.Rate() > 10_000 {
			t.Errorf("rate %.0f on top of a queue", d.b.Rate())
		}
	}
	d.trip(10_000, drillRTT*5/4, 0)
	if d.b.phase != phaseDown {
		t.Errorf("phase %d after two round trips without growth", d.b.phase)
	}
}

// ProbeRTT comes if no round trip was near the least one for 5 s, and not
// otherwise; it leaves half of the BDP in flight, for 200 ms.
func TestBBRProbeRTT(t *testing.T) {
	d := newDrill(t)
	for range 150 {
		d.trip(10_000, drillRTT, 0)
		if d.b.phase == phaseProbeRTT {
			t.Fatal("ProbeRTT without a queue")
		}
	}
	entered := Instant(0)
	for d.s.Now = 0; entered == 0 && d.s.Now < Instant(time.Minute); {
		d.trip(10_000, drillRTT*3/2, 0)
		if d.b.phase == phaseProbeRTT {
			entered = d.s.Now
		}
	}
	if entered == 0 {
		t.Fatal("no ProbeRTT with a standing queue")
	}
	if w := d.b.cwnd; w < 400 || w > 800 {
		t.Errorf("window %.0f, want half of the BDP", w)
	}
	for range 10 {
		d.trip(5000, drillRTT, 0)
		if d.b.phase != phaseProbeRTT {
			break
		}
	}
	if took := d.s.Now.Sub(entered); d.b.phase == phaseProbeRTT || took < probeRTTTime || took > time.Second {
		t.Errorf("phase %d after %v of ProbeRTT", d.b.phase, took)
	}
}

// What has arrived behind a hole takes no room in the window.
func TestBBRWindowBehindAHole(t *testing.T) {
	d := newDrill(t)
	d.started(phaseCruise)
	d.s.InFlight, d.s.Pipe = 5000, 1000
	d.b.OnTimeout(&d.s)
	if w := d.b.Window(); !within(w, d.b.cwnd+4000) {
		t.Errorf("window %.0f, %.0f without a hole", w, d.b.cwnd)
	}
}

// A receiver that was kept from its processor acknowledges very much at once.
// That is no reason to send more than a socket's buffer can take next time.
func TestBBRBelievesOnlySoMuchOfABatch(t *testing.T) {
	d := newDrill(t)
	d.started(phaseCruise)
	m := &d.b.model
	calm := d.b.Window()
	d.s.Now = d.s.Now.Add(ms)
	d.s.Delivered += 50_000
	d.s.Sample = RateSample{Delivered: 1, Interval: drillRTT, RTT: drillRTT, Prior: d.s.Delivered - 60_000, InFlight: d.s.Pipe}
	d.b.OnACK(&d.s, 50_000)
	if got, most := d.b.Window()-calm, m.inflight(1)+m.burst()+lightACKPackets; got <= 0 || got > most {
		t.Errorf("the window grew by %v packets, at most %v are to be believed", got, most)
	}
}

// A sender that has nothing to send learns no lower bandwidth, and a timeout
// changes nothing.
func TestBBRWithoutData(t *testing.T) {
	d := newDrill(t)
	d.started(phaseCruise)
	for range 200 {
		d.s.Now = d.s.Now.Add(drillRTT)
		d.s.Delivered += 10
		d.s.Sample = RateSample{
			Delivered: 10, Interval: drillRTT, RTT: drillRTT, Prior: d.s.Delivered - 10, Limited: true, InFlight: 10,
		}
		d.b.OnACK(&d.s, 10)
	}
	rate := d.b.Rate()
	d.b.OnTimeout(&d.s)
	if d.b.Rate() != rate || rate < 8900 {
		t.Errorf("rate %.0f, before the timeout %.0f", d.b.Rate(), rate)
	}
}

func TestBBRAllocatesNothing(t *testing.T) {
	d := newDrill(t)
	if n := testing.AllocsPerRun(100, func() { d.trip(10_000, drillRTT, 0.01) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkBBR is what an ACK costs.
func BenchmarkBBR(b *testing.B) {
	d := newDrill(b)
	b.ReportAllocs()
	for range b.N {
		d.trip(10_000, drillRTT, 0) // a hundred reports
	}
}
