package cli

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// This file is all that the commands know of the engine below. link_udt.go fills it with UDT; tests fill it with
// connections in memory.

// link is one connection. Close waits until what was written is acknowledged. Leave repeats a few last words instead,
// which only spare the other end a wait. Abort does neither.
type link interface {
	net.Conn
	Leave() error
	Abort() error
	// Stats gives the counters; clear starts a new interval for those that count by interval.
	Stats(clear bool) stats
	// Silence is how long nothing has come from the other end.
	Silence() time.Duration
	// Unacknowledged is how many packets were written and are not acknowledged.
	Unacknowledged() int
	// MSS is the packet size both ends agreed on, bytes.
	MSS() int
	// CongestionControl names what decides on the rate.
	CongestionControl() string
	// SocketBuffers tells how large the kernel's buffers are.
	SocketBuffers() socketBuffers
	// OpenWindow says that the other end is known, and ends linkOptions.firstWindow.
	OpenWindow()
	// A link may be an io.ReaderFrom and an io.WriterTo as well.
}

// vectorReader is a source that a link's ReadFrom reads straight into its packets.
type vectorReader interface {
	ReadVector(bufs [][]byte) (int, error)
}

// vectorWriter is a sink that a link's WriteTo writes several packets to at once.
type vectorWriter interface {
	WriteVector(bufs [][]byte) (int, error)
}

// listener takes connections.
type listener interface {
	// TryAccept does not wait: its error is syscall.EAGAIN if nobody is there, net.ErrClosed after Close.
	TryAccept() (link, error)
	Addr() net.Addr
	Close() error // stops accepting; what was accepted lives on
}

// poller waits for several things at once.
type poller interface {
	// Add begins to wait for what can be done with a listener, a link or standard input. An error says that this thing
	// cannot be waited for, here or at all.
	Add(what any, interest pollEvents) error
	// Wait gives what can be done at once, or an error when ctx has ended.
	Wait(ctx context.Context, events []pollEvent) (int, error)
	Close() error
}

// network makes links, listeners and what waits for them.
type network interface {
	// Dial connects to one address. local may be "", HOST:PORT with an empty host or port 0.
	Dial(ctx context.Context, local string, remote netip.AddrPort, o linkOptions) (link, error)
	// Listen waits at HOST:PORT. family is "udp", "udp4" or "udp6".
	Listen(family, local string, o linkOptions) (listener, error)
	Poller() poller
}

// errOtherType: who is dialled takes messages and we a stream, or the other way round.
var errOtherType = errors.New("the other end has another type of socket")

// linkOptions are the settings of a connection in units of the command line.
type linkOptions struct {
	mss            int     // bytes; 0 is the engine's default
	window         int64   // bytes
	firstWindow    int64   // most bytes kept of the other end until link.OpenWindow; 0 is no such limit
	cc             ccValue // congestion control
	bandwidth      float64 // most to send, bytes a second; 0 is no limit
	connectTimeout time.Duration
	peerTimeout    time.Duration // how long a silent peer is waited for
	linger         time.Duration // how long Close waits for acknowledgements
	rendezvous     bool          // who is dialled dials as well, within connectTimeout; local has a port then
	datagram       bool          // messages, not a stream: the link is a messenger
	trace          func(event string)
}
