package proto

import (
	"slices"
	"time"
)

// Window sizes of the receiver's estimators, as in UDT: 16 arrival intervals,
// 64 packet pairs. Pairs are the packets with sequence numbers 0 and 1 modulo
// 16, which senders send back to back.
const (
	arrivalWindow = 16
	probeWindow   = 64
	probeSpacing  = 16
)

// arrivalSpeed estimates the packet arrival rate (draft-gg-udt-03, section
// 6.2), from batches: with GRO and recvmmsg many packets arrive at one moment
// of our clock. A batch of n packets is spread over the time since the batch
// before, so that single packets and batches give the same answer.
//
// What a device or a scheduler has held up comes in bursts faster than the
// path. So a sample is made of speedSpan, which holds many of those; a longer
// gap is a sample of its own, which the filter leaves out if it was a pause.
//
// As long as there are only a few samples, all that came without a pause counts: a
// packet train of a few milliseconds has to tell (train.go).
type arrivalSpeed struct {
	started bool
	last    Instant
	pending int // packets seen at the moment last

	sample burst // being made
	first  train // all that came without a pause, while there are a few samples
	whole  int   // samples of speedSpan made, up to a few
	win    sampleWindow
}

// A burst is packets and the time they came in.
type burst struct {
	span   Instant
	count  int
	events int // moments
}

func (b *burst) add(dt Instant, n int) { b.span, b.count, b.events = b.span+dt, b.count+n, b.events+1 }

func (b *burst) enough() bool { return b.events >= enoughEvents && b.count >= enoughPackets }

const (
	speedSpan = Instant(4 * time.Millisecond)
	// A first, shorter burst tells the rate within a factor of two or so if it
	// came at enoughEvents moments after the first, with enoughPackets.
	enoughEvents  = 2
	enoughPackets = 8
	// fewSamples is how many are a few.
	fewSamples = 4
	// outlier is how many times as long or as short as others an interval is
	// that is not of their kind, as in UDT's median filter.
	outlier = 8
	// Fewer gaps than enoughPauses may all be pauses of the sender, after each
	// of which a burst came at one moment.
	enoughPauses = arrivalWindow / 2
)

// batch notes n packets that arrived at now.
func (a *arrivalSpeed) batch(now Instant, n int) {
	if !a.started {
		a.started, a.last = true, now
		return
	}
	a.pending += n
	dt := now - a.last
	if dt <= 0 {
		return
	}
	n = a.pending
	a.last, a.pending = now, 0
	if dt >= speedSpan && (a.known() || !a.steady(dt, n)) {
		a.win.add(float64(dt)/float64(n), n, arrivalWindow)
		return
	}
	a.add(dt, n)
}

// steady tells whether a long gap before the first sample is how packets come
// here, one by one, and no pause.
func (a *arrivalSpeed) steady(dt Instant, n int) bool {
	return n == 1 && (a.sample.count == 0 || dt*Instant(a.sample.count) <= outlier*a.sample.span)
}

// add adds n packets to the sample being made.
func (a *arrivalSpeed) add(dt Instant, n int) {
	b := &a.sample
	if !a.known() && b.count < enoughPackets && outlier*dt*Instant(b.count) < b.span*Instant(n) {
		a.sample, a.first = burst{}, train{} // what was sent before the burst
	}
	b.add(dt, n)
	if a.whole < fewSamples {
		a.first.take(dt, n)
	}
	if b.span < speedSpan || !a.known() && !b.enough() {
		return
	}
	if !a.known() {
		a.win = sampleWindow{}
	}
	a.win.add(float64(b.span)/float64(b.count), b.count, arrivalWindow)
	a.sample, a.whole = burst{}, min(a.whole+1, fewSamples)
}

// known tells whether there was a sample of speedSpan.
func (a *arrivalSpeed) known() bool { return a.whole > 0 }

// rate returns packets/s, 0 if unknown.
func (a *arrivalSpeed) rate() float64 {
	switch {
	case a.whole == fewSamples || !a.known() && a.win.n >= enoughPauses:
		return a.win.rate()
	case a.first.enough():
		return a.first.rate()
	}
	return 0
}

