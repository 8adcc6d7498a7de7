package proto

import (
	"math"
	"time"
)

// This file is the sender's side of reliability: what ACKs and NAKs tell, and
// what is done when they tell nothing.

const (
	// tailTimeout is the least time to wait for the acknowledgement of a
	// packet that no NAK spoke of: libudt acknowledges a full-size last
	// packet only after 100 ms.
	tailTimeout = 120 * time.Millisecond
	// promptACK is the most that an extended peer takes to acknowledge a packet,
	// and something for timers that are late.
	promptACK = syn + syn/2
	// maxTail is the longest tail that is repeated as a whole.
	maxTail = 16
	// earlyTimeout replaces it while a peer of libudt was never heard from: it
	// may have missed the response and with it the first data (trap H3).
	earlyTimeout = 30 * time.Millisecond
	// outageProbe bounds the growth of timeouts, however long the round trip:
	// after an outage a transfer goes on as soon as the next probe comes through.
	outageProbe = 240 * time.Millisecond
	maxProbe    = 64
)

// onACK takes an acknowledgement.
func (c *Conn) onACK(now Instant, ctl Control) {
	a, light, ok := ParseACK(ctl.Body)
	if !ok {
		c.count.Invalid++
		return
	}
	i := indexOf(a.Next, c.isn, c.snd.una)
	settled, ok := c.settledBy(a, i)
	if i > c.snd.next || !ok || !light && !c.plausibleNumber(ctl.Info) {
		c.count.Invalid++ // acknowledges what was never sent, or is not the peer's
		return
	}
	reports := c.path.Latest.Count
	if !light {
		if i < c.snd.una && c.contradicted(now, ctl.Info) {
			c.terminate(now, EndLost)
			return
		}
		// Every full ACK is answered, also an old one: until it is, the
		// receiver keeps repeating it.
		c.ack2.push(ctl.Info)
		c.ackedFull = max(c.ackedFull, i)
		if i >= c.snd.una {
			c.ackNumber, c.contradictions = ctl.Info&SeqMask, 0
			c.learn(a, i)
		}
	}
	c.sampleRTT(now, i, settled)
	if i <= c.snd.una {
		c.onSettled(now, settled, c.path.Latest.Count > reports)
		c.drained(now)
		return
	}
	if !light {
		c.count.ACKReceived++
	}
	n := c.snd.acknowledge(i)
	c.path.Sample = c.delivered(now, settled)
	c.progressAt, c.backoff, c.probeMoved = now, 0, true
	if c.snd.held() == 0 {
		c.noteIdle(now)
		c.probe = 1
	}
	c.refreshPath(now)
	c.cc.OnACK(&c.path, n)
	c.applyRate()
	c.sizeSendBuffer()
	c.drained(now)
}

// delivered samples the delivery rate: all packets before high have arrived or
// are known to be lost.
func (c *Conn) delivered(now Instant, high packetIndex) RateSample {
	s := c.delivery.arrive(now, high, c.snd.onWay())
	if s.Interval <= 0 {
		s = c.delivery.repaired(now, c.snd.una)
	}
	return s
}

// plausibleNumber tells whether the number of a full ACK is near the last one's.
// Receivers count their full ACKs; who does not know how many there were has to
// guess this number as well as one in the window.
func (c *Conn) plausibleNumber(number uint32) bool {
	d := Seq(number & SeqMask).Sub(Seq(c.ackNumber))
	return -maxACKSkip < d && d < maxACKSkip
}

// maxACKSkip is how many full ACKs may get lost in a row: three hours' worth.
const maxACKSkip = 1 << 20

// contradicted notes a newer full ACK of less than was acknowledged before, and
// tells whether that goes on for so long that the earlier one must have been
// forged, and data given up that has not arrived: then nothing can mend the
// stream any more.
func (c *Conn) contradicted(now Instant, number uint32) bool {
	if Seq(number&SeqMask).Sub(Seq(c.ackNumber)) <= 0 {
		return false // overtaken on the way
	}
	if c.contradictions == 0 {
		c.contradictedAt = now
	}
	c.contradictions++
	return c.contradictions >= minContradictions && now.Sub(c.contradictedAt) > 2*c.ackRTT.spread()+outageProbe
}

// minContradictions is how many ACKs it takes.
const minContradictions = 8

// onSettled takes an ACK that acknowledged nothing new, but may tell of packets
// that arrived behind a gap, or bring the receiver's estimates.
func (c *Conn) onSettled(now Instant, settled packetIndex, news bool) {
	c.path.Sample = c.delivered(now, settled)
	if c.path.Sample.Interval > 0 || news {
		c.refreshPath(now)
		c.cc.OnACK(&c.path, 0)
		c.applyRate()
	}
}

// sampleRTT measures the round trip by an ACK of all before i.
func (c *Conn) sampleRTT(now Instant, i, settled packetIndex) {
	switch {
	case settled > max(i, c.settledTo):
		// The newest packet that arrived, behind a gap; unless it was sent again.
		if !c.snd.again(settled - 1) {
			c.ackRTT.sample(now.Sub(c.snd.lastSent(settled - 1)))
		}
	case i > c.snd.una && !c.snd.anyAgain(i):
		// An ACK that had to wait for a retransmission measures the recovery,
		// not the path: no sample then (Karn's rule for cumulative ACKs).
		c.ackRTT.sample(now.Sub(c.snd.lastSent(i - 1)))
	}
	c.settledTo = max(c.settledTo, settled)
}

