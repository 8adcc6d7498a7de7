package simnet

import (
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/udpio"
)

// A precise network delivers well within the millisecond that the runtime's timers may be late.
func TestPrecise(t *testing.T) {
	const delay = 300 * time.Microsecond
	n := New(1)
	n.Precise()
	n.Precise() // once is enough
	defer n.Close()
	if n.alarm == nil {
		t.Skip("this system has the runtime's timers only")
	}
	a, b := n.Host(addrA), n.Host(addrB)
	n.Connect(a, b, Params{Delay: delay}, Params{})
	from, to := listen(t, a, 0), listen(t, b, 0)
	least := time.Hour
	for range 100 {
		begin := time.Now()
		write(t, from, to, "datagram")
		read(t, to, 1)
		took := time.Since(begin)
		if took < delay {
			t.Fatalf("there after %v, before its time", took)
		}
		least = min(least, took)
	}
	if least > 900*time.Microsecond {
		t.Errorf("at the best there after %v", least)
	}
}

// Who sends through a precise network can wait as precisely.
func TestPreciseSocketsMakeAlarms(t *testing.T) {
	n := New(1)
	defer n.Close()
	if _, ok := listen(t, n.Host(addrA), 0).(udpio.AlarmMaker); ok {
		t.Error("a network on the runtime's timers makes alarms")
	}
	n.Precise()
	m, ok := listen(t, n.Host(addrB), 0).(udpio.AlarmMaker)
	if n.alarm == nil {
		t.Skip("this system has the runtime's timers only")
	}
	if !ok {
		t.Fatal("sockets make no alarms")
	}
	fired := make(chan struct{}, 1)
	alarm, err := m.NewAlarm(func() { fired <- struct{}{} })
	if err == nil {
		err = alarm.Set(0)
	}
	if err != nil {
		t.Fatal(err)
	}
	<-fired
	if err := alarm.Close(); err != nil {
		t.Error(err)
	}
}
