package simnet

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/udtcp/udtcp/internal/udt/udpio"
)

const (
	defaultReceiveQueue = 4 << 20
	firstPickedPort     = 49152 // the dynamic range of RFC 6335
)

// HostConfig is what the sockets of a host can do. The zero value is a socket without offloads.
type HostConfig struct {
	// GSO makes sockets say that they take runs. They do in any case; the link sees datagrams.
	GSO bool
	// GRO makes sockets merge datagrams of one size from one source, the last of which may be shorter, into a
	// run if they wait together.
	GRO bool
	// ReceiveQueue is how many bytes, headers included, wait in a socket to be read; more are dropped and
	// counted. 0 for 4 MiB.
	ReceiveQueue int
}

// Host is an address with sockets.
type Host struct {
	n    *Network
	addr netip.Addr

	// Guarded by the network's lock.
	cfg      HostConfig
	links    map[*Host]*hop
	sockets  map[uint16]*socket
	lastPort uint16
}

// hop is a link and when it was put in.
type hop struct {
	link  *Link
	since int64
}

func newHost(n *Network, addr netip.Addr) *Host {
	return &Host{
		n: n, addr: addr,
		links:    make(map[*Host]*hop),
		sockets:  make(map[uint16]*socket),
		lastPort: firstPickedPort - 1,
	}
}

// Addr returns the host's address.
func (h *Host) Addr() netip.Addr { return h.addr }

// Configure sets what sockets opened from now on can do, and returns the host.
func (h *Host) Configure(cfg HostConfig) *Host {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	h.cfg = cfg
	return h
}

// Listen opens a socket on a port, 0 to pick one. It fails with EADDRINUSE if the port is taken, and with
// net.ErrClosed once the network is closed.
func (h *Host) Listen(port uint16) (udpio.Socket, error) {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	if h.n.closed {
		return nil, net.ErrClosed
	}
	if port == 0 {
		port = h.pick()
	}
	if port == 0 || h.sockets[port] != nil {
		return nil, fmt.Errorf("simnet: listening on %v: %w", netip.AddrPortFrom(h.addr, port), syscall.EADDRINUSE)
	}
	s := newSocket(h, port)
	h.sockets[port] = s
	if h.n.alarm != nil {
		return preciseSocket{s}, nil
	}
	return s, nil
}

// pick returns a free port, or 0 if there is none. It does not return to a port soon.
func (h *Host) pick() uint16 {
	for range 1<<16 - firstPickedPort {
		if h.lastPort++; h.lastPort < firstPickedPort {
			h.lastPort = firstPickedPort
		}
		if h.sockets[h.lastPort] == nil {
			return h.lastPort
		}
	}
	return 0
}

// send puts one datagram on its way and tells whether there was one. The network's lock is held.
func (h *Host) send(now int64, from, to netip.AddrPort, b []byte) bool {
	dst := h.n.hosts[to.Addr().Unmap()]
	if dst == nil || to.Port() == 0 || len(b) > maxPayload {
		return false
	}
	p := packet{from: from, to: dst, port: to.Port()}
	if dst == h {
		p.buf = append([]byte(nil), b...)
		h.n.under.add(now, p)
		return true
	}
	hop := h.links[dst]
	if hop == nil {
		return false
	}
	h.n.scratch = hop.link.Send(now-hop.since, b, h.n.scratch[:0])
	for i := range h.n.scratch {
		d := &h.n.scratch[i]
		p.buf = d.Buf
		h.n.under.add(hop.since+d.At, p)
		d.Buf = nil
	}
	return true
}
