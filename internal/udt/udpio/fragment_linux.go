package udpio

import "golang.org/x/sys/unix"

// allowFragments clears the "don't fragment" bit, so that a datagram above the MTU of the path is slow instead
// of lost. UDT peers agree on a packet size without probing the path.
func allowFragments(fd, family int) error {
	if family == unix.AF_INET6 {
		err := unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT)
		if unlessUnsupported(err) != nil {
			return err
		}
	}
	// On a dual-stack socket this one governs IPv4.
	return unlessUnsupported(unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT))
}
