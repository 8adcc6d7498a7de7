package udpio

import "golang.org/x/sys/unix"

// isGSORefusal tells errors by which a kernel or device says that it cannot segment: EIO without checksum
// offload, EINVAL and EOPNOTSUPP from kernels and sandboxes that do not know how.
func isGSORefusal(e unix.Errno) bool {
	return e == unix.EIO || e == unix.EINVAL || e == unix.EOPNOTSUPP
}

// unlessUnsupported drops errors by which a kernel or sandbox says that it lacks a socket option or keeps it
// for the privileged; the socket works without. Other errors mean that the socket is no good.
func unlessUnsupported(err error) error {
	switch err {
	case unix.ENOPROTOOPT, unix.EOPNOTSUPP, unix.EINVAL, unix.EPERM, unix.EACCES, unix.ENOSYS:
		return nil
	}
	return err
}
