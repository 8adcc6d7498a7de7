//go:build linux

package main

import "time"

// meter is a direction over time: what arrived in each span since the first packet, and the longest that a packet which
// came in it was to take beyond the delay of the path.
type meter struct {
	span    time.Duration // 0: nothing is kept
	delay   time.Duration // of the path
	bytes   []int64
	longest []time.Duration
}

// count takes in a packet that came at a time and arrives at another.
func (m *meter) count(came, arrives int64, size int) {
	if m.span <= 0 {
		return
	}
	in, out := int(came/int64(m.span)), int(arrives/int64(m.span))
	for len(m.bytes) <= max(in, out) {
		m.bytes, m.longest = append(m.bytes, 0), append(m.longest, 0)
	}
	m.bytes[out] += int64(size)
	m.longest[in] = max(m.longest[in], time.Duration(arrives-came)-m.delay)
}

// report is the meter as the last line has it.
func (m *meter) report() map[string]any {
	us := make([]int64, len(m.longest))
	for i, d := range m.longest {
		us[i] = d.Microseconds()
	}
	return map[string]any{"span_us": m.span.Microseconds(), "bytes": m.bytes, "longest_us": us}
}
