package proto

import "time"

// This file is how BBR notices a squeeze: a queue, while the path delivers less than
// it used to, with or without loss. Somebody has come, or the path has become slower.
// The latter is supposed where very much is missing at once, a plunge, and where the
// queue swells fast.

const (
	// squeezePart of the capacity is what has to be missing over a round trip: more
	// than Down leaves out of its own accord.
	squeezePart = 0.125
	// plungePart is what has to be missing over half of one: more than those who come
	// take away as fast.
	plungePart = 0.35
	// swellPart of the least round trip is what the queue has to grow by from one to the
	// next: more than those who come make it grow.
	swellPart = 0.25
	// yieldBeta is how far a squeeze lowers the bandwidth at most, at a time.
	yieldBeta = 0.5
)

// bbrSqueeze is what is known of a squeeze.
type bbrSqueeze struct {
	rate    float64       // delivered in the one that the event at hand has shown, packets/s; 0 = none
	plunge  bool          // it is a plunge
	yielded Instant       // when one was yielded to, last
	least   time.Duration // round trip in the one before
	unsure  bool          // since then none has shown whether the path has become slower
	slower  bool          // it has, as far as is known, and the bound is due to that
	plunged bool          // likewise, and a plunge has shown it
}

// watchSqueeze looks for one after every sample: all packets of a least round trip
// found a queue, and less was delivered than the model promises. How much less is
// measured by the capacity, so that flows with much of it yield first. For a plunge
// half a round trip and a queue at its end are enough.
func (m *bbrModel) watchSqueeze(now Instant) {
	const margin = 2 * time.Millisecond
	q := &m.squeeze
	capacity, expected := max(m.capacity, m.bandwidth()), min(m.bandwidth(), m.sending)
	switch {
	case m.half.over && m.half.rtt > 0 && m.waited(m.recent.rtt, margin) && expected-m.half.rate > plungePart*capacity:
		q.rate = m.half.rate
	case m.tick.over && m.waited(m.tick.rtt, margin) && expected-m.tick.rate > squeezePart*capacity:
		q.rate = m.tick.rate
	}
	q.plunge = q.rate > 0 && expected-q.rate > plungePart*capacity
	if q.unsure && m.tick.over {
		m.judge(now)
	}
}

// judge tells by the round trip after a squeeze whether the path has become slower. The
// queue of a plunge is still there; a report that came late is followed by some that did
// not.
func (m *bbrModel) judge(now Instant) {
	q := &m.squeeze
	q.unsure = false
	swell := time.Duration(swellPart * float64(m.minRTT()))
	switch {
	case q.slower && m.unqueued(m.tick.rtt):
		m.unbind()
	case now.Add(-m.tick.rtt) < q.yielded && (q.slower || m.tick.rtt > q.least+swell):
		// What was sent before we yielded tells precisely, for it kept the queue from
		// running empty, and nothing in this round trip is from before the path changed.
		m.bwLo = max(m.tick.rate, yieldBeta*m.bwLo)
		q.slower = true
	}
}

// squeezed reports whether there is one.
func (m *bbrModel) squeezed() bool { return m.squeeze.rate > 0 }

// yield bounds the bandwidth by what is delivered: the queue never ran empty,
// so that is what the path has for us.
func (m *bbrModel) yield(s *PathState) {
	m.bwLo = max(m.squeeze.rate, yieldBeta*m.bandwidth())
	q := &m.squeeze
	q.yielded = s.Now
	if q.slower {
		return
	}
	q.least, q.unsure, q.slower, q.plunged = m.tick.rtt, true, q.plunge, q.plunge
	if q.plunge {
		m.tick.restart(s)
	}
}

// release ends the short-term bound for a probe. Where the path has become slower,
// and the bound has left no queue, what was known of it before is forgotten.
func (m *bbrModel) release() {
	if m.squeeze.slower && m.unqueued(m.recent.rtt) {
		bw := m.bandwidth()
		m.bw, m.capacity, m.resolved = [2]float64{bw, bw}, bw, bw
	}
	m.unbind()
}

// unbind ends the short-term bound.
func (m *bbrModel) unbind() {
	m.bwLo, m.squeeze.unsure, m.squeeze.slower, m.squeeze.plunged = 0, false, false, false
}

// bbrTick is what was delivered in the last span of a least round trip or a part of
// it, and not less than minTick: unlike a packet-timed round trip it does not take
// longer when a queue grows.
type bbrTick struct {
	start     Instant
	delivered int64         // at the start
	least     time.Duration // round trip since; 0 = unknown
	limited   bool
	silence   Instant // when nothing had been heard for long

	rate float64       // packets/s in the one before
	rtt  time.Duration // least in the one before
	over bool          // the event at hand completed one without any limit
}

func (k *bbrTick) update(s *PathState, length time.Duration) {
	r := &s.Sample
	if r.RTT > 0 {
		k.least = lesser(k.least, r.RTT)
	}
	k.limited = k.limited || r.Limited
	k.over = false
	took, length := s.Now.Sub(k.start), max(length, minTick)
	if took < length {
		return
	}
	silent := took > 2*length+syn
	if silent {
		k.silence = s.Now
	}
	k.rate, k.rtt = float64(s.Delivered-k.delivered)/took.Seconds(), k.least
	// Packets sent before a silence had to wait for its end, not in a queue.
	k.over = !k.limited && !silent && s.Now.Add(-r.RTT) >= k.silence
	k.restart(s)
}

func (k *bbrTick) restart(s *PathState) {
	k.start, k.delivered, k.least, k.limited = s.Now, s.Delivered, 0, false
}
