package proto

import "time"

// This file is what BBR takes for congestion, and for none (section 5.5.10).
// Loss alone is no sign of it on the paths UDT is for. What is held against it
// is what the path loses while it has no queue. Without loss it is told by what
// is delivered (cc_bbr_squeeze.go).

const (
	// lossThreshold is the share of packets that may be lost in a round trip
	// (section 2.7), beyond half as much again as the path's own loss.
	lossThreshold = 0.02
	// maxBaseLoss bounds what is taken for the path's own loss.
	maxBaseLoss = 0.05
	// heavyLoss is congestion, whatever the path loses without a queue: a
	// buffer may be too small for a queue to be seen.
	heavyLoss = 0.1
	// floodLeast packets are more than chance takes of few.
	floodLeast = 16
	// bbrBeta is how far loss lowers a bound at most, at a time (section 2.7).
	bbrBeta = 0.7
	// rivalTime is how long a queue has to stand, in spite of all yielding, to
	// be somebody else's.
	rivalTime = time.Second
	// rivalMemory is how long one is expected back.
	rivalMemory = 10 * time.Second
	// rivalShare is how much of the capacity is asked for there, and rivalMost is
	// what is left to us at most.
	rivalShare = 0.4
	rivalMost  = 0.5
	// rivalLoss is lost where more than a few ask for that.
	rivalLoss = 0.06
)

// queued reports whether all packets of the last round trip found a queue.
func (m *bbrModel) queued() bool { return m.waited(m.last.rtt, time.Millisecond) }

// waited reports whether a round trip is longer than the least one by more than
// the path's jitter and a margin explain.
func (m *bbrModel) waited(rtt, margin time.Duration) bool {
	least := m.minRTT()
	return rtt > least+least/8+m.jitter+margin
}

// unqueued reports whether a round trip is that of a packet which hardly had
// to wait.
func (m *bbrModel) unqueued(rtt time.Duration) bool {
	least := m.minRTT()
	return rtt <= least+least/16+time.Millisecond
}

// drained reports whether there is no queue any more: no more is on its way
// than the BDP, or the packet that arrived last did not wait. Between reports
// the former is too pessimistic, and the latter speaks of the time before the
// phase if it is not a round trip old.
func (m *bbrModel) drained(s *PathState, rounds int) bool {
	return float64(s.Pipe) <= m.inflight(1)+m.burst() ||
		rounds >= 1 && s.Sample.RTT > 0 && m.unqueued(s.Sample.RTT)
}

// lossy reports whether more was lost in the last round trip than the path
// loses anyway.
func (m *bbrModel) lossy() bool {
	sent := float64(m.last.lost + m.last.delivered)
	return float64(m.last.lost) > (lossThreshold+1.5*m.loss)*sent+3
}

// congestive reports whether the losses of the last round trip are congestion's
// where others may not be.
func (m *bbrModel) congestive() bool { return m.queued() || m.last.share() > heavyLoss }

// flooded reports whether so much was lost in the round trip under way that its end
// need not be waited for.
func (m *bbrModel) flooded(s *PathState) bool {
	lost := s.Lost - m.round.lost
	return lost >= floodLeast && float64(lost) > heavyLoss*float64(s.Pipe)
}

// lower lowers the short-term bound to what was delivered (section 5.5.10.3).
func (m *bbrModel) lower() { m.bwLo = min(m.bandwidth(), max(m.last.bw, bbrBeta*m.bandwidth())) }

// recentRTT is the least round trip of the last few milliseconds: that of the
// queue, without what scheduling and jitter add to single packets.
type recentRTT struct {
	start Instant
	least time.Duration // since; 0 = none
	rtt   time.Duration // the least in the interval before
}

func (r *recentRTT) add(now Instant, d time.Duration) {
	r.least = lesser(r.least, d)
	if now.Sub(r.start) >= syn {
		r.start, r.rtt, r.least = now, r.least, 0
	}
}

// bbrRival is the evidence of a flow that keeps the queue full, as CUBIC does:
// yielding to it would be without end.
type bbrRival struct {
	calm    Instant // when there was no queue last
	pressed bool    // squeezed since
	// expected is until when one that let the queue run empty may come back, and
	// is known in a quarter of the time.
	expected Instant
}

// rivalled reports whether somebody keeps the queue full: it has stood for long,
// and who alone makes a queue has the capacity.
func (m *bbrModel) rivalled(now Instant) bool {
	stands := max(rivalTime, 10*m.minRTT())
	if now < m.rival.expected {
		stands /= 4
	}
	return now.Sub(m.rival.calm) >= stands && (m.rival.pressed || m.deprived())
}

// deprived reports whether we have less than our share of the capacity, and it is
// not that there are many who ask for it.
func (m *bbrModel) deprived() bool {
	return m.maxBW() < m.capacity*rivalShare && m.strife < rivalLoss
}

// cornered reports whether a rival has left us less than our share.
func (m *bbrModel) cornered(now Instant) bool { return m.deprived() && m.rivalled(now) }

// watchRival looks for one after every sample.
func (m *bbrModel) watchRival(now Instant) {
	switch {
	case !m.waited(m.recent.rtt, m.minRTT()*3/8+2*time.Millisecond): // what a few of ours make is less
		if m.rivalled(now) { // it may be looking for its least round trip
			m.rival.expected = now.Add(rivalMemory)
		}
		m.rival.calm, m.rival.pressed = now, false
	case m.squeezed():
		m.rival.pressed = true
	}
}
