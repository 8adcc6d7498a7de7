package udpio

import "golang.org/x/sys/unix"

// setBuffers asks for the wished buffers and reads back what was granted. SO_RCVBUFFORCE passes the limits of
// net.core.rmem_max but wants CAP_NET_ADMIN; SO_RCVBUF grants at most the limit, without an error.
func setBuffers(fd int, cfg Config) (g granted, err error) {
	if g.read, err = setBuffer(fd, cfg.ReadBuffer, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF); err != nil {
		return g, err
	}
	g.write, err = setBuffer(fd, cfg.WriteBuffer, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF)
	return g, err
}

func setBuffer(fd, wish, force, plain int) (int, error) {
	if wish > 0 && unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, wish) != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, wish); unlessUnsupported(err) != nil {
			return 0, err
		}
	}
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, plain)
	return n / 2, unlessUnsupported(err) // the kernel doubles what it grants, for its own bookkeeping (socket(7))
}
