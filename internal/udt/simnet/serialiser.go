package simnet

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// serialiser puts packets on the wire one after the other, at a rate that may change.
type serialiser struct {
	rate  float64 // bits/s at the time busy, 0 no limit
	steps []Step  // still to come, in order of time
	queue int     // bytes that may wait, 0 no limit

	// busy is when the last packet has left, ns; frac is the part of a nanosecond beyond, so that rounding
	// does not add up.
	busy int64
	frac float64

	waiting fifo // packets whose turn had not come at the time of the last one
}

func newSerialiser(p Params) serialiser {
	steps := slices.Clone(p.Steps)
	slices.SortStableFunc(steps, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
	return serialiser{rate: p.Rate, steps: steps, queue: p.Queue}
}

// take accepts a packet of size bytes and returns when it has left, ns, or reports that there is no room.
func (s *serialiser) take(now int64, size int) (int64, bool) {
	if now > s.busy {
		s.busy, s.frac = now, 0
	}
	start := s.busy
	if s.queue > 0 {
		s.waiting.leave(now)
		if start > now {
			if s.waiting.bytes+size > s.queue {
				return 0, false
			}
			s.waiting.enter(start, size)
		}
	}
	s.advance(float64(size) * 8)
	return s.busy, true
}

// longest is the most time one packet may take, about three years, lest a tiny rate overflow the clock.
const longest = 1e17

// advance moves busy to when so many bits have been sent.
func (s *serialiser) advance(bits float64) {
	for {
		for len(s.steps) > 0 && int64(s.steps[0].At) <= s.busy {
			s.rate = s.steps[0].Rate
			s.steps = s.steps[1:]
		}
		if s.rate <= 0 {
			return
		}
		took := min(bits*float64(time.Second)/s.rate, longest)
		if len(s.steps) > 0 {
			next := int64(s.steps[0].At)
			if left := float64(next-s.busy) - s.frac; took > left {
				bits -= left * s.rate / float64(time.Second)
				s.busy, s.frac = next, 0
				continue
			}
		}
		whole, frac := math.Modf(s.frac + took)
		s.busy += int64(whole)
		s.frac = frac
		return
	}
}

// fifo is the packets that wait, in a ring.
type fifo struct {
	ring       []turn // length zero or a power of two
	head, size int
	bytes      int
}

// turn is when a packet begins to be serialised, and its size.
type turn struct {
	start int64
	bytes int
}

func (f *fifo) enter(start int64, bytes int) {
	if f.size == len(f.ring) {
		grown := make([]turn, max(64, 2*len(f.ring)))
		for i := range f.size {
			grown[i] = f.ring[(f.head+i)&(len(f.ring)-1)]
		}
		f.ring, f.head = grown, 0
	}
	f.ring[(f.head+f.size)&(len(f.ring)-1)] = turn{start, bytes}
	f.size++
	f.bytes += bytes
}

// leave lets go of the packets whose turn has come.
func (f *fifo) leave(now int64) {
	for f.size > 0 && f.ring[f.head].start <= now {
		f.bytes -= f.ring[f.head].bytes
		f.head = (f.head + 1) & (len(f.ring) - 1)
		f.size--
	}
}
