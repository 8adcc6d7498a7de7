package proto

import "time"

// bbrModel is the path as BBR knows it (section 5.5).
type bbrModel struct {
	round      bbrRound // under way
	last       bbrRound // complete
	roundEnd   int64    // delivered when the round trip ends
	newRound   bool     // the event at hand began one
	roundStart Instant

	bw     [2]float64 // most delivered, packets/s: this cycle of ProbeBW and the one before
	bwLo   float64    // short-term bound; 0 = none
	hi     float64    // long-term bound of packets in flight; 0 = none
	rtt    twoWindows
	loss   float64 // share of packets lost while there is no queue
	strife float64 // share of packets lost lately, with or without a queue
	seen   int     // round trips that loss was measured over

	capacity float64 // of the path, packets/s, as the receiver reports it; at least maxBW
	resolved float64 // the same without what the receiver guesses
	sending  float64 // pacing rate, packets/s
	turned   Instant // when the bandwidth's filter last turned

	jitter     time.Duration // by how much round trips deviate, as far as it is not a queue that makes them
	unreported float64       // most packets that arrive before a light ACK says so

	extra   ackedExtra
	tick    bbrTick // of a least round trip
	half    bbrTick // of half of one
	recent  recentRTT
	turns   rttTurns
	squeeze bbrSqueeze
	rival   bbrRival
}

// A bbrRound is what one round trip told.
type bbrRound struct {
	bw        float64       // most delivered, packets/s
	rtt       time.Duration // least; 0 = unknown
	lost      int64         // count at its begin; in last, packets lost in it
	delivered int64         // likewise
	limited   bool          // by the application or the receiver, at least at times
}

// share is how much of what was sent in a complete round was lost.
func (r *bbrRound) share() float64 {
	if r.lost <= 0 {
		return 0
	}
	return float64(r.lost) / float64(r.lost+r.delivered)
}

const (
	// minTick is the least time to measure a rate over: an interval of ACKs.
	minTick = syn
	// jitterTicks is how many times the scatter of round trips a rate is measured
	// over: both ends of the time are off by up to as much, and of many samples the
	// greatest would count.
	jitterTicks = 12
	// maxCapacity is how many times the bandwidth the reported capacity is
	// believed to be.
	maxCapacity = 4
	// bwHold is how long at least a bandwidth is remembered: a short path's
	// cycles are over before those of longer ones beside it.
	bwHold = 500 * time.Millisecond
	// strifeGain is the weight of a round trip in the loss of late.
	strifeGain = 16
	// capacityDecay is how fast a capacity not seen again is forgotten, per
	// turn of the bandwidth's filter.
	capacityDecay = 0.05
)

func (m *bbrModel) init(s *PathState) {
	m.round = bbrRound{lost: s.Lost, delivered: s.Delivered}
	m.unreported = float64(lightACKEvery(s.PacketSize - IPUDPHeaders - HeaderSize))
	m.extra.start, m.roundStart, m.tick.start, m.half.start = s.Now, s.Now, s.Now, s.Now
}

// update takes in what an ACK or a NAK tells.
func (m *bbrModel) update(s *PathState, phase bbrPhase) {
	m.newRound, m.tick.over, m.half.over = false, false, false
	m.squeeze.rate = 0
	m.jitter = min(max(min(s.RTTVar, m.minRTT()/8), m.turns.spread()), m.minRTT())
	r := &s.Sample
	if r.Interval <= 0 {
		return
	}
	// Section 5.5.1. A round trip ends when a packet is delivered that was
	// sent after it began; on a short path it lasts for an interval of ACKs.
	if r.Prior >= m.roundEnd && s.Now.Sub(m.roundStart) >= minTick {
		m.newRound = true
		m.beginRound(s)
		m.endRound(s, phase)
	}
	if r.RTT > 0 {
		m.rtt.add(r.RTT)
		m.round.rtt = lesser(m.round.rtt, r.RTT)
		m.recent.add(s.Now, r.RTT)
		if s.Pipe > 0 { // behind the last packet a receiver waits before it reports
			m.turns.add(r.RTT)
		}
	} else {
		m.recent.add(s.Now, s.RTT) // what the receiver makes of its ACKs is better than nothing
	}
	m.round.limited = m.round.limited || r.Limited
	rate := r.Rate()
	m.round.bw = max(m.round.bw, rate)
	span := m.span()
	m.tick.update(s, max(m.minRTT(), span))
	m.half.update(s, max(m.minRTT()/2, span))
	m.watchSqueeze(s.Now)
	m.watchRival(s.Now)
	switch {
	case phase == phaseStartup || r.Interval >= span:
		m.bw[0] = max(m.bw[0], rate)
	case m.tick.over:
		// On a short path a sample is a single batch, and jitter is most of
		// its time; the most of many tells more of either than of the path.
		m.bw[0] = max(m.bw[0], m.tick.rate)
	}
	m.capacity = max(m.capacity, m.maxBW(), min(s.Capacity, maxCapacity*m.maxBW()))
	m.resolved = max(m.resolved, m.maxBW())
	if !s.Latest.Unresolved {
		m.resolved = max(m.resolved, min(s.Capacity, s.Latest.Capacity, maxCapacity*m.maxBW()))
	}
	m.extra.add(s, m.bandwidth(), m.inflight(1)+m.burst()+m.unreported, m.newRound)
}

// beginRound lets a round trip last from now on, until a packet is delivered that
// is sent after it.
func (m *bbrModel) beginRound(s *PathState) { m.roundEnd, m.roundStart = s.Delivered, s.Now }

