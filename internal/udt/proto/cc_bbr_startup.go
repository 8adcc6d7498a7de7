package proto

// bbrStartup is the search for the bandwidth (section 5.3.1), helped by what
// the receiver reports of the path's capacity.
//
// The first packets leave in a burst, so that they arrive at the bottleneck's
// speed: the receiver's arrival rate and its packet pairs then tell the same.
// If they do, Startup goes on from a part of it. If only one of them is known,
// as from a libudt receiver, whose pairs take 500 packets to tell anything, it
// counts for less. Either is a hint about a link that may be shared, and no
// bandwidth: that is what is delivered then.
type bbrStartup struct {
	capacity float64 // packets/s; 0 = unknown or found wrong
	jump     float64 // packets/s to send at, at least
	jumped   int     // round trips since
	reports  int     // of the receiver, taken into account
	agreed   int     // reports in a row of the same capacity
	previous float64 // capacity in the last report

	full  float64 // bandwidth that has to be exceeded
	count int     // round trips without
}

const (
	// jumpPart of a capacity that both of the receiver's estimates confirm is
	// sent at before it is measured, and half of that otherwise.
	jumpPart = 0.75
	// jumpRise bounds the latter: so many times what was sent before.
	jumpRise = 8
	// jumpRounds is how many round trips it counts: one to send, one to be
	// measured and the one under way.
	jumpRounds = 3
	// capacityAgreed is how many reports in a row have to tell the same
	// capacity once packets are paced.
	capacityAgreed = 3
	// searchGain is that of the probe which then follows.
	searchGain = 1.25
	// fullGrowth is the least growth in a round trip that counts, and
	// fullRounds how many round trips without it mean that the pipe is full
	// (section 5.3.1.2).
	fullGrowth = 1.25
	fullRounds = 3
)

// report takes in what the receiver estimates.
func (st *bbrStartup) report(s *PathState, m *bbrModel) {
	r := s.Latest
	if r.Count == st.reports {
		return
	}
	st.reports = r.Count
	if r.Capacity > 0 && r.Capacity < 1.25*st.previous && st.previous < 1.25*r.Capacity {
		st.agreed++
	} else {
		st.agreed = 0
	}
	st.previous = r.Capacity
	burst := s.Acked <= initialWindow // of what came later, pacing shaped the arrival
	switch {
	case burst && r.Arrival > 0 && r.Capacity < 1.5*r.Arrival && r.Arrival < 1.5*r.Capacity:
		st.capacity = min(r.Arrival, r.Capacity)
		st.raise(jumpPart * st.capacity)
	case burst && r.Arrival > 0:
		st.raise(min(jumpPart/2*r.Arrival, jumpRise*initialWindow/m.minRTT().Seconds()))
	case st.agreed >= capacityAgreed && r.Capacity > 1.5*r.Arrival:
		st.capacity = r.Capacity
		st.raise(min(jumpPart*st.capacity, jumpRise*m.maxBW()))
	}
}

// raise sets the rate to go on from, if that is more.
func (st *bbrStartup) raise(rate float64) {
	if rate > st.jump {
		st.jump, st.jumped = rate, 0
	}
}

// rate is what to send at, given the bandwidth.
func (st *bbrStartup) rate(bw float64) float64 {
	rate := bbrStartupGain * bw
	if st.capacity <= 0 || bw > 1.1*st.capacity {
		return max(rate, st.jump)
	}
	return max(st.jump, min(rate, st.capacity))
}

func (b *BBR) updateStartup(s *PathState) {
	m, st := &b.model, &b.startup
	st.report(s, m)
	overrun := m.lossy() && m.congestive()
	if !m.newRound || m.last.limited && !overrun {
		return
	}
	if st.jumped++; st.jumped >= jumpRounds {
		st.jump = 0 // by now it is measured how much of it gets through
	}
	bw := m.maxBW()
	switch {
	case overrun: // section 5.3.1.3
		b.probe.probed(true, m.queued())
		m.hi = max(m.inflight(1), float64(s.Sample.InFlight)*bbrBeta)
	case st.capacity > 0 && bw >= 0.9*st.capacity && bw < 1.1*st.capacity:
		if !m.queued() {
			// There is nothing to drain, and the word may be too low: pairs
			// that were torn apart on the way tell less.
			b.startUp(s)
			b.cycle.gain, b.cycle.search = max(b.cycle.gain, searchGain), true
			return
		}
	case bw >= st.full*fullGrowth:
		st.full, st.count = bw, 0
		return
	default:
		if st.count++; st.count < fullRounds {
			return
		}
	}
	b.enter(phaseDrain)
}
