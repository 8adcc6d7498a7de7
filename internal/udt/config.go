package udt

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/udtcp/udtcp/internal/udt/proto"
	"github.com/udtcp/udtcp/internal/udt/udpio"
)

// Defaults of Config. Libudt's windows are 12 MB and its silent peers are lost
// after 46 s; the rest are its own.
const (
	DefaultMSS            = 1500
	DefaultWindow         = 256 << 20
	DefaultConnectTimeout = 10 * time.Second
	DefaultMeetingTimeout = 30 * time.Second
	DefaultPeerTimeout    = 30 * time.Second
	DefaultLinger         = 180 * time.Second
	DefaultBacklog        = 128
	DefaultSocketBuffer   = 8 << 20
)

// ipv6Extra is how much longer an IPv6 header is than the IPv4 header that
// UDT reckons with.
const ipv6Extra = 20

// SocketType is what a connection carries.
type SocketType = proto.SocketType

// Socket types.
const (
	Stream   = proto.Stream
	Datagram = proto.Datagram // messages: see Conn.WriteMessage
)

// Config is how connections are to be: UDT's socket options. The zero value is
// all defaults. Which field may be changed when is told at Endpoint.DialWith,
// Endpoint.ListenWith and Conn.Configure; SNDTIMEO and RCVTIMEO are deadlines,
// the non-blocking modes Conn.TryRead, Conn.TryWrite, Listener.TryAccept and
// Endpoint.StartDial, and sockets share a port (REUSEADDR) by being on one
// Endpoint.
type Config struct {
	// Type is what connections carry: Stream if zero, or Datagram, messages.
	// Both ends' must be the same.
	Type SocketType
	// MSS is the most bytes of an IP packet, headers included (UDT_MSS), 96 to
	// 65535; 1500 if zero. The smaller of both ends' counts.
	MSS int
	// Window is the most bytes in flight and in each buffer; memory follows
	// use. 256 MiB if zero.
	Window int
	// SendBuffer and ReceiveBuffer are the bytes of each buffer (UDT_SNDBUF,
	// UDT_RCVBUF), counted in whole packets and at least 32 of them; Window if
	// zero.
	SendBuffer, ReceiveBuffer int
	// FlowWindow is the most packets that the peer may have in flight (UDT_FC),
	// at least 32; as many as ReceiveBuffer holds if zero. It bounds
	// ReceiveBuffer.
	FlowWindow int
	// FirstWindow is the most bytes kept of a peer that nobody knows yet, in
	// whole packets and at least 8 of them: as much as ReceiveBuffer only from
	// Conn.OpenWindow on. No such limit if zero.
	FirstWindow int
	// NewController makes the congestion controller of each connection's
	// sender (UDT_CC); BBR if nil.
	NewController func() Controller
	// MaxBandwidth is the most to send, in bytes/s with headers (UDT_MAXBW);
	// no limit if zero or negative.
	MaxBandwidth float64
	// ConnectTimeout bounds Dial, and how long Rendezvous waits for the peer to
	// dial as well; 10 s and 30 s if zero.
	ConnectTimeout time.Duration
	// EarlyData lets Dial return a round trip sooner where the listener is an end
	// of ours: when that has said that it is there, and before it has let this end
	// in. What is written meanwhile goes along. Should the listener refuse, reading
	// and writing say so; ConnectTimeout holds for them, too.
	EarlyData bool
	// PeerTimeout is how long a peer may be silent before the connection
	// counts as lost; 30 s if zero.
	PeerTimeout time.Duration
	// Linger is how long Close delivers what was written (UDT_LINGER); 180 s
	// if zero, not at all if negative.
	Linger time.Duration
	// UserPackets is how many user-defined control packets wait to be taken
	// from Conn.UserPackets; none are kept if zero.
	UserPackets int
	// IgnorePeerErrors leaves a peer's error report (packet type 8) unheard,
	// which otherwise fails a Write. Nothing proves that the peer has sent it;
	// who tells of failures in the stream itself does better without.
	IgnorePeerErrors bool
	// Backlog is how many connections may wait for Accept; 128 if zero.
	Backlog int
	// ReadBuffer and WriteBuffer are the kernel's buffers to ask for
	// (UDP_RCVBUF, UDP_SNDBUF), in bytes; 8 MiB if zero.
	ReadBuffer, WriteBuffer int
	// Trace, if set, is told of protocol events of connections, for people.
	Trace func(event string)

	meetingTimeout time.Duration // ConnectTimeout of Rendezvous

	isn func() uint32 // replaces the random initial sequence number in tests
}

