package udpio

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxSegments is the most datagrams one UDP_SEGMENT send may carry: UDP_MAX_SEGMENTS of the kernels that have
// the option. Newer ones take 128, which matters only to packets below 1 KiB.
const maxSegments = 64

// haveGSO tells whether the kernel knows UDP_SEGMENT (Linux 4.18). Whether the route's device can do it shows
// only when a run is sent.
func haveGSO(fd int) bool {
	_, err := unix.GetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT)
	return err == nil
}

// putSegment makes c ask for segments of the given size and returns its length; 0 and no request for segment 0.
func (c *control) putSegment(segment int) int {
	if segment == 0 {
		return 0
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(c))
	h.Level, h.Type = unix.SOL_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	*(*uint16)(unsafe.Add(unsafe.Pointer(c), unix.CmsgLen(0))) = uint16(segment)
	return unix.CmsgSpace(2)
}
