//go:build linux

package main

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Max(1, math.Abs(b)) }

func TestBytesAt(t *testing.T) {
	s := []sample{{At: 1, Bytes: 100}, {At: 2, Bytes: 300}, {At: 2, Bytes: 400}, {At: 4, Bytes: 400}}
	for at, want := range map[float64]float64{0: 0, 0.5: 50, 1: 100, 1.5: 200, 2: 300, 3: 400, 4: 400, 9: 400} {
		if got := bytesAt(s, at); !near(got, want) {
			t.Errorf("at %v: %v bytes, want %v", at, got, want)
		}
	}
	if got := bytesAt(nil, 1); got != 0 {
		t.Errorf("of nothing %v", got)
	}
	if got := goodput(s, 1, 2); !near(got, 1600) {
		t.Errorf("goodput %v", got)
	}
}

func TestProgress(t *testing.T) {
	s := []sample{{At: 0}, {At: 0.1, Bytes: 1}, {At: 0.2, Bytes: 1}, {At: 0.3, Bytes: 2}, {At: 0.4, Bytes: 2}, {At: 0.9, Bytes: 2}, {At: 1, Bytes: 3}}
	want := []sample{s[0], s[1], s[3], s[5], s[6]} // at 0.4 to 0.9 it paused
	if got := progress(s); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestMeanRTT(t *testing.T) {
	s := []sample{{At: 1, RTT: 9}, {At: 2, RTT: 0.1}, {At: 3}, {At: 4, RTT: 0.3}, {At: 5, RTT: 9}}
	if got := meanRTT(s, 2, 4); !near(got, 0.2) {
		t.Errorf("got %v", got)
	}
	if got := meanRTT(s, 3, 3); got != 0 {
		t.Errorf("of none %v", got)
	}
}

func TestSamplesJoinBothEnds(t *testing.T) {
	sent := []sample{{At: 1, Bytes: 50, RTT: 0.1}, {At: 2, Bytes: 90, RTT: 0.2}}
	received := []sample{{At: 0.5, Bytes: 1}, {At: 1.5, Bytes: 2}, {At: 2, Bytes: 3}, {At: 7, Bytes: 4}}
	got := (&trace{sent: sent, received: received}).samples()
	want := []sample{{0.5, 1, 0.1, 0}, {1.5, 2, 0.1, 0}, {2, 3, 0.2, 0}, {7, 4, 0.2, 0}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := (&trace{sent: sent}).samples(); !slices.Equal(got, sent) {
		t.Errorf("without a receiver %v", got)
	}
}

func TestCapacity(t *testing.T) {
	for text, want := range map[string]float64{
		"rate=300Mbit":                             291.2e6,
		"rate=300Mbit,loss=3%":                     291.2e6 * 0.97,
		"rate=300Mbit,burst=0.05%:20":              291.2e6 * (1 - 20./2020),
		"rate=300Mbit,loss=10%,burst=50%:2":        291.2e6 * 0.9 * 0.5,
		"rate=300Mbit,ack-loss=10%,reorder=1%:1ms": 291.2e6,
	} {
		p, err := simnet.ParsePath(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := capacity(p.There); !near(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// All that is asked for can be run: paths parse, names are unique.
func TestSuites(t *testing.T) {
	names := map[string]bool{}
	check := func(name, path string) {
		t.Helper()
		if _, err := simnet.ParsePath(path); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if names[name] {
			t.Errorf("%s is there twice", name)
		}
		names[name] = true
	}
	for _, s := range suites {
		for _, l := range s.links {
			check(l.name, l.path)
		}
		for _, c := range s.cases {
			check(c.name, c.path)
		}
	}
	o, err := parse([]string{"-links", "20ms, 1%", "-suites", "table,short", "-scale", "0.5"})
	if err != nil || !o.wanted("100M-20ms") || !o.wanted("200M-200ms-1%") || o.wanted("50M-300ms") {
		t.Errorf("links %q: %v", o.links, err)
	}
	if (&options{}).wanted("any") != true || !slices.Equal(o.suites, []string{"table", "short"}) {
		t.Errorf("suites %q", o.suites)
	}
}

func TestSummary(t *testing.T) {
	p, err := simnet.ParsePath("rate=300Mbit")
	if err != nil {
		t.Fatal(err)
	}
	tr := &trace{seconds: 4, finished: true, retransmitted: 500}
	for i := range 41 { // idle for the first second, then all the link takes
		s := sample{At: float64(i) / 10, RTT: 0.1}
		s.Bytes = int64(max(0, s.At-1)*291.2e6/8) &^ (1<<20 - 1) // as files grow
		tr.received = append(tr.received, s)
		tr.sent = append(tr.sent, s)
	}
	res := &result{Bytes: int64(3 * 291.2e6 / 8)}
	res.summarise(tr, p)
	if !near(res.Share, 0.75) || math.Abs(res.Steady-1) > 0.02 || !near(res.RTT, 0.1) ||
		math.Abs(res.Retransmitted-500*1456/float64(res.Bytes)) > 1e-9 {
		t.Errorf("got %+v", res)
	}
	if got := cell(res); got != "218 0.75" {
		t.Errorf("shows %q", got)
	}
	res = &result{Bytes: 1000_000}
	res.summarise(&trace{seconds: 8}, p)
	if got := cell(res); got != "<1" || res.Steady != 0 {
		t.Errorf("unfinished: %q, %+v", got, res)
	}
}

func TestOutageMeasure(t *testing.T) {
	r := outageMeasure(t)
	if !near(r["resumed s"], 0.35) || !near(r["beyond rtt s"], 0.25) {
		t.Errorf("outage: %v", r)
	}
}

func outageMeasure(t *testing.T) map[string]float64 {
	t.Helper()
	p, err := simnet.ParsePath("rate=100Mbit,rtt=100ms,outage=1s:2s")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Unix(0, 0)
	tr := &trace{start: start, began: start.Add(100 * time.Millisecond)}
	for i, bytes := range []int64{0, 500, 500, 500, 500, 500, 500, 600} {
		at := []float64{0.1, 1.1, 1.2, 2, 3, 3.1, 3.4, 3.45}[i]
		tr.received = append(tr.received, sample{At: at, Arrived: bytes})
	}
	return outage(tr, p)
}

func TestStepsMeasure(t *testing.T) {
	p, err := simnet.ParsePath("rate=8Mbit,rtt=100ms,step=2s:4Mbit,step=4s:8Mbit")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Unix(0, 0)
	tr := &trace{start: start, began: start, seconds: 7}
	bytes := int64(0)
	for i := range 140 {
		at := float64(i) * 0.05
		rate, rtt := 7.7e6, 0.1
		if at > 2 && at <= 4 || at > 4.21 && at < 4.81 { // what waited comes at 4 s, the sender follows at 4.8 s
			rate = 3.8e6
		}
		if at > 2.21 && at < 2.72 { // the queue takes a while to grow
			rtt = 0.3
		}
		bytes += int64(rate / 8 * 0.05)
		tr.link = append(tr.link, sample{At: at, Bytes: bytes, RTT: rtt})
	}
	got := steps(tr, p)
	if math.Abs(got["down rtts"]-7.5) > 0.01 || got["up rtts"] < 6 || got["up rtts"] > 8.01 {
		t.Errorf("got %v", got)
	}
	tr.seconds = 5.5
	if got := steps(tr, p); got["up rtts"] >= 0 {
		t.Errorf("cut off: %v", got)
	}
}

func TestWatchReadsBothDialects(t *testing.T) {
	w := &watch{listening: make(chan string, 1)}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, line := range []string{
		`{"event":"listening","time":"2026-01-01T00:00:00Z","address":"10.99.0.2:9001"}`,
		`noise`,
		`{"event":"progress","time":"2026-01-01T00:00:01.5Z","bytes":7,"total":null,"stats":{"ms_rtt":12.5,"pkt_retrans_total":3,"pkt_recv_total":2}}`,
		`{"event":"progress","time":"2026-01-01T00:00:02Z","bytes":9,"stats":null}`,
		`{"event":"end","time":"2026-01-01T00:00:03Z","exit_code":0,"bytes":11,"stats":{"ms_rtt":20,"pkt_retrans_total":4}}`,
	} {
		w.take([]byte(line))
	}
	if got := <-w.listening; got != "10.99.0.2:9001" {
		t.Errorf("listens at %q", got)
	}
	if got := w.samples(start); !slices.Equal(got, []sample{{1.5, 7, 0.0125, 2912}, {2, 9, 0, 0}}) {
		t.Errorf("samples %v", got)
	}
	if w.retransmitted() != 4 || w.received() != 11 {
		t.Errorf("%d retransmitted, %d received", w.retransmitted(), w.received())
	}
}

func TestResultsAreLines(t *testing.T) {
	line, err := json.Marshal(&result{Suite: "table", WAN: json.RawMessage(`{"event":"end"}`), Error: "a\nb"})
	if err != nil || strings.Contains(string(line), "\n") {
		t.Errorf("%s, %v", line, err)
	}
}
