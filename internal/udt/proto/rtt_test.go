package proto

import (
	"testing"
	"time"
)

const ms = time.Millisecond

func TestRTT(t *testing.T) {
	var e rttEstimator
	e.init()
	if e.srtt != 100*ms || e.rttvar != 50*ms || e.measured {
		t.Fatalf("before any sample: %+v", e)
	}
	e.sample(40 * ms)
	if e.srtt != 40*ms || e.rttvar != 20*ms || e.min != 40*ms || !e.measured {
		t.Errorf("after 40 ms: %+v", e)
	}
	e.sample(80 * ms)
	if e.srtt != 45*ms || e.rttvar != 25*ms || e.min != 40*ms {
		t.Errorf("after 80 ms: %+v", e)
	}
	e.sample(5 * ms)
	if e.srtt != 40*ms || e.rttvar != 28750*time.Microsecond || e.min != 5*ms {
		t.Errorf("after 5 ms: %+v", e)
	}
	if want := 40*ms + 4*28750*time.Microsecond; e.spread() != want {
		t.Errorf("spread %v, want %v", e.spread(), want)
	}
	for range 200 {
		e.sample(30 * ms)
	}
	if e.srtt < 29*ms || e.srtt > 31*ms || e.rttvar > ms {
		t.Errorf("after many of 30 ms: %+v", e)
	}
}

func TestRTTIgnoresNonsense(t *testing.T) {
	var e rttEstimator
	e.init()
	e.sample(30 * ms)
	want := e
	e.sample(0)
	e.sample(-time.Second)
	e.sample(maxRTT + 1)
	e.adopt(0, 1)
	e.adopt(1<<32-1, 1)
	e.adopt(1, 1<<32-1)
	if e != want {
		t.Errorf("%+v, want %+v", e, want)
	}
	e.adopt(10_000, 500)
	if e.srtt != 10*ms || e.rttvar != ms/2 {
		t.Errorf("adopted %+v", e)
	}
}
