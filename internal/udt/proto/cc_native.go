package proto

import (
	"math"
	"time"
)

// syn is UDT's clock: the ACK interval and the unit of its rate control.
const syn = 10 * time.Millisecond

// initialWindow is how many packets may leave before the first ACK.
const initialWindow = 16

// Native is UDT's own congestion control: slow start, then additive increase
// of the rate by the spare capacity and decrease by 1/9 on loss (Gu and
// Grossman, "UDT: UDP-based data transfer for high-speed wide area networks",
// 2007; draft-gg-udt-03, section 6.1). Where libudt 4.11 differs from both by
// accident, the law is kept and the accident is not: periods are not rounded
// up to whole microseconds, and a loss before the arrival rate is known
// leaves slow start at the window's rate instead of 16 packets a second.
type Native struct {
	period float64 // ns between packets; 0 in slow start: the window alone limits
	window float64 // packets

	slowStart bool
	lastTime  Instant // of the last increase
	newAcked  int     // packets acknowledged since
	lossSeen  bool    // skip the next increase

	lastDecPeriod float64
	lastDecIndex  int64 // highest packet sent at the last decrease
	avgNAK        float64
	nakCount      int
	decCount      int
	decRandom     int
	rng           uint64
}

// NewNative returns UDT's congestion control.
func NewNative() *Native {
	return &Native{window: initialWindow, slowStart: true, decRandom: 1, lastDecIndex: -1, lastDecPeriod: 1000}
}

// Name implements Controller.
func (n *Native) Name() string { return "native" }

// Init implements Controller.
func (n *Native) Init(s *PathState) {
	n.lastTime = s.Now
	n.rng = uint64(s.ISN)<<1 | 1
}

// Rate implements Controller.
func (n *Native) Rate() float64 {
	if n.period <= 0 {
		return 0
	}
	return 1e9 / n.period
}

// Window implements Controller.
func (n *Native) Window() float64 { return n.window }

// OnACK implements Controller.
func (n *Native) OnACK(s *PathState, acked int) {
	n.newAcked += acked
	if acked == 0 || s.Now.Sub(n.lastTime) < syn {
		return
	}
	n.lastTime = s.Now
	if n.slowStart {
		n.window += float64(n.newAcked) + 1
		n.newAcked = 0
		if n.window <= float64(s.MaxWindow) {
			return
		}
		n.leaveSlowStart(s)
	}
	n.newAcked = 0
	if s.ArrivalRate > 0 {
		n.window = s.ArrivalRate*(s.RTT+syn).Seconds() + initialWindow
	}
	if n.lossSeen {
		n.lossSeen = false
		return
	}
	inc := n.increase(s)
	n.period = n.period * float64(syn) / (n.period*inc + float64(syn))
}

// increase returns how many packets per SYN interval the rate may grow by.
func (n *Native) increase(s *PathState) float64 {
	const (
		beta    = 1.5e-6
		minimum = 0.01
	)
	capacity := s.Capacity
	if s.Latest.Unresolved {
		capacity = max(capacity, unresolvedRate(s.PacketSize))
	}
	spare := capacity - 1e9/n.period
	if n.period > n.lastDecPeriod {
		spare = min(spare, capacity/9)
	}
	if spare <= 0 {
		return minimum
	}
	bits := spare * float64(s.PacketSize) * 8
	return max(minimum, math.Pow(10, math.Ceil(math.Log10(bits)))*beta/float64(s.PacketSize))
}

func (n *Native) leaveSlowStart(s *PathState) {
	n.slowStart = false
	rate := s.ArrivalRate
	if rate <= 0 {
		rate = n.window / (s.RTT + syn).Seconds()
	}
	n.period = 1e9 / rate
}

// OnLoss implements Controller.
func (n *Native) OnLoss(s *PathState, first int64) {
	if n.slowStart {
		n.leaveSlowStart(s)
		return
	}
	n.lossSeen = true
	switch {
	case first > n.lastDecIndex: // a new congestion epoch
		n.lastDecPeriod = n.period
		n.decrease(s)
		n.avgNAK = math.Ceil(0.875*n.avgNAK + 0.125*float64(n.nakCount))
		n.nakCount, n.decCount = 1, 1
		n.decRandom = max(1, int(math.Ceil(n.avgNAK*n.uniform())))
	case n.decCount < 5:
		n.decCount++
		n.nakCount++
		if n.nakCount%n.decRandom == 0 {
			n.decrease(s)
		}
	}
}

// decrease slows down by 1/9, but not to below two packets a round trip.
func (n *Native) decrease(s *PathState) {
	slowest := float64(s.RTT+syn) / 2
	n.period = max(n.period, min(n.period*1.125, slowest))
	n.lastDecIndex = s.Sent - 1
}

// OnTimeout implements Controller.
func (n *Native) OnTimeout(s *PathState) {
	if n.slowStart {
		n.leaveSlowStart(s)
	}
}

// uniform returns a number in (0, 1], from xorshift64*; the seed is the ISN.
func (n *Native) uniform() float64 {
	n.rng ^= n.rng >> 12
	n.rng ^= n.rng << 25
	n.rng ^= n.rng >> 27
	return float64(n.rng*2685821657736338717>>11+1) / (1 << 53)
}
