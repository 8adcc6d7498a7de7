package simnet

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParsePath(t *testing.T) {
	plain := Params{Rate: 500e6, Delay: 50 * time.Millisecond, Queue: 6_250_000, MTU: 1500}
	with := func(change func(p *Params)) Params {
		p := plain
		change(&p)
		return p
	}
	lossy := with(func(p *Params) { p.Loss = 0.001 })
	for text, want := range map[string]Path{
		"rate=500Mbit,rtt=100ms":                       {plain, plain, 1},
		"rate=62.5M, rtt=100ms":                        {plain, plain, 1},
		"rtt=100ms,rate=0.5Gbit,loss=0.1%":             {lossy, lossy, 1},
		"rate=500Mbit,rtt=100ms,loss=0.1%,ack-loss=0%": {lossy, plain, 1},
		"rate=500Mbit,rtt=100ms,ack-loss=0.1%,seed=7":  {plain, lossy, 7},
		"rate=500Mbit,rtt=100ms,queue=6250k":           {plain, plain, 1},
		"rate=500Mbit,rtt=100ms,queue=1bdp,jitter=0s":  {plain, plain, 1},
		"rate=500000kbit,rtt=0.1s,queue=1bdp,reorder=0%:5ms": {
			with(func(p *Params) { p.ReorderBy = 5 * time.Millisecond }),
			with(func(p *Params) { p.ReorderBy = 5 * time.Millisecond }), 1,
		},
	} {
		got, err := ParsePath(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}

	got, err := ParsePath("rate=1Gbit,rtt=20ms,queue=0.25bdp,burst=0.05%:20,reorder=2%:5ms,jitter=3ms,duplicate=1%," +
		"outage=1s:2s,outage=9s:100ms,step=5s:500Mbit,step=10s:1Gbit")
	want := Params{
		Rate: 1e9, Delay: 10 * time.Millisecond, Jitter: 3 * time.Millisecond, Queue: 625_000,
		BurstStart: 0.0005, BurstMean: 20, Reorder: 0.02, ReorderBy: 5 * time.Millisecond, Duplicate: 0.01, MTU: 1500,
		Outages: []Outage{{time.Second, 2 * time.Second}, {9 * time.Second, 100 * time.Millisecond}},
		Steps:   []Step{{5 * time.Second, 500e6}, {10 * time.Second, 1e9}},
	}
	if err != nil || !reflect.DeepEqual(got.There, want) || !reflect.DeepEqual(got.Back, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

// Small products of rate and delay still leave room for a few packets; without a rate nothing waits.
func TestParsePathQueue(t *testing.T) {
	for text, want := range map[string]int{
		"rate=1Mbit,rtt=1ms":             leastQueue,
		"rate=1Mbit,rtt=1ms,queue=1500":  1500,
		"rate=8Mbit,rtt=1s,queue=1Mi":    1 << 20,
		"rate=8Mbit,rtt=1s,queue=4bdp":   4_000_000,
		"rtt=1s":                         0,
		"rtt=1s,queue=3K":                3000,
		"rate=1e6Mbit,rtt=1h,queue=9bdp": mostBytes,
	} {
		if got, err := ParsePath(text); err != nil || got.There.Queue != want {
			t.Errorf("%s: queue of %d, %v; want %d", text, got.There.Queue, err, want)
		}
	}
}

func TestParsePathRefuses(t *testing.T) {
	for text, say := range map[string]string{
		"":                             "want NAME=VALUE",
		"rate":                         "want NAME=VALUE",
		"rate=":                        "want NAME=VALUE",
		"rate=1Mbit,":                  "want NAME=VALUE",
		"speed=1Mbit":                  "no such setting",
		"Rate=1Mbit":                   "no such setting",
		"rate=1Mbit,rate=2Mbit":        "twice",
		"rate=fast":                    "want a rate",
		"rate=0":                       "want a rate",
		"rate=-1Mbit":                  "want a rate",
		"rate=NaN":                     "want a rate",
		"rate=infbit":                  "want a rate",
		"rate=2000Gbit":                "want a rate",
		"rate=5i":                      "want a rate",
		"rtt=100":                      "want a time",
		"rtt=-1ms":                     "want a time",
		"rtt=61m":                      "want a time",
		"loss=0.1":                     "want a percentage",
		"loss=101%":                    "want a percentage",
		"loss=NaN%":                    "want a percentage",
		"ack-loss=%":                   "want a percentage",
		"burst=1%":                     "two values",
		"burst=1%:0":                   "number of packets",
		"burst=1:20":                   "want a percentage",
		"reorder=1%:5":                 "want a time",
		"outage=1s":                    "two values",
		"step=1s:2Mbit":                "needs a rate to begin with",
		"rate=1Mbit,step=1s:0":         "want a rate",
		"queue=1bdp,rtt=1s":            "needs a rate",
		"rate=1Mbit,queue=0bdp":        "250K, or 0.25bdp",
		"rate=1Mbit,queue=NaNbdp":      "250K, or 0.25bdp",
		"rate=1Mbit,queue=many":        "want a size",
		"rate=1Mbit,queue=1400":        "must hold a packet",
		"rate=1Mbit,queue=2000G":       "want a size",
		"seed=-1":                      "want a number",
		"rate=1Mbit,jitter=1ms,loss=%": "loss=%: ",
	} {
		if p, err := ParsePath(text); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%q: %+v, %v; want an error with %q", text, p, err, say)
		}
	}
}

// Whatever ParsePath takes is a link that works: packets come out not before they went in.
func FuzzParsePath(f *testing.F) {
	f.Add("rate=500Mbit,rtt=100ms,loss=0.1%,ack-loss=1%,queue=0.25bdp,seed=3")
	f.Add("rate=1Gbit,burst=0.05%:20,reorder=2%:5ms,jitter=3ms,duplicate=1%,outage=1s:2s,step=5s:500Mbit,queue=3K")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePath(text)
		if err != nil {
			return
		}
		for _, params := range []Params{p.There, p.Back} {
			l := NewLink(params, p.Seed)
			var ats []int64
			for now := int64(0); now < 100; now++ {
				ats = l.Forward(now, pathMTU, ats[:0])
				for _, at := range ats {
					if at < now {
						t.Fatalf("a packet of time %d arrives at %d", now, at)
					}
				}
			}
			wantBalance(t, l.Stats())
		}
	})
}
