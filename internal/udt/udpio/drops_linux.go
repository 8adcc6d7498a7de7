package udpio

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// reportDrops asks the kernel to send along, with the datagrams that follow a drop, how many it has dropped.
func reportDrops(fd int) error {
	return unlessUnsupported(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1))
}

// dropCounter widens the kernel's 32-bit count and adds what was dropped on our own side of the call.
type dropCounter struct {
	kernel uint32 // last count seen; owned by the reader
	total  atomic.Uint64
}

// seen takes the kernel's running count, which wraps.
func (d *dropCounter) seen(kernel uint32) {
	if kernel != d.kernel {
		d.total.Add(uint64(kernel - d.kernel))
		d.kernel = kernel
	}
}
