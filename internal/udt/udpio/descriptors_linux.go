package udpio

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Descriptors waits for any number of the system's descriptors at once, by
// epoll(7), level-triggered. It has one goroutine, which the runtime wakes when
// the epoll instance itself becomes readable.
type Descriptors struct {
	file *os.File // the epoll instance
	raw  syscall.RawConn
	wake func()
	arm  chan struct{} // a token: wake is to be called
	quit chan struct{}
	done chan struct{}
}

// NewDescriptors returns Descriptors without members, which must be closed.
// They call wake, which must not block, once after each Arm.
func NewDescriptors(wake func()) (*Descriptors, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // else the runtime would not wait for it
		_ = unix.Close(fd) // nothing was done with it
		return nil, os.NewSyscallError("setnonblock", err)
	}
	d := &Descriptors{
		file: os.NewFile(uintptr(fd), "epoll"), wake: wake,
		arm: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	if d.raw, err = d.file.SyscallConn(); err != nil {
		_ = d.file.Close()
		return nil, err
	}
	go d.watch()
	return d, nil
}

// watch calls wake once a descriptor is ready, each time it is asked to.
func (d *Descriptors) watch() {
	defer close(d.done)
	for {
		select {
		case <-d.arm:
		case <-d.quit:
			return
		}
		if err := d.raw.Read(anyReady); err != nil {
			return // closed
		}
		select {
		case <-d.arm: // came meanwhile, and is answered along with the first
		default:
		}
		d.wake()
	}
}

// anyReady tells whether a descriptor of this epoll instance is ready.
func anyReady(fd uintptr) bool {
	var one [1]unix.EpollEvent
	return pollNow(int(fd), one[:]) > 0
}

// pollNow looks without waiting.
func pollNow(fd int, events []unix.EpollEvent) int {
	for {
		n, err := unix.EpollWait(fd, events, 0)
		if err != unix.EINTR {
			return max(0, n)
		}
	}
}

// Arm asks for wake to be called as soon as something is ready, or at once.
func (d *Descriptors) Arm() {
	select {
	case d.arm <- struct{}{}:
	default:
	}
}

// Add begins to wait until fd can be read, written, or has failed, which is
// waited for always. An error that is EPERM says that fd is always ready, as
// regular files are.
func (d *Descriptors) Add(fd int, id uint64, in, out bool) error {
	return d.control(unix.EPOLL_CTL_ADD, fd, id, in, out)
}

// Modify changes what is waited for.
func (d *Descriptors) Modify(fd int, id uint64, in, out bool) error {
	return d.control(unix.EPOLL_CTL_MOD, fd, id, in, out)
}

// Remove ends the waiting for fd.
func (d *Descriptors) Remove(fd int) error {
	return d.control(unix.EPOLL_CTL_DEL, fd, 0, false, false)
}

func (d *Descriptors) control(op, fd int, id uint64, in, out bool) error {
	e := unix.EpollEvent{Fd: int32(id), Pad: int32(id >> 32)} // the kernel gives these 64 bits back
	if in {
		e.Events |= unix.EPOLLIN | unix.EPOLLRDHUP
	}
	if out {
		e.Events |= unix.EPOLLOUT
	}
	var err error
	if cerr := d.raw.Control(func(epfd uintptr) { err = unix.EpollCtl(int(epfd), op, fd, &e) }); cerr != nil {
		return cerr
	}
	return os.NewSyscallError("epoll_ctl", err)
}

// Close ends the goroutine. What is waited for stays open.
func (d *Descriptors) Close() error {
	close(d.quit)
	err := d.file.Close()
	<-d.done
	return err
}

// maxLook is how many descriptors one look finds.
const maxLook = 64

// A Look finds out which descriptors are ready. The zero value is ready for
// use, by one goroutine at a time; it allocates only once.
type Look struct {
	events [maxLook]unix.EpollEvent
	most   int
	n      int
	found  [maxLook]DescriptorReady
	call   func(fd uintptr)
}

// At finds up to most descriptors of d that are ready. What it returns is valid
// until the next call; it is nothing if d was closed.
func (l *Look) At(d *Descriptors, most int) []DescriptorReady {
	if l.call == nil {
		l.call = func(fd uintptr) { l.n = pollNow(int(fd), l.events[:l.most]) }
	}
	l.most, l.n = min(most, maxLook), 0
	if err := d.raw.Control(l.call); err != nil {
		return nil
	}
	for i, e := range l.events[:l.n] {
		over := e.Events&(unix.EPOLLERR|unix.EPOLLHUP) != 0
		l.found[i] = DescriptorReady{
			ID:  uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32,
			In:  over || e.Events&(unix.EPOLLIN|unix.EPOLLRDHUP) != 0,
			Out: over || e.Events&unix.EPOLLOUT != 0,
			Err: over,
		}
	}
	return l.found[:l.n]
}
