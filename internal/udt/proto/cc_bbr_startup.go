package proto

import "time"

// bbrStartup is the search for the bandwidth (section 5.3.1), helped by what
// the receiver reports of the path's capacity.
//
// The first packets leave in a burst, a packet train that arrives at the
// bottleneck's speed: the receiver's arrival rate and its packet pairs then
// tell the same. If they do, Startup goes on from a part of it. If only the
// arrival rate is known, because timers or devices have torn the pairs apart, or
// because the receiver is libudt, whose pairs take 500 packets to tell anything,
// Startup climbs to less of it, in steps. Either is a hint about a link that may
// be shared, and no bandwidth: that is what is delivered then.
//
// Where a receiver, or a device before it, takes a train in one go, the train
// tells nothing: the next round trip sends a longer one. It does so as well where
// the climb would take more than a step. The longest is believed by itself. What a
// short queue cuts off a train is held against nothing: what arrived tells as much.
type bbrStartup struct {
	train int     // packets that leave in a burst
	begun bool    // they have left
	told  bool    // what they tell is known, nothing more is held back for it
	over  bool    // a packet sent after that has arrived: what they lost is known as well
	at    Instant // when they were first heard of
	base  int64   // lowest unacknowledged packet before
	start int64   // its first packet

	capacity float64 // packets/s, if both estimates or the longest train tell it; 0 = unknown
	hint     float64 // packets/s, if only the arrival rate is known; it may be half or twice the capacity
	jump     float64 // packets/s to send at, at least
	jumped   int     // round trips since
	reports  int     // of the receiver, taken into account

	full    float64       // bandwidth that has to be exceeded
	count   int           // round trips without
	noQueue time.Duration // a round trip that may still be without a queue
	growing bool          // the bandwidth was, when a queue ended Startup
}

const (
	// A train that told too little is followed by one trainRise times as long,
	// up to maxTrain: a receiver's socket buffer has to hold what it takes in
	// one go. The longest follows at once if the path holds trainRoom times as
	// much by a hint that may be twice the truth, or if one was taken in one go on
	// a path of trainLong, which a round trip more costs more than a queue that
	// is too short. Paths of less than trainRTT are found out about soon enough.
	trainRise = 4
	maxTrain  = 256
	trainRoom = 4
	trainRTT  = syn
	trainLong = 50 * time.Millisecond
	// jumpPart of a capacity that both of the receiver's estimates confirm is
	// sent at before it is measured.
	jumpPart = 0.75
	// climbPart of an arrival rate alone is, and climbRise is how many times
	// what was sent before a step is at most.
	climbPart = 0.5
	climbRise = 8
	// jumpRounds is how many round trips it counts: one to send, one to be
	// measured and the one under way.
	jumpRounds = 3
	// From nearPart of the hint to nearMost the bandwidth is near, and nearGain
	// replaces Startup's, which would fill a buffer of half a BDP twice before
	// the queue is noticed.
	nearPart = 0.6
	nearMost = 2
	nearGain = 1.5
	// fullGrowth is the least growth in a round trip that counts, and
	// fullRounds how many round trips without it mean that the pipe is full
	// (section 5.3.1.2).
	fullGrowth = 1.25
	fullRounds = 3
)

// begin waits for the train. A few packets that greet and ask tell nothing of
// the path but its round trip, and nothing is paced by them.
func (st *bbrStartup) begin(s *PathState) {
	switch {
	case st.begun:
	case st.train == initialWindow && s.Sent-st.base < initialWindow:
		st.base, st.start, st.reports = s.Acked, s.Sent, s.Latest.Count
	case s.Acked > st.start: // not only what went before it
		st.begun, st.at = true, s.Now
	}
}

// report takes in what the receiver estimates.
func (st *bbrStartup) report(s *PathState, m *bbrModel) {
	r := s.Latest
	paced := st.told && s.Now > st.at.Add(m.minRTT())
	late := !st.told && (m.minRTT() < trainRTT || s.Now > st.at.Add(2*syn+m.minRTT()/2))
	if !st.begun || r.Count == st.reports && !late {
		return
	}
	// A lost packet is not waited for, nor the last one or so: nothing may follow
	// that would tell of their loss.
	heard := s.Acked + int64(s.InFlight-s.Pipe) - st.base
	whole := st.told || late || heard >= int64(st.train-st.train/16)
	longest := st.train == maxTrain // before it is cut
	if late && m.minRTT() >= trainRTT {
		st.train = max(initialWindow, int(min(heard, maxTrain))) // the rest has got lost
	}
	st.reports, st.told = r.Count, st.told || late
	known := r.Arrival > 1.5*st.window(m) // more than the pause before the train
	switch {
	case paced: // which has shaped the arrival
	case known && st.confirmed(r) && !st.blurred(r.Arrival, m.turns.spread()):
		st.measured(m, min(r.Arrival, r.Capacity))
	case known && whole && longest && !st.blurred(r.Arrival, m.turns.spread()):
		st.measured(m, r.Arrival)
	case !whole: // there is more to come
	case !st.told && !longest && !(known && climbRise*st.window(m) >= climbPart*r.Arrival):
		st.next(s, known && m.volume(r.Arrival) > trainRoom*maxTrain || r.Arrival == 0 && m.minRTT() >= trainLong)
	default:
		st.told = true
		if known {
			st.hint = r.Arrival
			st.climb(st.window(m))
		}
	}
}

