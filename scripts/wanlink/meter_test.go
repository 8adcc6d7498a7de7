//go:build linux

package main

import (
	"slices"
	"testing"
	"time"
)

func TestMeter(t *testing.T) {
	const ms = int64(time.Millisecond)
	m := meter{span: 10 * time.Millisecond, delay: 20 * time.Millisecond}
	m.count(1*ms, 22*ms, 1500)
	m.count(2*ms, 29*ms, 1000)
	m.count(3*ms, 28*ms, 500)
	m.count(31*ms, 51*ms, 40)
	r := m.report()
	if got := r["bytes"].([]int64); !slices.Equal(got, []int64{0, 0, 3000, 0, 0, 40}) {
		t.Errorf("arrived: %v", got)
	}
	if got := r["longest_us"].([]int64); !slices.Equal(got, []int64{7000, 0, 0, 0, 0, 0}) {
		t.Errorf("longest: %v", got)
	}
	if r["span_us"] != int64(10_000) {
		t.Errorf("span %v", r["span_us"])
	}
	m = meter{}
	m.count(1*ms, 22*ms, 1500)
	if len(m.bytes) != 0 {
		t.Error("kept what nobody asked for")
	}
}
