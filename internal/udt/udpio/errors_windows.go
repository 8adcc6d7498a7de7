package udpio

import (
	"errors"

	"golang.org/x/sys/windows"
)

// isTransient tells errors of a read that say nothing about the socket: Windows reports ICMP's port
// unreachable and expired TTL on the next read of any UDP socket.
func isTransient(err error) bool {
	for _, e := range []error{
		windows.WSAECONNRESET, windows.WSAENETRESET, windows.WSAECONNREFUSED, windows.WSAEHOSTUNREACH,
		windows.WSAENETUNREACH, windows.WSAENETDOWN, windows.WSAENOBUFS, windows.WSAEINTR,
		windows.ERROR_PORT_UNREACHABLE, windows.ERROR_NETWORK_UNREACHABLE, windows.ERROR_HOST_UNREACHABLE,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// isFatal tells errors of a write after which no write can succeed.
func isFatal(err error) bool {
	return errors.Is(err, windows.WSAENOTSOCK) || errors.Is(err, windows.WSAEBADF) ||
		errors.Is(err, windows.ERROR_INVALID_HANDLE)
}

// isWorthRetry tells errors of a write that the very next try may not meet.
func isWorthRetry(err error) bool {
	return errors.Is(err, windows.WSAECONNRESET) || errors.Is(err, windows.WSAECONNREFUSED)
}

// isTooLong tells a read whose datagram did not fit.
func isTooLong(err error) bool {
	return errors.Is(err, windows.WSAEMSGSIZE) || errors.Is(err, windows.ERROR_MORE_DATA)
}

// isNoFamily tells a listen that failed because the system has no IPv6.
func isNoFamily(err error) bool {
	return errors.Is(err, windows.WSAEAFNOSUPPORT) || errors.Is(err, windows.WSAEADDRNOTAVAIL)
}