// measured takes the given packets/s for the path's capacity.
func (st *bbrStartup) measured(m *bbrModel, capacity float64) {
	st.told, st.capacity = true, capacity
	m.resolved = capacity
	st.raise(jumpPart * capacity)
}

// confirmed tells whether packet pairs say the same as the arrival rate. Of a
// train that took its time a receiver of ours may report the latter as both.
func (st *bbrStartup) confirmed(r Rates) bool {
	alone := r.Capacity == r.Arrival && float64(st.train) >= r.Arrival*time.Duration(speedSpan).Seconds()
	return r.Capacity < 1.5*r.Arrival && r.Arrival < 1.5*r.Capacity && !alone && !r.Unresolved
}

// next is the next train: the longest if the path is known to hold it.
func (st *bbrStartup) next(s *PathState, longest bool) {
	st.train *= trainRise
	if longest {
		st.train = maxTrain
	}
	st.begun, st.base, st.start = false, s.Sent, s.Sent
}

// window is a train in a round trip, packets/s.
func (st *bbrStartup) window(m *bbrModel) float64 {
	return float64(st.train) / max(m.minRTT(), time.Millisecond).Seconds()
}

// climb goes on towards what the hint says, from the given rate.
func (st *bbrStartup) climb(from float64) {
	st.raise(min(climbPart*st.hint, climbRise*from))
}

// raise sets the rate to go on from, if that is more.
func (st *bbrStartup) raise(rate float64) {
	if rate > st.jump {
		st.jump, st.jumped = rate, 0
	}
}

// blurred tells whether the path's jitter may have drawn a train out to what is
// reported of it, which then is the least that the capacity is.
func (st *bbrStartup) blurred(arrival float64, jitter time.Duration) bool {
	return float64(st.train) < arrival*jitter.Seconds()
}

// rate is what to send at, given the bandwidth.
func (st *bbrStartup) rate(bw float64, jitter time.Duration) float64 {
	rate := bbrStartupGain * bw
	if bw > nearPart*st.hint && bw < nearMost*st.hint && !st.blurred(st.hint, jitter) {
		rate = nearGain * bw
	}
	if st.capacity <= 0 || bw > 1.1*st.capacity {
		return max(rate, st.jump)
	}
	return max(st.jump, min(rate, st.capacity))
}

func (b *BBR) updateStartup(s *PathState) {
	m, st := &b.model, &b.startup
	st.begin(s)
	told := st.told
	st.report(s, m)
	if st.told && !told {
		m.beginRound(s) // st.over, when it ends
	}
	flooded := m.flooded(s)
	overrun := flooded || m.lossy() && m.congestive()
	if m.recent.rtt > st.noQueue+m.untold() {
		// A round trip earlier than growth would end, and before much is lost.
		st.growing = st.count == 0
		b.enter(phaseDrain)
		return
	}
	if bw := m.maxBW(); st.capacity > 0 && bw >= 0.9*st.capacity && bw < 1.1*st.capacity && !m.queued() && !overrun {
		// There is nothing to drain, and the word may be too low: a train, or
		// pairs, that were torn apart on the way tell less.
		m.beginRound(s) // Up counts them
		b.startSearch(s)
		b.cycle.found = max(bw, st.capacity)
		return
	}
	if !m.newRound && !flooded {
		return
	}
	if st.jumped++; st.jumped >= jumpRounds {
		st.jump = 0 // by now it is measured how much of it gets through
	} else if st.jump < climbPart*st.hint && !m.lossy() {
		st.climb(st.jump)
	}
	if m.last.limited && !overrun {
		return
	}
	if st.begun && m.last.rtt > 0 {
		st.noQueue = min(st.noQueue, m.last.rtt+m.minRTT()/8+min(2*s.RTTVar, m.minRTT()/8)+time.Millisecond)
	}
	bw := m.maxBW()
	switch {
	case overrun: // section 5.3.1.3
		b.probe.probed(true, m.queued())
		b.cycle.lost = true
		m.hi = max(m.inflight(1), float64(s.Sample.InFlight)*bbrBeta)
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

// endDrain goes on where Startup was ended by a queue that may have been
// somebody else's, or a scheduler's, and probes for more later otherwise.
func (b *BBR) endDrain(s *PathState) {
	if b.startup.growing {
		b.startup.growing = false
		b.startSearch(s)
		return
	}
	b.startDown(s)
}
