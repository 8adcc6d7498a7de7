package udpio

import (
	"fmt"
	"net"
	"net/netip"
)

// MaxRead is the size of a read buffer that holds whatever can come: the longest UDP payload, or the longest
// run the kernel merges.
const MaxRead = 1 << 16

// Message is one datagram, or a run of equal-sized datagrams with one address, of which the last may be shorter.
type Message struct {
	// Addr is the source on read and the destination on write. An IPv4 address is plain, never v4-mapped; a
	// link-local IPv6 address carries its zone.
	Addr netip.AddrPort

	// Buf holds the bytes. A read fills it up to its capacity (not its length, so that a message can be
	// reused as it is) and reslices it to what came. Slices cut from one slab need a capacity of their own.
	Buf []byte

	// Segment is the size in bytes of each datagram but the last. Zero, or a value not below len(Buf), means
	// one datagram.
	Segment int
}

// Datagrams returns how many datagrams the message carries.
func (m *Message) Datagrams() int { return datagrams(len(m.Buf), m.Segment) }

func datagrams(length, segment int) int {
	if segment <= 0 || segment >= length {
		return 1
	}
	return (length + segment - 1) / segment
}

// Socket is an unconnected UDP socket that works in batches.
type Socket interface {
	// ReadBatch blocks until at least one message is there, fills up to len(ms) of them and returns how many.
	// It returns net.ErrClosed after Close. Errors that ICMP or a short memory leave behind are swallowed.
	//
	// Where Info.GRO is true a buffer below MaxRead may be too small for a run; whole datagrams that do not
	// fit are dropped and counted in Info.Drops. A single datagram is cut to the buffer, as recvfrom does.
	ReadBatch(ms []Message) (int, error)

	// WriteBatch sends all messages, in order. What the kernel refuses is counted in Info.SendErrors and
	// otherwise treated as lost; a full socket buffer is waited for. It returns an error only when the socket
	// is closed (net.ErrClosed) or unusable. It is safe for concurrent callers and holds no reference to a
	// Buf once it has returned.
	WriteBatch(ms []Message) error

	// LocalAddr is the bound address; the port is never 0.
	LocalAddr() netip.AddrPort

	// Info tells what the socket can do and what it has counted. It makes no system call.
	Info() Info

	// Close releases the socket and unblocks ReadBatch and WriteBatch.
	Close() error
}

// Info is a snapshot of a socket's capabilities and counters.
type Info struct {
	GSO   bool // a run leaves in one piece; turns false when the kernel refuses
	GRO   bool // a run may come in one piece
	Batch bool // recvmmsg and sendmmsg are in use

	MaxSegments int // most datagrams worth putting in one written Message; 1 without GSO

	ReadBuffer  int // receive buffer granted by the kernel, bytes; 0 unknown
	WriteBuffer int // send buffer granted by the kernel, bytes; 0 unknown

	Drops      uint64 // datagrams dropped on this side for lack of room; a merged run may count once
	SendErrors uint64 // datagrams the kernel refused
}

// Config is what to ask of the kernel. Zero values leave its defaults.
type Config struct {
	ReadBuffer  int // wished receive buffer, bytes
	WriteBuffer int // wished send buffer, bytes
}

// Listen opens a socket bound to addr; port 0 picks one. An IPv4 address gives an IPv4 socket. The unspecified
// IPv6 address, or the zero Addr, gives a dual-stack socket, or an IPv4 one where the system has no IPv6. Any
// other IPv6 address gives an IPv6 socket. Errors are those of net.ListenUDP.
func Listen(addr netip.AddrPort, cfg Config) (Socket, error) {
	c, err := listenUDP(addr)
	if err != nil {
		return nil, err
	}
	s, err := FromConn(c, cfg)
	if err != nil {
		return nil, closeAfter(c, err)
	}
	return s, nil
}

// FromConn takes over an existing UDP socket, which the caller must not use afterwards. On error the caller
// keeps it.
func FromConn(c *net.UDPConn, cfg Config) (Socket, error) {
	s, err := open(c, cfg)
	if err != nil {
		return nil, fmt.Errorf("udpio: setting up %v: %w", c.LocalAddr(), err)
	}
	return s, nil
}

func listenUDP(addr netip.AddrPort) (*net.UDPConn, error) {
	ip, port := addr.Addr().Unmap(), addr.Port()
	switch {
	case ip.Is4():
		return net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, port)))
	case ip.IsValid() && !ip.IsUnspecified():
		return net.ListenUDP("udp6", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, port)))
	}
	any6 := netip.AddrPortFrom(netip.IPv6Unspecified(), port)
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(any6))
	if err != nil && isNoFamily(err) {
		any4 := netip.AddrPortFrom(netip.IPv4Unspecified(), port)
		return net.ListenUDP("udp4", net.UDPAddrFromAddrPort(any4))
	}
	return c, err
}

// closeAfter closes c because of err, which stays the error that matters.
func closeAfter(c *net.UDPConn, err error) error {
	if cerr := c.Close(); cerr != nil {
		return fmt.Errorf("%w (and closing it: %w)", err, cerr)
	}
	return err
}

// localAddr is the bound address of c in the form Message.Addr uses.
func localAddr(c *net.UDPConn) netip.AddrPort {
	ua, ok := c.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return unmap(ua.AddrPort())
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
