package udpio

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// alarm is a timerfd that a goroutine waits for in the runtime's poller.
type alarm struct {
	fd   int // of f; not asked of f, which would make it blocking
	f    *os.File
	done chan struct{}
}

// NewAlarm returns an Alarm that calls fire, which must not block.
func NewAlarm(fire func()) (Alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	a := &alarm{fd: fd, f: os.NewFile(uintptr(fd), "timerfd"), done: make(chan struct{})}
	go a.wait(fire)
	return a, nil
}

func (a *alarm) wait(fire func()) {
	defer close(a.done)
	var count [8]byte // how often it went off
	for {
		if _, err := a.f.Read(count[:]); err != nil {
			return // closed
		}
		fire()
	}
}

func (a *alarm) Set(d time.Duration) error {
	// Zero would disarm it.
	it := unix.ItimerSpec{Value: unix.NsecToTimespec(max(1, d.Nanoseconds()))}
	return os.NewSyscallError("timerfd_settime", unix.TimerfdSettime(a.fd, 0, &it, nil))
}

func (a *alarm) Close() error {
	err := a.f.Close()
	<-a.done
	return err
}

// NewAlarm implements AlarmMaker.
func (b *batch) NewAlarm(fire func()) (Alarm, error) { return NewAlarm(fire) }
