package udpio

import (
	"net/netip"
	"testing"
	"time"
)

func TestAlarm(t *testing.T) {
	s, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m, ok := s.(AlarmMaker)
	if !ok {
		t.Skip("the portable path has the runtime's timers only")
	}
	fired := make(chan time.Time, 1)
	a, err := m.NewAlarm(func() { fired <- time.Now() })
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []time.Duration{0, 300 * time.Microsecond, 5 * time.Millisecond} {
		begin := time.Now()
		if err := a.Set(time.Hour); err != nil { // Set replaces what was set before
			t.Fatal(err)
		}
		if err := a.Set(d); err != nil {
			t.Fatal(err)
		}
		if took := (<-fired).Sub(begin); took < d {
			t.Errorf("set to %v, fired after %v", d, took)
		}
	}
	if err := a.Set(time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

// How late the alarm and the runtime's timer are for the pacer's half
// millisecond.
func BenchmarkLateness(b *testing.B) {
	const wait = 500 * time.Microsecond
	b.Run("alarm", func(b *testing.B) {
		fired := make(chan struct{}, 1)
		a, err := NewAlarm(func() { fired <- struct{}{} })
		if err != nil {
			b.Fatal(err)
		}
		defer a.Close()
		var late time.Duration
		for b.Loop() {
			begin := time.Now()
			if err := a.Set(wait); err != nil {
				b.Fatal(err)
			}
			<-fired
			late += time.Since(begin) - wait
		}
		b.ReportMetric(float64(late.Microseconds())/float64(b.N), "µs-late/op")
	})
	b.Run("timer", func(b *testing.B) {
		timer := time.NewTimer(time.Hour)
		var late time.Duration
		for b.Loop() {
			begin := time.Now()
			timer.Reset(wait)
			<-timer.C
			late += time.Since(begin) - wait
		}
		b.ReportMetric(float64(late.Microseconds())/float64(b.N), "µs-late/op")
	})
}