// linkCapacity estimates the bottleneck's speed from packet pairs
// (draft-gg-udt-03, section 6.2).
type linkCapacity struct {
	open  bool
	pair  Seq     // first packet of the pair awaited
	at    Instant // its arrival
	batch int64   // the batch it came in
	win   sampleWindow
	pairs float64 // seen lately
	torn  float64 // of these, how many did not come at one moment
}

// pairMemory is how many pairs count as lately.
const pairMemory = 256

// unresolvedRate is what a libudt sender is told as capacity, in packets/s of the
// given size, where most pairs come at one moment: 9.6 Gbit/s. A libudt receiver
// reads packets one by one and measures a few microseconds of its own between them
// then. With anything near the arrival rate its senders would find no room to grow.
// With this they grow as on a link of 10 Gbit/s, and no slower after a loss, when
// they go by a ninth of it.
func unresolvedRate(packetSize int) float64 { return 9.6e9 / 8 / float64(packetSize) }

// unresolvedWord is that as a word of an ACK, never less than what arrives.
func unresolvedWord(packetSize int, arrival int32) int32 {
	return max(rateWord(unresolvedRate(packetSize)), arrival)
}

// packet notes a new packet that arrived in the given batch. A pair that came
// at one moment tells no time, but takes part in the mean.
func (l *linkCapacity) packet(now Instant, s Seq, batch int64) {
	switch {
	case s%probeSpacing == 0:
		l.open, l.pair, l.at, l.batch = true, s, now, batch
	case l.open && s == l.pair.Add(1):
		l.open = false
		l.pairs += 1 - l.pairs/pairMemory
		l.torn -= l.torn / pairMemory
		if batch != l.batch && now > l.at {
			l.torn++
			l.win.add(float64(now-l.at), 1, probeWindow)
		}
	}
}

// rate returns packets/s, 0 if unknown. Where packets are handed on in batches a
// pair is torn apart the more seldom the closer it is, but always by the time
// between two batches; so the mean over all pairs is the time between its packets.
func (l *linkCapacity) rate() float64 {
	return l.win.rate() * (l.pairs + fewTorn) / (l.torn + fewTorn)
}

// fewTorn keeps luck with a few pairs from telling far too much.
const fewTorn = 2

// unresolved tells whether most pairs came at one moment: the rate is a guess then.
func (l *linkCapacity) unresolved() bool { return 2*l.torn < l.pairs }

// A sampleWindow keeps the latest intervals per packet, in nanoseconds, with
// how many packets each stands for.
type sampleWindow struct {
	per    [probeWindow]float64
	weight [probeWindow]int
	n, pos int
}

func (w *sampleWindow) add(per float64, weight, size int) {
	w.per[w.pos], w.weight[w.pos] = per, weight
	w.pos = (w.pos + 1) % size
	w.n = min(w.n+1, size)
}

// rate is the inverse of the weighted mean of the intervals that are no
// outliers from the weighted median: UDT's median filter.
func (w *sampleWindow) rate() float64 {
	if w.n == 0 {
		return 0
	}
	var order [probeWindow]int
	total := 0
	for i := range w.n {
		order[i] = i
		total += w.weight[i]
	}
	slices.SortFunc(order[:w.n], func(a, b int) int {
		switch {
		case w.per[a] < w.per[b]:
			return -1
		case w.per[a] > w.per[b]:
			return 1
		}
		return 0
	})
	var median float64
	half := 0
	for _, i := range order[:w.n] {
		half += w.weight[i]
		if 2*half >= total {
			median = w.per[i]
			break
		}
	}
	sum, count := 0.0, 0
	for i := range w.n {
		if w.per[i] > median/outlier && w.per[i] < median*outlier {
			sum += w.per[i] * float64(w.weight[i])
			count += w.weight[i]
		}
	}
	if sum <= 0 {
		return 0
	}
	return 1e9 * float64(count) / sum
}
