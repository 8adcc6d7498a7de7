//go:build linux

package main

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

func TestLinkSamples(t *testing.T) {
	c, err := readCounts(json.RawMessage(`{"event":"end","back":{"trace":{"span_us":10000,"bytes":[7],"longest_us":[7]}},` +
		`"there":{"late_mean_us":150,"trace":{"span_us":10000,"bytes":[0,3000],"longest_us":[5000,0]}}}`))
	if err != nil || c.There.Late != 150 {
		t.Fatalf("got %+v, %v", c, err)
	}
	got := c.There.Trace.samples(0.5, 0.1)
	if len(got) != 2 || !near(got[0].At, 0.51) || !near(got[1].At, 0.52) || got[1].Bytes != 3000 ||
		!near(got[0].RTT, 0.105) || !near(got[1].RTT, 0.1) {
		t.Errorf("got %v", got)
	}
	if c, err = readCounts(json.RawMessage(`{"event":"end","there":{}}`)); err != nil || len(c.There.Trace.samples(0, 0.1)) != 0 {
		t.Errorf("without a trace: %+v, %v", c, err)
	}
	if _, err := readCounts(nil); err == nil {
		t.Error("a link that died has told something")
	}
}

func TestTraceFlags(t *testing.T) {
	p, err := simnet.ParsePath("rate=8Mbit,rtt=100ms")
	if err != nil {
		t.Fatal(err)
	}
	if f := traceFlags(p); f != nil {
		t.Errorf("a link that stays the same is asked for %q", f)
	}
	if p, err = simnet.ParsePath("rate=8Mbit,step=2s:4Mbit"); err != nil || !slices.Equal(traceFlags(p), []string{"-trace", "10ms"}) {
		t.Errorf("a link with a step is asked for %q, %v", traceFlags(p), err)
	}
}
