//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// linkCounts is what a link tells at its end.
type linkCounts struct {
	line  json.RawMessage // all of it
	There struct {
		Late  float64   `json:"late_mean_us"`
		Trace linkTrace `json:"trace"` // empty where it was not asked for
	} `json:"there"`
}

func readCounts(line json.RawMessage) (*linkCounts, error) {
	c := &linkCounts{line: line}
	if err := json.Unmarshal(line, c); err != nil {
		return nil, fmt.Errorf("what the link counted: %w", err)
	}
	return c, nil
}

// lateness is the worst a link may be late on average before its figures mean little.
const lateness = time.Millisecond

// warn says so where the machine was too busy for the link.
func (c *linkCounts) warn() {
	if late := c.There.Late; late > float64(lateness/time.Microsecond) {
		say("  the link was %.1f ms late on average: this machine is too busy for these figures", late/1000)
	}
}

// traceSpan is how finely the link tells what happens to it where its rate changes.
const traceSpan = 10 * time.Millisecond

// traceFlags ask the link for that.
func traceFlags(path simnet.Path) []string {
	if len(path.There.Steps) == 0 {
		return nil
	}
	return []string{"-trace", traceSpan.String()}
}

// linkTrace is how the link went from the first packet on.
type linkTrace struct {
	Span    float64   `json:"span_us"`
	Bytes   []int64   `json:"bytes"`
	Longest []float64 `json:"longest_us"`
}

// samples are at the ends of the spans. The first packet came at a time; a round trip without a queue takes rtt.
func (l *linkTrace) samples(began, rtt float64) []sample {
	out := make([]sample, len(l.Bytes))
	bytes := int64(0)
	for i, n := range l.Bytes {
		bytes += n
		out[i] = sample{At: began + float64(i+1)*l.Span/1e6, Bytes: bytes, RTT: rtt + l.Longest[i]/1e6}
	}
	return out
}