// learn takes over what a full ACK says of the receiver.
func (c *Conn) learn(a ACK, i packetIndex) {
	// A libudt receiver advertises its buffer, even where that is larger than
	// the flight size of its handshake; its loss list is not, and overflows.
	c.flowEnd = i + packetIndex(min(int64(a.Window), int64(c.path.MaxWindow)))
	if !c.extended || !guessedRTT(a.RTT, a.RTTVar) { // an end of ours that has measured forgets its guess
		c.rtt.adopt(a.RTT, a.RTTVar)
	}
	if a.HasRates {
		if a.ArrivalRate != placeholderRate {
			smooth(&c.path.ArrivalRate, a.ArrivalRate)
		}
		unresolved := c.extended && a.Capacity < 0
		if unresolved {
			a.Capacity = -max(a.Capacity, -math.MaxInt32)
		}
		smooth(&c.path.Capacity, a.Capacity)
		c.path.Latest = Rates{
			Arrival: float64(max(0, a.ArrivalRate)), Capacity: float64(max(0, a.Capacity)),
			Unresolved: unresolved, Count: c.path.Latest.Count + 1,
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

// onNAK takes a report of losses. If any number in it lies far outside of what is
// in flight, none of it is believed.
func (c *Conn) onNAK(now Instant, body []byte) {
	if !c.validNAK(body) {
		c.count.Invalid++
		return
	}
	c.count.NAKReceived++
	if c.events.loss != nil {
		c.tellLosses(now, body)
	}
	// A packet that was retransmitted less than a round trip ago can't have
	// arrived when this NAK was sent.
	after := now
	if c.ackRTT.measured {
		after = now.Add(-c.ackRTT.srtt)
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
		if to > c.snd.next {
			c.count.Invalid++ // a forged packet made the receiver miss what was never sent
			continue
		}
		high = max(high, to)
		if n := c.snd.markLost(from, to, after); n > 0 {
			marked += n
			first = min(first, Instant(max(from, c.snd.una)))
		}
	}
	c.delivery.lose(marked)
	if high == c.snd.una {
		return // all of it has been acknowledged since
	}
	// What made the receiver find the gap is the packet behind it.
	c.path.Sample = c.delivered(now, min(high+1, c.snd.next))
	if marked == 0 {
		return
	}
	c.count.SendLoss += int64(marked)
	c.probe = 1
	c.refreshPath(now)
	c.cc.OnLoss(&c.path, int64(first))
	c.applyRate()
}

// validNAK checks every entry: in order, and no further from what is in flight
// than the receiver's window reaches.
func (c *Conn) validNAK(body []byte) bool {
	if len(body) < 4 {
		return false
	}
	window := packetIndex(c.path.MaxWindow)
	for len(body) >= 4 {
		r, rest, ok := NextLoss(body)
		if !ok || r.Last.Before(r.First) || indexOf(r.First, c.isn, c.snd.una) < c.snd.una-window ||
			indexOf(r.Last, c.isn, c.snd.una) >= c.snd.next+window {
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
// lost; if nobody ever spoke of it, its NAK was lost, or it was the last. An
// extended peer's ACKs are prompt, so that its tail is known sooner.
func (c *Conn) lossTimeout() Instant {
	if c.snd.inFlight() == 0 || c.state != StateConnected && c.state != StateDraining {
		return never
	}
	chunk, slot := c.snd.chunk(c.snd.una)
	if chunk.lost&(1<<slot) != 0 {
		return never
	}
	sent := chunk.sent[slot]
	rtt := &c.ackRTT
	if !rtt.measured {
		rtt = &c.rtt
	}
	wait := rtt.spread() + 2*syn
	switch {
	case c.holds():
		wait = earlyTimeout
	case chunk.rexmt&(1<<slot) == 0 || c.snd.inFlight() == 1:
		if !c.extended {
			wait = max(wait, tailTimeout)
		}
		sent = max(sent, c.progressAt)
	}
	at := sent.Add(c.backedOff(wait))
	if c.extended && !c.hold.active {
		// Nothing was sent since: this is the tail, and its ACK is overdue.
		// Little is lost by repeating it too early, a round trip by doing so
		// too late (RFC 8985, section 7, waits for two).
		wait = rtt.srtt + min(4*rtt.rttvar, rtt.srtt/4) + promptACK
		tail := max(chunk.sent[slot], c.snd.lastSent(c.snd.next-1))
		at = min(at, tail.Add(c.backedOff(wait)))
	}
	return at
}

// backedOff lengthens a wait that was in vain.
func (c *Conn) backedOff(wait time.Duration) time.Duration {
	if c.backoff == 0 {
		return wait
	}
	return min(wait<<min(c.backoff-1, 6), outageProbe)
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
	n += c.repeatTail(now)
	c.repeat(n)
	if c.hold.active || c.extended && c.backoff == 1 {
		return // no sign of congestion: the peer may not know yet that it is connected, or it is a mere probe
	}
	c.refreshPath(now)
	c.path.Sample = RateSample{}
	c.cc.OnTimeout(&c.path)
	c.applyRate()
}

// repeat accounts for n packets marked lost that nobody has reported.
func (c *Conn) repeat(n int) {
	c.count.SendLoss += int64(n)
	c.delivery.presume(n)
}

// repeatTail repeats a short tail as a whole, but for what was sent less than a
// round trip ago. An extended peer would have acknowledged any of it or reported
// what is missing, so all of it is lost, and asking first costs a round trip.
func (c *Conn) repeatTail(now Instant) (n int) {
	if !c.extended || c.snd.inFlight() > maxTail {
		return 0
	}
	for i := c.snd.una + 1; i < c.snd.next; i++ {
		if c.snd.lastSent(i) <= now.Add(-c.ackRTT.srtt) {
			n += c.snd.markLost(i, i+1, now)
		}
	}
	return n
}
