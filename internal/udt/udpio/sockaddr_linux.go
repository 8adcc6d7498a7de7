package udpio

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// interfaceZones is shared: interfaces are the machine's, not a socket's.
var interfaceZones zones

// putAddr writes a as a kernel address for a socket of the given family and returns its length, or 0 if such
// a socket cannot send there. IPv4 is v4-mapped on IPv6 sockets (RFC 3493, 3.7).
func putAddr(sa *unix.RawSockaddrInet6, family int, a netip.AddrPort) uint32 {
	ip := a.Addr()
	if !ip.IsValid() {
		return 0
	}
	if family == unix.AF_INET {
		if ip = ip.Unmap(); !ip.Is4() {
			return 0
		}
		sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		*sa4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: networkOrder(a.Port()), Addr: ip.As4()}
		return unix.SizeofSockaddrInet4
	}
	*sa = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: networkOrder(a.Port()), Addr: ip.As16()}
	if zone := ip.Zone(); zone != "" {
		sa.Scope_id = interfaceZones.id(zone)
	}
	return unix.SizeofSockaddrInet6
}

// getAddr reads a kernel address; IPv4 comes out plain.
func getAddr(sa *unix.RawSockaddrInet6) netip.AddrPort {
	switch sa.Family {
	case unix.AF_INET:
		sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(sa4.Addr), networkOrder(sa4.Port))
	case unix.AF_INET6:
		ip := netip.AddrFrom16(sa.Addr).Unmap()
		if sa.Scope_id != 0 && ip.Is6() {
			ip = interfaceZones.with(ip, sa.Scope_id)
		}
		return netip.AddrPortFrom(ip, networkOrder(sa.Port))
	}
	return netip.AddrPort{}
}

// networkOrder turns a port from host to network order or back.
func networkOrder(p uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], p)
	return binary.NativeEndian.Uint16(b[:])
}
