package proto

import "time"

// A RateSample is what one ACK or NAK tells of the path's delivery rate. The
// zero value tells nothing.
type RateSample struct {
	Delivered int64         // packets delivered over Interval
	Interval  time.Duration // 0: no sample
	Prior     int64         // delivered in all when the newest of them was sent
	InFlight  int           // packets on their way just after that
	RTT       time.Duration // of the newest: never less than it was, more if the report had to wait; 0: unknown
	Limited   bool          // there was not always data to send, or room at the receiver
}

// Rate returns packets/s.
func (r *RateSample) Rate() float64 {
	if r.Interval <= 0 {
		return 0
	}
	return float64(r.Delivered) / r.Interval.Seconds()
}

// A deliverySampler estimates the delivery rate at the sender
// (draft-ietf-ccwg-bbr-04, section 4.1), from what a UDT
// receiver reports. A cumulative ACK alone would stand still behind every hole
// for a round trip and then jump. But a receiver reports each gap when it finds
// it, so ACKs and NAKs together tell how far packets have arrived, and which
// have not:
//
//	delivered = transmissions up to the newest packet known to have arrived − losses reported
//
// Retransmissions count in the first term, and again in the second when they
// are reported lost in their turn. So a stall of the cumulative ACK, a batch or
// a lost report delays the count and never inflates a rate.
type deliverySampler struct {
	ring       []sendRecord // a power of two long; records head..tail, to be read modulo
	head, tail int

	sent      int64       // transmissions, first ones and repeats
	lost      int64       // transmissions reported lost
	presumed  int64       // of these, not reported
	high      packetIndex // end of the packets known to have arrived or to be lost
	doubtful  packetIndex // end of those sent again
	highSent  int64       // transmissions up to there
	delivered int64
	at        Instant // when delivered last grew
	firstSent Instant // when the newest packet delivered was sent
	limited   int64   // samples of packets sent until so many are delivered are Limited; 0 = none

	repeats fifo[repeat] // sent since the last new packet, by number
}

// A sendRecord is the state of delivery when packets were sent: consecutive
// ones that were new and left at the same moment.
type sendRecord struct {
	end         packetIndex
	sent        int64 // transmissions, theirs included
	at          Instant
	firstSent   Instant
	delivered   int64
	deliveredAt Instant
	inFlight    int
	limited     bool
}

// A repeat is n packets sent again together.
type repeat struct {
	sendRecord
	n int
}

// pipe is how many packets are on their way: sent, and neither known to have
// arrived nor reported lost.
func (d *deliverySampler) pipe() int { return int(d.sent - d.highSent) }

// transmit notes n packets sent at now; first is the index of the first,
// again says that they were sent before.
func (d *deliverySampler) transmit(now Instant, first packetIndex, n int, again bool) {
	if d.pipe() == 0 {
		d.at, d.firstSent = now, now
	}
	d.sent += int64(n)
	r := sendRecord{
		end: first + packetIndex(n), sent: d.sent, at: now, firstSent: d.firstSent,
		delivered: d.delivered, deliveredAt: d.at, inFlight: d.pipe(), limited: d.limited > 0,
	}
	if again {
		d.doubtful = max(d.doubtful, r.end)
		d.repeat(repeat{r, n})
		return
	}
	d.repeats.clear()
	if d.head < d.tail {
		last := d.record(d.tail - 1)
		if last.at == now && last.end == first && last.sent+int64(n) == d.sent && last.delivered == d.delivered {
			last.end += packetIndex(n)
			last.sent, last.inFlight = d.sent, d.pipe()
			return
		}
	}
	if d.tail-d.head == len(d.ring) {
		d.grow()
	}
	d.tail++
	*d.record(d.tail - 1) = r
}

// repeat notes packets sent again. What was sent again before and stands behind
// them is forgotten: it has got lost again, or its arrival was missed to tell.
func (d *deliverySampler) repeat(r repeat) {
	for !d.repeats.empty() && d.repeats.back().end >= r.end {
		d.repeats.dropBack()
	}
	d.repeats.push(r)
}

// idle notes that nothing but a lack of data, or of room at the receiver,
// keeps the sender from sending.
func (d *deliverySampler) idle() {
	d.limited = max(1, d.delivered+int64(d.pipe()))
}

// lose notes n transmissions reported lost.
func (d *deliverySampler) lose(n int) { d.lost += int64(n) }

// presume notes n transmissions that are repeated because nothing was heard.
// Often it is the ACK that was late or lost.
func (d *deliverySampler) presume(n int) {
	d.lose(n)
	d.presumed += int64(n)
}

// arrive notes that all packets before high have arrived or are known to be
// lost, that the last of them arrived, and that at most so many packets may
// still be on their way. It returns what that tells.
func (d *deliverySampler) arrive(now Instant, high packetIndex, onWay int) RateSample {
	// Where only a hole was filled, nobody knows what has arrived behind it
	// since the last report: the count waits for the next one, lest it be
	// given a time at which it was too low.
	d.highSent = max(d.highSent, d.sent-int64(onWay))
	if high <= d.high {
		return RateSample{}
	}
	d.high = high
	for d.head < d.tail && d.record(d.head).end < high {
		d.head++
	}
	if d.head == d.tail {
		return RateSample{} // never: high was sent
	}
	r := d.record(d.head)
	d.highSent = max(d.highSent, r.sent-int64(r.end-high))
	delivered := d.highSent - d.lost
	if delivered <= d.delivered {
		return RateSample{} // losses that turned out not to be ones have to be made up for
	}
	s := d.sample(now, r, delivered)
	if high <= d.doubtful {
		s.RTT = 0 // nobody knows which copy arrived (Karn and Partridge, SIGCOMM 1987)
	}
	return s
}

// repaired notes that all packets before una have arrived, for when arrive
// learns nothing: since the last new packet only lost ones were sent, lowest
// number first, and the cumulative ACK follows their arrival. Without it a
// sender that has nothing new to send, or no window for it, would stay as slow
// as the round trip was in which so much got lost.
func (d *deliverySampler) repaired(now Instant, una packetIndex) RateSample {
	var r sendRecord
	n := 0
	for !d.repeats.empty() && d.repeats.front().end <= una {
		next := d.repeats.pop()
		r, n = next.sendRecord, n+next.n
	}
	delivered := min(d.delivered+int64(n), d.sent-d.lost)
	if delivered <= d.delivered {
		return RateSample{}
	}
	s := d.sample(now, &r, delivered)
	s.RTT = 0 // likewise
	return s
}

// sample notes that so many packets were delivered when those of r were.
func (d *deliverySampler) sample(now Instant, r *sendRecord, delivered int64) RateSample {
	d.delivered, d.at, d.firstSent = delivered, now, r.at
	if delivered > d.limited {
		d.limited = 0
	}
	// The path delivers no faster than it was fed, and ACKs may come in
	// bunches: the longer of both intervals counts.
	return RateSample{
		Delivered: delivered - r.delivered,
		Interval:  max(r.at.Sub(r.firstSent), now.Sub(r.deliveredAt)),
		Prior:     r.delivered,
		InFlight:  r.inFlight,
		RTT:       now.Sub(r.at),
		Limited:   r.limited,
	}
}

func (d *deliverySampler) record(i int) *sendRecord { return &d.ring[i&(len(d.ring)-1)] }

// grow doubles the ring, up to as many records as there are packets in flight.
func (d *deliverySampler) grow() {
	ring := make([]sendRecord, max(64, 2*len(d.ring)))
	for i := d.head; i < d.tail; i++ {
		ring[i&(len(ring)-1)] = *d.record(i)
	}
	d.ring = ring
}
