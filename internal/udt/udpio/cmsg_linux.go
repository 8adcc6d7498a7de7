package udpio

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// ancillary is what the control messages of one received message say.
type ancillary struct {
	segment  int // UDP_GRO: size of each datagram but the last; 0 when not a run
	drops    uint32
	hasDrops bool
}

// parse walks the first n bytes of c. Control messages that are not ours are skipped.
func (c *control) parse(n int) (a ancillary) {
	b := unsafe.Slice((*byte)(unsafe.Pointer(c)), controlSize)[:min(n, controlSize)]
	for len(b) >= unix.CmsgLen(0) {
		h := (*unix.Cmsghdr)(unsafe.Pointer(unsafe.SliceData(b)))
		size := int(h.Len)
		if size < unix.CmsgLen(0) || size > len(b) {
			return a
		}
		if size >= unix.CmsgLen(4) {
			v := *(*uint32)(unsafe.Pointer(&b[unix.CmsgLen(0)]))
			switch {
			case h.Level == unix.SOL_UDP && h.Type == unix.UDP_GRO:
				a.segment = int(v)
			case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL:
				a.drops, a.hasDrops = v, true
			}
		}
		b = b[min(unix.CmsgSpace(size-unix.CmsgLen(0)), len(b)):]
	}
	return a
}