// forgive holds no loss so far against the path.
func (m *bbrModel) forgive(s *PathState) { m.round.lost, m.last.lost = s.Lost, 0 }

// span is the least time to measure a rate over.
func (m *bbrModel) span() time.Duration { return max(minTick, jitterTicks*m.turns.spread()) }

// endRound completes a round trip.
func (m *bbrModel) endRound(s *PathState, phase bbrPhase) {
	m.last = m.round
	m.last.lost = s.Lost - m.round.lost
	m.last.delivered = s.Delivered - m.round.delivered
	m.round = bbrRound{lost: s.Lost, delivered: s.Delivered}
	m.strife += (m.last.share() - m.strife) / strifeGain
	// What is lost without a queue is not lost for want of room in it. Not so
	// in Up, where a buffer too small to be seen may overflow.
	if m.last.rtt > 0 && !m.queued() && phase != phaseUp {
		m.seen++
		m.loss += (min(m.last.share(), maxBaseLoss) - m.loss) / float64(min(m.seen, 8))
	}
}

// maxBW is the bandwidth: the most delivered in two cycles (section 5.5.3).
func (m *bbrModel) maxBW() float64 { return max(m.bw[0], m.bw[1]) }

// bandwidth is maxBW within its short-term bound.
func (m *bbrModel) bandwidth() float64 {
	if m.bwLo > 0 {
		return min(m.bwLo, m.maxBW())
	}
	return m.maxBW()
}

// turn begins a cycle of the bandwidth's filter (section 5.5.6). Where there
// was too little to send nothing was learnt, and nothing is forgotten (section
// 5.5.4).
func (m *bbrModel) turn(now Instant) {
	if now.Sub(m.turned) < bwHold || m.last.limited || m.bw[0] == 0 {
		return
	}
	m.bw[0], m.bw[1] = 0, m.bw[0]
	m.turned = now
	m.capacity *= 1 - capacityDecay
	m.resolved *= 1 - capacityDecay
}

// minRTT is the least round trip of the last 5 to 10 s (section 5.5.7).
func (m *bbrModel) minRTT() time.Duration {
	if least := m.rtt.least(); least > 0 {
		return least
	}
	return initialRTT
}

// bounded cuts a window to the long-term bound, which Up reaches beyond; cruising
// leaves headroom for others to come, but not at the price of the BDP (section
// 5.6.4.8). Where somebody else keeps the queue full it overflows whatever little we
// have in flight.
func (m *bbrModel) bounded(window, reach float64, now Instant, phase bbrPhase) float64 {
	if m.hi <= 0 || phase == phaseStartup || m.cornered(now) {
		return window
	}
	hi := m.hi
	switch phase {
	case phaseUp:
		hi *= reach
	case phaseCruise, phaseProbeRTT:
		hi = max(0.85*m.hi, min(m.hi, m.inflight(1)))
	}
	return min(window, hi+m.slack())
}

// rttTurns measures how far round trips are scattered, by those that are longer,
// or shorter, than both of their neighbours: a queue that grows or shrinks makes
// none, however fast.
type rttTurns struct {
	latest time.Duration // 0: none
	step   time.Duration // to there from the one before
	mean   time.Duration // of how far a turn is from the nearer neighbour; 0 for what is none
	count  int           // of round trips, up to turnsGain
}

// turnsGain is the weight of the latest round trip, once there were so many.
const turnsGain = 16

func (t *rttTurns) add(rtt time.Duration) {
	if t.latest > 0 {
		step, turn := rtt-t.latest, time.Duration(0)
		if (step > 0) != (t.step > 0) {
			turn = min(step.Abs(), t.step.Abs())
		}
		t.count = min(t.count+1, turnsGain)
		t.mean += (turn - t.mean) / time.Duration(t.count)
		t.step = step
	}
	t.latest = rtt
}

// spread is the range of round trips, were they scattered evenly: two of three
// are turns then, and a quarter of the range from the nearer neighbour.
func (t *rttTurns) spread() time.Duration { return 6 * t.mean }

// lesser is the lesser of two round trips, of which a may be unknown: 0.
func lesser(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// twoWindows keeps the least round trip of the current interval and of the
// one before.
type twoWindows struct {
	current, previous time.Duration // 0: none
}

func (w *twoWindows) add(d time.Duration) { w.current = lesser(w.current, d) }

func (w *twoWindows) least() time.Duration {
	if w.current == 0 || w.previous > 0 && w.previous < w.current {
		return w.previous
	}
	return w.current
}

// turn begins an interval.
func (w *twoWindows) turn() {
	if w.current > 0 {
		w.previous = w.current
	}
	w.current = 0
}

// ackedExtra is how many more packets ACKs cover than the bandwidth explains,
// because they come in batches (section 5.5.9).
type ackedExtra struct {
	start     Instant
	delivered int64      // at the start
	latest    int64      // at the last report
	max       [2]float64 // this window of five round trips and the one before
	rounds    int
}

// add notes what was delivered; most bounds what is believed.
func (e *ackedExtra) add(s *PathState, bw, most float64, newRound bool) {
	if newRound {
		if e.rounds++; e.rounds >= 5 {
			e.rounds = 0
			e.max[0], e.max[1] = 0, e.max[0]
		}
	}
	expected := bw * s.Now.Sub(e.start).Seconds()
	if float64(s.Delivered-e.delivered) <= expected {
		e.start, e.delivered, expected = s.Now, e.latest, 0 // from this batch on
	}
	e.latest = s.Delivered
	e.max[0] = max(e.max[0], min(float64(s.Delivered-e.delivered)-expected, most))
}

func (e *ackedExtra) most() float64 { return max(e.max[0], e.max[1]) }
