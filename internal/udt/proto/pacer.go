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
	// paceBehind is how late a scheduler may let us be without a loss of rate.
	// It is made up for by full bursts, a quantum apart.
	paceBehind = 4 * time.Millisecond
)

// A pacer spaces packets by a period. Being late is made good by bursts, none
// longer than paceMaxBurst's worth.
type pacer struct {
	period float64 // ns per packet; 0 = no pacing
	next   float64 // ns; when the next packet is due
	holds  bool    // packets wait for the pacer alone, so that it is behind if they are late

	burst Instant // when the latest burst began
	room  int     // packets that still may go in it
}

// budget returns how many packets may be sent now.
func (p *pacer) budget(now Instant) int {
	const unlimited = 1 << 30
	if p.period <= 0 {
		p.next = float64(now)
		return unlimited
	}
	burst := max(float64(paceMaxBurst), paceMinBurst*p.period)
	behind := burst
	if p.holds {
		behind = max(burst, float64(paceBehind))
	}
	p.next = max(p.next, float64(now)-behind+p.period)
	if now.Sub(p.burst) >= paceQuantum {
		p.burst, p.room = now, int(burst/p.period)
	}
	if p.next > float64(now) {
		return 0
	}
	return max(0, min(int((float64(now)-p.next)/p.period)+1, p.room))
}

// sent takes n packets off the budget.
func (p *pacer) sent(n int) {
	p.next += float64(n) * p.period
	p.room -= n
}

// due returns when to look again: when a quantum's packets, at least one, may
// go at once.
func (p *pacer) due() Instant {
	if p.period <= 0 {
		return 0
	}
	due := Instant(math.Ceil(p.next + max(0, float64(paceQuantum)-p.period)))
	if p.room <= 0 {
		due = max(due, p.burst.Add(paceQuantum))
	}
	return due
}

// setRate sets the packets per second; 0 means no pacing.
func (p *pacer) setRate(rate float64) {
	if rate <= 0 {
		p.period = 0
		return
	}
	p.period = 1e9 / rate
}
