package proto

import (
	"math"
	"time"
)

// Bursts: timers are too coarse to release single packets at speed, so the
// pacer lets the time of a quantum go by and releases its packets together.
const (
	paceQuantum  = 500 * time.Microsecond
	paceMaxBurst = time.Millisecond
	// paceMinBurst is how many packets may always go together: a probe pair.
	paceMinBurst = 2
)

// A pacer spaces packets by a period. Being late is made good by a burst, but
// never by more than paceMaxBurst's worth.
type pacer struct {
	period float64 // ns per packet; 0 = no pacing
	next   float64 // ns; when the next packet is due
}

// budget returns how many packets may be sent now.
func (p *pacer) budget(now Instant) int {
	const unlimited = 1 << 30
	if p.period <= 0 {
		p.next = float64(now)
		return unlimited
	}
	burst := max(float64(paceMaxBurst), paceMinBurst*p.period)
	p.next = max(p.next, float64(now)-burst+p.period)
	if p.next > float64(now) {
		return 0
	}
	return int((float64(now)-p.next)/p.period) + 1
}

// sent takes n packets off the budget.
func (p *pacer) sent(n int) {
	p.next += float64(n) * p.period
}

// due returns when to look again: when a quantum's packets, at least one, may
// go at once.
func (p *pacer) due() Instant {
	if p.period <= 0 {
		return 0
	}
	return Instant(math.Ceil(p.next + max(0, float64(paceQuantum)-p.period)))
}

// setRate sets the packets per second; 0 means no pacing.
func (p *pacer) setRate(rate float64) {
	if rate <= 0 {
		p.period = 0
		return
	}
	p.period = 1e9 / rate
}
