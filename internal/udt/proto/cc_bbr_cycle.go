package proto

import "time"

// bbrCycle is ProbeBW: cycles of Down, Cruise, Refill and Up (section 5.3.3).
type bbrCycle struct {
	gain float64 // of Up
	full bool    // Up has made a queue
	// search is Up in place of the rest of Startup: like there, loss alone
	// does not end it.
	search bool
	// noQueue is a round trip that may still be without the queue of Up.
	noQueue time.Duration
	lost    bool    // the probe before has, or Startup, too much
	found   float64 // bandwidth that Up has to exceed to go on
	shown   Instant // when what Up sends began to be reported
	wait    int     // round trips from the begin of Down to the next probe
	began   Instant // of Down
	count   int     // round trips since
	rng     uint64
}

const (
	// A probe follows after minProbeWait to minProbeWait+2 round trips, drawn
	// so that flows don't probe together. The draft waits for 2 to 3 s, for the
	// sake of Reno; on a long path that would be to miss the bandwidth that
	// has become free for that long.
	minProbeWait = 6
	// minProbeTime is the least time between probes, and longProbeTime where rates are
	// measured over more than a round trip, and probes take longer.
	minProbeTime  = 200 * time.Millisecond
	longProbeTime = 250 * time.Millisecond
	// downRounds is when Down gives up on a queue that is not ours.
	downRounds = 3
	// upPart is how much of the capacity a probe asks for.
	upPart = 0.125
	// firstUpGain is how fast a probe begins at most (section 5.6.1): pairs that
	// a receiver took out of its buffer together tell a capacity too high. A
	// search begins so.
	firstUpGain = 1.25
	// foundGain is how fast a probe goes on that has found more, and maxUpGain how
	// fast one that then finds more again.
	foundGain = 1.5
	maxUpGain = 2
)

func (b *BBR) updateCycle(s *PathState) {
	m, c := &b.model, &b.cycle
	if m.newRound {
		c.count++
	}
	if b.congested(s) {
		return
	}
	if m.newRound && m.rivalled(s.Now) && m.bandwidth() > m.capacity*rivalMost {
		m.bwLo = m.capacity * rivalMost
	}
	switch b.phase {
	case phaseDown:
		if m.drained(s, b.rounds) || b.rounds >= downRounds {
			b.startCruise()
		}
	case phaseCruise:
		if c.count >= c.wait && s.Now.Sub(c.began) >= m.probeTime() {
			b.enter(phaseRefill)
			m.release()
		}
	case phaseRefill:
		if m.newRound {
			b.startUp(s)
		}
	case phaseUp:
		if m.newRound {
			b.updateUp(s)
		}
		// What was sent too fast has made a queue. That is enough to learn
		// whether more gets through; more would only be lost.
		if m.recent.rtt > c.noQueue+m.untold() && !m.rivalled(s.Now) {
			c.full = true
		}
	}
}

// congested acts on signs of congestion; true if the phase changed.
func (b *BBR) congested(s *PathState) bool {
	m := &b.model
	switch {
	case m.squeezed() && !m.rivalled(s.Now):
		m.yield(s)
		b.cycle.began, b.cycle.count = s.Now, 0 // the queue has to go before there is another
		if float64(s.Pipe) > m.inflight(1.5) {
			b.enter(phaseDrain)
			return true
		}
	case !m.newRound || !m.lossy():
	case b.phase == phaseUp && (!b.cycle.search || m.congestive()): // section 5.5.10.2
		b.probe.probed(true, m.queued())
		b.cycle.lost = true
		if !m.cornered(s.Now) {
			m.hi = max(m.inflight(1), min(float64(s.Sample.InFlight), m.inflight(b.cycle.gain)))
		}
		b.startDown(s)
		return true
	case b.phase != phaseUp && m.congestive():
		m.lower()
	}
	return false
}

// updateUp goes on probing as long as every round trip finds more, ever
// faster, and stops when one has not. The first round trip shows what was sent
// before.
func (b *BBR) updateUp(s *PathState) {
	m, c := &b.model, &b.cycle
	bw := m.maxBW()
	if b.rounds == 1 {
		c.shown = s.Now
		if m.span() > m.minRTT() {
			m.tick.restart(s) // with nothing from before
		}
	}
	switch {
	case c.gain > 1 && bw >= c.found*(1+(c.gain-1)/2) && (m.deprived() || !m.rivalled(s.Now)):
		c.found, c.full = bw, false
		if c.gain < foundGain {
			c.gain = foundGain
		} else {
			c.gain = maxUpGain
		}
		b.rounds = 0
	case b.rounds >= 2 && s.Now.Sub(c.shown) >= m.span():
		b.probe.probed(false, m.queued())
		c.lost = false
		b.startDown(s)
		if m.unqueued(m.recent.rtt) {
			b.startCruise() // the probe has left nothing to empty
		}
	}
	if m.hi > 0 {
		m.hi = max(m.hi, float64(s.Sample.InFlight)) // nothing was lost at that
	}
}

func (b *BBR) startDown(s *PathState) {
	b.enter(phaseDown)
	b.model.turn(s.Now)
	c := &b.cycle
	c.began, c.count = s.Now, 0
	c.rng ^= c.rng << 13
	c.rng ^= c.rng >> 7
	c.rng ^= c.rng << 17
	c.wait = minProbeWait + int(c.rng%3)
}

// reach is how many times the long-term bound Up goes to: the path may have more room
// than when that was set, unless it was set just now.
func (c *bbrCycle) reach() float64 {
	if c.lost {
		return 1
	}
	return c.gain
}

func (b *BBR) startCruise() { b.enter(phaseCruise) }

func (b *BBR) startUp(s *PathState) {
	b.enter(phaseUp)
	c, m := &b.cycle, &b.model
	c.gain, c.found, c.search = m.upGain(), m.maxBW(), false
	if m.rivalled(s.Now) && !m.deprived() {
		c.gain = 1
	}
	c.full = false
	c.noQueue = m.noQueue(s)
}

// startSearch begins Up in place of the rest of Startup.
func (b *BBR) startSearch(s *PathState) {
	b.startUp(s)
	b.cycle.gain, b.cycle.search = firstUpGain, true
}

// noQueue is a round trip that may still be without a queue, going by the last
// one, which was.
func (m *bbrModel) noQueue(s *PathState) time.Duration {
	return m.last.rtt + m.last.rtt/16 + 2*s.RTTVar + time.Millisecond
}

// probeTime is the least time between probes.
func (m *bbrModel) probeTime() time.Duration {
	if m.span() > m.minRTT() {
		return longProbeTime
	}
	return minProbeTime
}

// upGain is what Up asks for: the same part of the capacity whoever asks, so
// that flows come to equal shares as with any additive increase, but for those
// with less than half. What a receiver guesses of the capacity may be many times
// too much. It counts where others make a queue, and where a smaller probe would
// not be seen: where rates are measured over more than a round trip.
func (m *bbrModel) upGain() float64 {
	capacity := m.resolved
	if m.queued() || m.span() > m.minRTT() {
		capacity = m.capacity
	}
	return min(firstUpGain, 1+upPart*capacity/m.maxBW())
}
