package udpio

import (
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// features is what a socket turned out to be able to do.
type features struct {
	family   int // AF_INET or AF_INET6
	granted  granted
	mmsg     bool
	gso, gro bool
}

// open tunes the socket and picks the implementation.
func open(c *net.UDPConn, cfg Config) (Socket, error) {
	rc, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	f, err := setUp(rc, cfg)
	if err != nil {
		return nil, err
	}
	if !f.mmsg {
		return newPlain(c, f.granted), nil
	}
	return newBatch(c, rc, f), nil
}

func setUp(rc syscall.RawConn, cfg Config) (f features, err error) {
	cerr := rc.Control(func(fd uintptr) { f, err = setUpFD(int(fd), cfg) })
	if cerr != nil {
		return f, cerr
	}
	return f, err
}

func setUpFD(fd int, cfg Config) (f features, err error) {
	if f.family, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil {
		return f, err
	}
	if f.granted, err = setBuffers(fd, cfg); err != nil {
		return f, err
	}
	if err = allowFragments(fd, f.family); err != nil {
		return f, err
	}
	if f.mmsg = !switchedOff(envNoMMsg) && haveMMsg(fd); !f.mmsg {
		return f, nil // the portable path can neither send nor read runs
	}
	if err = reportDrops(fd); err != nil {
		return f, err
	}
	f.gso = !switchedOff(envNoGSO) && haveGSO(fd)
	f.gro = !switchedOff(envNoGRO) && enableGRO(fd)
	return f, nil
}

// switchedOff tells whether the environment turns a feature off.
func switchedOff(name string) bool {
	v := os.Getenv(name)
	return v != "" && v != "0"
}