// withDefaults returns c with nothing left open.
func (c Config) withDefaults() Config {
	set(&c.Type, Stream)
	set(&c.MSS, DefaultMSS)
	set(&c.Window, DefaultWindow)
	set(&c.SendBuffer, c.Window)
	set(&c.ReceiveBuffer, c.Window)
	set(&c.meetingTimeout, cmp.Or(c.ConnectTimeout, DefaultMeetingTimeout))
	set(&c.ConnectTimeout, DefaultConnectTimeout)
	set(&c.PeerTimeout, DefaultPeerTimeout)
	set(&c.Linger, DefaultLinger)
	set(&c.Backlog, DefaultBacklog)
	set(&c.ReadBuffer, DefaultSocketBuffer)
	set(&c.WriteBuffer, DefaultSocketBuffer)
	if c.NewController == nil {
		c.NewController = func() proto.Controller { return proto.NewBBR() }
	}
	return c
}

func set[T int | time.Duration | SocketType](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// check refuses what can't work.
func (c Config) check() error {
	if c.Type != Stream && c.Type != Datagram {
		return fmt.Errorf("socket type %d: must be %d or %d", c.Type, Stream, Datagram)
	}
	if c.MSS < proto.MinMSS+ipv6Extra || c.MSS > proto.MaxMSS {
		return fmt.Errorf("packet size %d: must be %d to %d bytes", c.MSS, proto.MinMSS+ipv6Extra, proto.MaxMSS)
	}
	for _, w := range []int{c.Window, c.SendBuffer, c.ReceiveBuffer} {
		if w < minWindow || w > maxWindow {
			return fmt.Errorf("window %d: must be %d to %d bytes", w, minWindow, maxWindow)
		}
	}
	if c.FlowWindow < 0 || c.FirstWindow < 0 {
		return errors.New("windows must not be negative")
	}
	if c.ConnectTimeout < 0 || c.PeerTimeout < 0 {
		return errors.New("timeouts must not be negative")
	}
	if c.UserPackets < 0 || c.UserPackets > maxUserPackets {
		return fmt.Errorf("user packets %d: must be 0 to %d", c.UserPackets, maxUserPackets)
	}
	if c.Backlog < 0 || c.ReadBuffer < 0 || c.WriteBuffer < 0 {
		return errors.New("backlog and socket buffers must not be negative")
	}
	if math.IsNaN(c.MaxBandwidth) {
		return errors.New("bandwidth: not a number")
	}
	return nil
}

// Bounds of Config.Window, SendBuffer and ReceiveBuffer in bytes.
const (
	minWindow = 4096
	maxWindow = 16 << 30
	// minFlight is libudt's least flight flag, in packets.
	minFlight = 32
	// minFirst is the least FirstWindow, in packets.
	minFirst = 8
	// maxUserPackets bounds Config.UserPackets.
	maxUserPackets = 1 << 16
)

func (c Config) socket() udpio.Config {
	return udpio.Config{ReadBuffer: c.ReadBuffer, WriteBuffer: c.WriteBuffer}
}

// terms returns what connections to remote are granted at most.
func (c Config) terms(remote netip.Addr) proto.Terms {
	t := proto.Terms{MSS: c.MSS}
	if !remote.Is4() {
		t.MSS -= ipv6Extra
	}
	t.Window = max(minFlight, c.ReceiveBuffer/payloadOf(t.MSS))
	if c.FlowWindow > 0 {
		t.Window = min(t.Window, max(minFlight, c.FlowWindow))
	}
	return t
}

// payloadOf returns the payload bytes of a full packet.
func payloadOf(mss int) int { return mss - proto.IPUDPHeaders - proto.HeaderSize }

// proto returns the engine's configuration for a connection to remote.
func (c Config) proto(id uint32, remote netip.Addr) proto.Config {
	isn := randomUint32
	if c.isn != nil {
		isn = c.isn
	}
	t, first := c.terms(remote), 0
	payload := payloadOf(t.MSS)
	if c.FirstWindow > 0 {
		first = max(minFirst, c.FirstWindow/payload)
	}
	return proto.Config{
		Type:           c.Type,
		ID:             id,
		ISN:            proto.Seq(isn() & proto.SeqMask),
		MSS:            t.MSS,
		Window:         t.Window,
		FirstWindow:    first,
		SendWindow:     max(minFlight, c.SendBuffer/payload),
		MaxBandwidth:   c.MaxBandwidth,
		Controller:     c.NewController(),
		UserQueue:      c.UserPackets,
		EarlyData:      c.EarlyData,
		PeerTimeout:    c.PeerTimeout,
		ConnectTimeout: c.ConnectTimeout,
		PeerIP:         remote,
	}
}

// randomUint32 can't be predicted; crypto/rand doesn't fail.
func randomUint32() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:])
	return binary.BigEndian.Uint32(b[:])
}
