package proto

import "slices"

// A train is packets that came without a pause, and how: every stride of them a
// point, which is how many had come when. What tells how fast they came has to
// bear with a sender that was held up in the middle, with a device that held up
// packets and let them go all at once, and with jitter, by which the first few
// packets are far ahead of the others, while none overtakes another.
type train struct {
	burst
	points [trainPoints]burst
	n      int
	stride int     // packets between two points, at least; 0 before the first
	median float64 // interval per packet between two points, ns; 0 = to be worked out
}

const (
	// When there are trainPoints every other is dropped.
	trainPoints = 40
	trainStride = 8
	// Less than fewPoints tell no more than the mean.
	fewPoints = 8
	// trainMost is how many times the mean is told at most.
	trainMost = 2
)

// take adds n packets that came dt after those before.
func (t *train) take(dt Instant, n int) {
	t.add(dt, n)
	if t.n > 0 && t.count < t.points[t.n-1].count+t.stride {
		return
	}
	if t.n == trainPoints {
		for i := range trainPoints / 2 {
			t.points[i] = t.points[2*i]
		}
		t.n, t.stride = trainPoints/2, 2*t.stride
	}
	t.stride = max(t.stride, trainStride)
	t.points[t.n] = t.burst
	t.n++
	t.median = 0
}

// rate returns packets/s: by the median of the intervals per packet between any
// two points (H. Theil, 1950; P. K. Sen, 1968), which stays where it is as long as
// less than 29 % of them are beside the line of the others; and no more than
// trainMost times the mean, for a device may let go most of a short train at once.
func (t *train) rate() float64 {
	mean := 1e9 * float64(t.count) / float64(t.span)
	if t.n < fewPoints {
		return mean
	}
	if t.median == 0 {
		t.median = t.slope()
	}
	return min(1e9/t.median, trainMost*mean)
}

// slope is the median, in nanoseconds a packet.
func (t *train) slope() float64 {
	var per [trainPoints * (trainPoints - 1) / 2]float64
	k := 0
	for i := range t.n {
		for j := range i {
			per[k] = float64(t.points[i].span-t.points[j].span) / float64(t.points[i].count-t.points[j].count)
			k++
		}
	}
	slices.Sort(per[:k])
	return per[k/2]
}
