package udpio

import "golang.org/x/sys/unix"

// enableGRO asks the kernel to hand over runs in one piece (Linux 5.0). Each message that is a run then comes
// with a UDP_GRO control message that carries its segment size.
func enableGRO(fd int) bool {
	return unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1) == nil
}
