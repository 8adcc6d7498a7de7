package udt

import (
	"time"

	"github.com/udtcp/udtcp/internal/udt/udpio"
)

// coarse is the grain of the runtime's timers. Pacing needs a finer one.
const coarse = 2 * time.Millisecond

// idleAfter is how long a connection sleeps before its alarm is given back: a
// descriptor and a goroutine that few of many connections need at a time.
const idleAfter = 500 * time.Millisecond

// A sleeper lets a connection's goroutine wait for a time or a wake-up.
type sleeper struct {
	wake  chan struct{}
	timer *time.Timer
	maker udpio.AlarmMaker // nil if there are only the runtime's timers
	alarm udpio.Alarm      // made when first needed
}

func newSleeper(s udpio.Socket, wake chan struct{}) *sleeper {
	maker, _ := s.(udpio.AlarmMaker)
	return &sleeper{wake: wake, timer: time.NewTimer(time.Hour), maker: maker}
}

// sleep waits for d or for a wake-up; it may return early.
func (s *sleeper) sleep(d time.Duration) {
	if d < coarse && s.setAlarm(d) {
		<-s.wake
		return
	}
	s.timer.Reset(d)
	select {
	case <-s.wake:
	case <-s.timer.C:
		if d >= idleAfter {
			s.dismissAlarm()
		}
	}
}

// setAlarm makes the alarm wake us after d; false if there is none to be had.
func (s *sleeper) setAlarm(d time.Duration) bool {
	if s.alarm == nil {
		if s.maker == nil {
			return false
		}
		a, err := s.maker.NewAlarm(func() { notify(s.wake) })
		if err != nil {
			s.maker = nil // out of descriptors, most likely: the timer has to do
			return false
		}
		s.alarm = a
	}
	return s.alarm.Set(d) == nil
}

func (s *sleeper) stop() {
	s.timer.Stop()
	s.dismissAlarm()
}

// dismissAlarm gives the alarm back; setAlarm makes another.
func (s *sleeper) dismissAlarm() {
	if s.alarm != nil {
		_ = s.alarm.Close() // nothing is written through it
		s.alarm = nil
	}
}
