//go:build unix

package udpio

import (
	"errors"
	"syscall"
)

// isTransient tells errors of a read that say nothing about the socket: what ICMP reported about an earlier
// datagram, or a kernel short of memory.
func isTransient(err error) bool {
	var e syscall.Errno
	if !errors.As(err, &e) {
		return false
	}
	switch e {
	case syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EHOSTUNREACH, syscall.EHOSTDOWN,
		syscall.ENETUNREACH, syscall.ENETDOWN, syscall.ENETRESET, syscall.ENOPROTOOPT, syscall.EPROTO,
		syscall.EOPNOTSUPP, syscall.EMSGSIZE, syscall.EACCES, syscall.EPERM, syscall.EINTR, syscall.EAGAIN,
		syscall.ENOBUFS, syscall.ENOMEM, syscall.ETIMEDOUT:
		return true
	}
	return false
}

// isFatal tells errors of a write after which no write can succeed.
func isFatal(err error) bool {
	var e syscall.Errno
	if !errors.As(err, &e) {
		return false
	}
	return e == syscall.EBADF || e == syscall.ENOTSOCK || e == syscall.EPIPE
}

// isWorthRetry tells errors of a write that the very next try may not meet.
func isWorthRetry(err error) bool {
	var e syscall.Errno
	if !errors.As(err, &e) {
		return false
	}
	return e == syscall.EPERM || e == syscall.ECONNREFUSED || e == syscall.EINTR
}

// isTooLong tells a read whose datagram did not fit; these systems cut it without a word.
func isTooLong(error) bool { return false }

// isNoFamily tells a listen that failed because the system has no IPv6.
func isNoFamily(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) ||
		errors.Is(err, syscall.EPROTONOSUPPORT)
}
