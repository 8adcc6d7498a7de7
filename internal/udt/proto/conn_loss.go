package proto

import "time"

// This file is the sender's side of reliability: what ACKs and NAKs tell, and
// what is done when they tell nothing.

const (
	// tailTimeout is the least time to wait for the acknowledgement of a
	// packet that no NAK spoke of: libudt acknowledges a full-size last
	// packet only after 100 ms.
	tailTimeout = 120 * time.Millisecond
	// earlyTimeout replaces it while the peer was never heard from: it may
	// have missed the response and with it the first data (trap H3).
	earlyTimeout = 30 * time.Millisecond
	// maxBackoff bounds the growth of timeouts, so that a transfer goes on
	// soon after an outage ends.
	maxBackoff = 250 * time.Millisecond
	maxProbe   = 64
)

// onACK takes an acknowledgement.
func (c *Conn) onACK(now Instant, ctl Control) {
	a, light, ok := ParseACK(ctl.Body)
	if !ok {
		c.count.Invalid++
		return
	}
	i := indexOf(a.Next, c.isn, c.snd.una)
	if i > c.snd.next {
		c.count.Invalid++ // acknowledges what was never sent
		return
	}
	if !light {
		// Every full ACK is answered, also an old one: until it is, the
		// receiver keeps repeating it.
		c.ack2.push(ctl.Info)
		if i >= c.snd.una {
			c.learn(a, i)
		}
	}
	if i <= c.snd.una {
		return
	}
	if !light {
		c.count.ACKReceived++
	}
	// An ACK that had to wait for a retransmission measures the recovery, not
	// the path: no sample then (Karn's rule for cumulative ACKs).
	if !c.snd.anyAgain(i) {
		c.ackRTT.sample(now.Sub(c.snd.lastSent(i - 1)))
	}
	n := c.snd.acknowledge(i)
	c.path.Sample = c.delivery.arrive(now, i, c.snd.onWay())
	c.progressAt, c.backoff, c.probeMoved = now, 0, true
	if c.snd.held() == 0 {
		c.noteIdle(now)
		c.probe = 1
	}
	c.refreshPath(now)
	c.cc.OnACK(&c.path, n)
	c.applyRate()
	c.sizeSendBuffer()
	c.drained()
}

// learn takes over what a full ACK says of the receiver.
func (c *Conn) learn(a ACK, i packetIndex) {
	// A libudt receiver advertises its buffer, even where that is larger than
	// the flight size of its handshake; its loss list is not, and overflows.
	c.flowEnd = i + packetIndex(min(int64(a.Window), int64(c.path.MaxWindow)))
	c.rtt.adopt(a.RTT, a.RTTVar)
	if a.HasRates {
		if a.ArrivalRate != placeholderRate {
			smooth(&c.path.ArrivalRate, a.ArrivalRate)
		}
		smooth(&c.path.Capacity, a.Capacity)
		c.path.Latest = Rates{
			Arrival: float64(max(0, a.ArrivalRate)), Capacity: float64(max(0, a.Capacity)), Count: c.path.Latest.Count + 1,
		}
	}
}

// placeholderRate is what a libudt receiver reports until it has seen enough
// packets to know better.
const placeholderRate = 1

// smooth averages a reported rate with UDT's gain of 1/8. Libudt's estimators
// divide by zero now and then: what isn't positive is no report (trap D11).
func smooth(avg *float64, report int32) {
	switch {
	case report <= 0:
	case *avg <= 0:
		*avg = float64(report)
	default:
		*avg += (float64(report) - *avg) / 8
	}
}

