package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

const results = `{"suite":"table","link":"100M-1%","path":"rate=100Mbit,loss=1%","peer":"native","samples":[{"at":0.5,"bytes":0,"rtt_s":0.02},{"at":1.5,"bytes":5000000,"rtt_s":0.03},{"at":2.5,"bytes":15000000,"rtt_s":0.04}]}
{"suite":"table","link":"100M-1%","path":"rate=100Mbit,loss=1%","peer":"tcp-bbr","samples":[{"at":1,"bytes":0},{"at":2,"bytes":12500000}]}
{"suite":"table","link":"100M-1%","path":"rate=100Mbit,loss=1%","peer":"libudt"}
{"suite":"short","link":"1B","path":"rate=100Mbit","peer":"native","samples":[{"at":1,"bytes":0},{"at":2,"bytes":1}]}
{"suite":"fairness","link":"two","path":"<&>","peer":"native","jain":0.5,"flows":[{"peer":"native","samples":[{"at":1,"bytes":0},{"at":2,"bytes":1000000}]},{"peer":"tcp-cubic","samples":[{"at":1,"bytes":0},{"at":2,"bytes":1000000}]}]}
{"suite":"fairness","link":"two","path":"<&>","peer":"native","jain":0.9,"flows":[{"peer":"native","samples":[{"at":1,"bytes":0},{"at":2,"bytes":1000000}]},{"peer":"tcp-cubic","samples":[{"at":1,"bytes":0},{"at":2,"bytes":1000000}]}]}
`

func TestPlots(t *testing.T) {
	all, err := read(strings.NewReader(results))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range plots(all) {
		names = append(names, p.name)
		svg := string(p.svg())
		d := xml.NewDecoder(strings.NewReader(svg))
		for err == nil {
			_, err = d.Token()
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s is no XML: %v", p.name, err)
		}
		err = nil
		switch p.name {
		case "fairness-two-native":
			if !strings.Contains(svg, "Jain index 0.900") || !strings.Contains(svg, "2: TCP cubic") {
				t.Errorf("the contest shows %s", svg)
			}
		case "100M-1p-throughput":
			if len(p.lines) != 2 || p.lines[0].label != "udtcp native" || !slices.Equal(p.lines[0].points, []point{{1.5, 40}, {2.5, 80}}) {
				t.Errorf("throughput %+v", p.lines)
			}
		case "100M-1p-rtt":
			if len(p.lines) != 1 || !slices.Equal(p.lines[0].points, []point{{0.5, 20}, {1.5, 30}, {2.5, 40}}) {
				t.Errorf("round-trip times %+v", p.lines)
			}
		}
	}
	if want := []string{"fairness-two-native", "100M-1p-throughput", "100M-1p-rtt"}; !slices.Equal(names, want) {
		t.Errorf("drawings %q, want %q", names, want)
	}
	if _, err := read(strings.NewReader("{}\nnonsense\n")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("nonsense: %v", err)
	}
}

func TestTicks(t *testing.T) {
	for _, most := range []float64{0, 0.003, 0.99, 1, 1.61, 2, 3.9, 4.01, 5, 9.99, 10, 97, 485, 1e4, math.Inf(1), math.NaN()} {
		got := ticks(most)
		last := got[len(got)-1]
		want := most
		if !(most > 0) || math.IsInf(most, 0) {
			want = 1
		}
		if len(got) < 4 || len(got) > 11 || last < want*(1-1e-6) || last > want*1.5 {
			t.Errorf("up to %v: %v", most, got)
		}
	}
}

// Throughput is averaged over a few samples, never over more than the window and one sample.
func TestThroughput(t *testing.T) {
	var s []sample
	for i := range 20 {
		s = append(s, sample{At: float64(i) / 10, Bytes: int64(i) * 125_000})
	}
	for i := range s[10:] { // it stops
		s[10+i].Bytes = s[10].Bytes
	}
	got := throughput(s)
	for i := range s {
		s[i].Bytes, s[i].Arrived = 0, s[i].Bytes
	}
	if packets := throughput(s); !slices.Equal(packets, got) {
		t.Errorf("in packets %v, in bytes %v", packets, got)
	}
	if len(got) != 19 || math.Abs(got[8].y-10) > 1e-9 || got[18].y != 0 || got[10].y >= 10 || got[10].y <= 0 {
		t.Errorf("got %v", got)
	}
}
