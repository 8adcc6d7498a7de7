package udpio

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr of recvmmsg(2): a message header and the bytes it moved.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// control holds the control messages of one message; in words, to be aligned like a Cmsghdr. On reads there
// is room for ours and for some that the former owner of a socket may have asked for.
type control [16]uint64

const controlSize = int(unsafe.Sizeof(control{}))

// slots is an array of message headers, each tied to its own address, control buffer and single iovec.
type slots struct {
	hdrs  []mmsghdr
	iovs  []unix.Iovec
	names []unix.RawSockaddrInet6 // large enough for IPv4 too
	ctrls []control
}

func newSlots(n int) *slots {
	s := &slots{
		hdrs:  make([]mmsghdr, n),
		iovs:  make([]unix.Iovec, n),
		names: make([]unix.RawSockaddrInet6, n),
		ctrls: make([]control, n),
	}
	for i := range s.hdrs {
		h := &s.hdrs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&s.names[i]))
		h.Control = (*byte)(unsafe.Pointer(&s.ctrls[i]))
		h.Iov = &s.iovs[i]
		h.SetIovlen(1)
	}
	return s
}

// setBuf points slot i at b. The slot keeps b alive until it is set again.
func (s *slots) setBuf(i int, b []byte) {
	s.iovs[i].Base = unsafe.SliceData(b)
	s.iovs[i].SetLen(len(b))
}

// haveMMsg tells whether the system calls exist and are allowed: a call for no messages does nothing.
func haveMMsg(fd int) bool {
	s := newSlots(1)
	for _, call := range []func(uintptr, []mmsghdr) (int, unix.Errno){sendmmsg, recvmmsg} {
		if _, e := call(uintptr(fd), s.hdrs[:0:1]); e == unix.ENOSYS || e == unix.EPERM {
			return false
		}
	}
	return true
}

// recvmmsg receives without waiting. With MSG_TRUNC the lengths are those of the datagrams, also where the
// buffer was shorter.
func recvmmsg(fd uintptr, h []mmsghdr) (int, unix.Errno) {
	return mmsg(unix.SYS_RECVMMSG, fd, h, unix.MSG_DONTWAIT|unix.MSG_TRUNC)
}

// sendmmsg sends without waiting, up to the first message that fails; an error is of the first message.
func sendmmsg(fd uintptr, h []mmsghdr) (int, unix.Errno) {
	return mmsg(unix.SYS_SENDMMSG, fd, h, unix.MSG_DONTWAIT)
}

func mmsg(trap, fd uintptr, h []mmsghdr, flags uintptr) (int, unix.Errno) {
	for {
		n, _, e := unix.Syscall6(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(h))), uintptr(len(h)), flags, 0, 0)
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return 0, e
		}
		return int(n), 0
	}
}