// onNAK takes a report of losses. If any number in it lies outside of what was
// sent, none of it is believed.
func (c *Conn) onNAK(now Instant, body []byte) {
	if !c.validNAK(body) {
		c.count.Invalid++
		return
	}
	c.count.NAKReceived++
	// A packet that was retransmitted less than a round trip ago can't have
	// arrived when this NAK was sent.
	after := now
	if c.ackRTT.measured {
		after = now.Add(-c.ackRTT.min * 7 / 8)
	}
	marked, first := 0, never
	high := c.snd.una
	for {
		r, rest, ok := NextLoss(body)
		if !ok {
			break
		}
		body = rest
		from := indexOf(r.First, c.isn, c.snd.una)
		to := indexOf(r.Last, c.isn, c.snd.una) + 1
		high = max(high, to)
		if n := c.snd.markLost(from, to, after); n > 0 {
			marked += n
			first = min(first, Instant(max(from, c.snd.una)))
		}
	}
	c.delivery.lose(marked)
	// What made the receiver find the gap is the packet behind it.
	c.path.Sample = c.delivery.arrive(now, min(high+1, c.snd.next), c.snd.onWay())
	if marked == 0 {
		return
	}
	c.count.SendLoss += int64(marked)
	c.probe = 1
	c.refreshPath(now)
	c.cc.OnLoss(&c.path, int64(first))
	c.applyRate()
}

// validNAK checks every entry: in order, and not beyond what was sent.
func (c *Conn) validNAK(body []byte) bool {
	if len(body) < 4 {
		return false
	}
	for len(body) >= 4 {
		r, rest, ok := NextLoss(body)
		if !ok || r.Last.Before(r.First) || indexOf(r.Last, c.isn, c.snd.una) >= c.snd.next {
			return false
		}
		body = rest
	}
	return true
}

// lossTimeout returns when to act on silence about the lowest unacknowledged
// packet; never if there is none, or if it is queued for retransmission anyway.
//
// A libudt receiver reports a gap only once (trap D1), and its sender waits
// for 300 ms of complete silence. We watch the packet the cumulative ACK
// stands at: if it was retransmitted and a round trip passed, the copy was
// lost; if nobody ever spoke of it, its NAK was lost, or it was the last.
func (c *Conn) lossTimeout() Instant {
	if c.snd.inFlight() == 0 || c.state != StateConnected && c.state != StateDraining {
		return never
	}
	chunk, slot := c.snd.chunk(c.snd.una)
	if chunk.lost&(1<<slot) != 0 {
		return never
	}
	sent := chunk.sent[slot]
	spread := c.ackRTT.spread()
	if !c.ackRTT.measured {
		spread = c.rtt.spread()
	}
	wait := spread + 2*syn
	switch {
	case c.hold.active:
		wait = earlyTimeout
	case chunk.rexmt&(1<<slot) == 0 || c.snd.inFlight() == 1:
		wait = max(wait, tailTimeout)
		sent = max(sent, c.progressAt)
	}
	if c.backoff > 0 {
		wait = max(wait, min(wait<<min(c.backoff, 6), spread+maxBackoff))
	}
	return sent.Add(wait)
}

// onLossTimeout repeats the lowest unacknowledged packet and the last one:
// whatever is missing between them, the last one's arrival makes a gap that
// the receiver reports. If that doesn't help, because the reports were lost,
// more and more is repeated each time.
func (c *Conn) onLossTimeout(now Instant) {
	if c.probeMoved && c.backoff == 0 {
		c.probe = min(2*c.probe, maxProbe)
	}
	c.probeMoved = false
	c.backoff++
	if c.hold.active {
		c.hold.pending = true
	}
	after := now.Add(-c.ackRTT.spread())
	n := c.snd.markLost(c.snd.una, c.snd.una+1, now)
	if c.probe > 1 {
		n += c.snd.markLost(c.snd.una+1, c.snd.una+packetIndex(c.probe), after)
	}
	n += c.snd.markLost(c.snd.next-1, c.snd.next, after)
	c.count.SendLoss += int64(n)
	c.delivery.lose(n)
	if c.hold.active {
		return // no sign of congestion: the peer may not know yet that it is connected
	}
	c.refreshPath(now)
	c.path.Sample = RateSample{}
	c.cc.OnTimeout(&c.path)
	c.applyRate()
}
