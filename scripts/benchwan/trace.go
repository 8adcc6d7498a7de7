//go:build linux

package main

import (
	"sort"
	"time"
)

// trace is how a transfer went.
type trace struct {
	start         time.Time // of the sender
	began         time.Time // when the first packet came to the link; zero if that is not known
	seconds       float64   // until the sender's exit, or the limit
	finished      bool
	retransmitted int64 // packets
	sent          []sample
	received      []sample // bytes alone
	link          []sample // whole packets that arrived, and the longest round trip, as the link had them
}

// at is a time as the samples count it.
func (t *trace) at(when time.Time) float64 { return when.Sub(t.start).Seconds() }

// samples joins both ends: the receiver's bytes where it tells of them, with the sender's round-trip time.
func (t *trace) samples() []sample {
	if len(t.received) == 0 {
		return t.sent
	}
	out := make([]sample, len(t.received))
	k := 0
	for i, s := range t.received {
		for k+1 < len(t.sent) && t.sent[k+1].At <= s.At {
			k++
		}
		if k < len(t.sent) {
			s.RTT = t.sent[k].RTT
		}
		out[i] = s
	}
	return out
}

// arrived is the packets' side of what was received.
func (t *trace) arrived() []sample {
	out := make([]sample, len(t.received))
	for i, s := range t.received {
		out[i] = sample{At: s.At, Bytes: s.Arrived}
	}
	return out
}

// pause is the longest time without progress that is laid to the coarse steps in which files grow, in seconds.
const pause = 0.25

// progress leaves out samples at which nothing had come since the one before, so that between steps the line goes from
// one to the next. A pause stays one.
func progress(s []sample) (out []sample) {
	for i := range s {
		if i == 0 || s[i].Bytes != s[i-1].Bytes {
			if i > 0 && s[i-1].At-out[len(out)-1].At > pause {
				out = append(out, s[i-1])
			}
			out = append(out, s[i])
		}
	}
	return out
}

// bytesAt is how many bytes had passed at a time, between samples along the line from one to the next.
func bytesAt(s []sample, at float64) float64 {
	i := sort.Search(len(s), func(i int) bool { return s[i].At >= at })
	switch {
	case len(s) == 0:
		return 0
	case i == len(s):
		return float64(s[i-1].Bytes)
	}
	before := sample{}
	if i > 0 {
		before = s[i-1]
	}
	span := s[i].At - before.At
	if span <= 0 {
		return float64(s[i].Bytes)
	}
	return float64(before.Bytes) + float64(s[i].Bytes-before.Bytes)*(at-before.At)/span
}

// goodput is the mean rate between two times, bits a second.
func goodput(s []sample, from, to float64) float64 {
	return (bytesAt(s, to) - bytesAt(s, from)) * 8 / (to - from)
}

// meanRTT is the mean of the samples that have one between two times, in seconds; 0 if none has.
func meanRTT(s []sample, from, to float64) float64 {
	sum, n := 0., 0
	for _, v := range s {
		if v.At >= from && v.At <= to && v.RTT > 0 {
			sum += v.RTT
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

// worstRTT is the longest round-trip time of the samples between two times, in seconds.
func worstRTT(s []sample, from, to float64) float64 {
	worst := 0.
	for _, v := range s {
		if v.At >= from && v.At <= to {
			worst = max(worst, v.RTT)
		}
	}
	return worst
}
