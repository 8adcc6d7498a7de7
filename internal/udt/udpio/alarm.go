package udpio

import "time"

// Alarm calls a function at a moment, more precisely than the runtime's
// timers: those wait in epoll_wait, which counts whole milliseconds.
type Alarm interface {
	// Set moves the moment to d from now. It may be called only while Close is
	// not.
	Set(d time.Duration) error
	// Close waits until the function is not and will not be called.
	Close() error
}

// AlarmMaker is a Socket of a system with precise timers.
type AlarmMaker interface {
	// NewAlarm returns an Alarm that calls fire, which must not block.
	NewAlarm(fire func()) (Alarm, error)
}
