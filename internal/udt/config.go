package udt

import (
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
	DefaultPeerTimeout    = 30 * time.Second
	DefaultLinger         = 180 * time.Second
	DefaultBacklog        = 128
	DefaultSocketBuffer   = 8 << 20
)

// ipv6Extra is how much longer an IPv6 header is than the IPv4 header that
// UDT reckons with.
const ipv6Extra = 20

// Config is how connections are to be. The zero value is all defaults.
type Config struct {
	// MSS is the most bytes of an IP packet, headers included, 76 to 65535;
	// 1500 if zero. The smaller of both ends' counts.
	MSS int
	// Window is the most bytes in flight and in each buffer; memory follows
	// use. 256 MiB if zero.
	Window int
	// NewController makes the congestion controller of each connection's
	// sender; BBR if nil.
	NewController func() proto.Controller
	// MaxBandwidth is the most to send, in bytes/s with headers (UDT_MAXBW);
	// no limit if zero.
	MaxBandwidth float64
	// ConnectTimeout bounds Dial; 10 s if zero.
	ConnectTimeout time.Duration
	// PeerTimeout is how long a peer may be silent before the connection
	// counts as lost; 30 s if zero.
	PeerTimeout time.Duration
	// Linger is how long Close delivers what was written; 180 s if zero, not
	// at all if negative.
	Linger time.Duration
	// Backlog is how many connections may wait for Accept; 128 if zero.
	Backlog int
	// ReadBuffer and WriteBuffer are the kernel's buffers to ask for, in
	// bytes; 8 MiB if zero.
	ReadBuffer, WriteBuffer int
	// Trace, if set, is told of protocol events of connections, for people.
	Trace func(event string)

	isn func() uint32 // replaces the random initial sequence number in tests
}

// withDefaults returns c with nothing left open.
func (c Config) withDefaults() Config {
	set(&c.MSS, DefaultMSS)
	set(&c.Window, DefaultWindow)
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

func set[T int | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// check refuses what can't work.
func (c Config) check() error {
	if c.MSS < proto.MinMSS+ipv6Extra || c.MSS > proto.MaxMSS {
		return fmt.Errorf("packet size %d: must be %d to %d bytes", c.MSS, proto.MinMSS+ipv6Extra, proto.MaxMSS)
	}
	if c.Window < minWindow || c.Window > maxWindow {
		return fmt.Errorf("window %d: must be %d to %d bytes", c.Window, minWindow, maxWindow)
	}
	if c.ConnectTimeout < 0 || c.PeerTimeout < 0 {
		return errors.New("timeouts must not be negative")
	}
	if c.Backlog < 0 || c.ReadBuffer < 0 || c.WriteBuffer < 0 {
		return errors.New("backlog and socket buffers must not be negative")
	}
	if math.IsNaN(c.MaxBandwidth) {
		return errors.New("bandwidth: not a number")
	}
	return nil
}

// Bounds of Config.Window in bytes.
const (
	minWindow = 4096
	maxWindow = 16 << 30
	// minFlight is libudt's least flight flag, in packets.
	minFlight = 32
)

func (c Config) socket() udpio.Config {
	return udpio.Config{ReadBuffer: c.ReadBuffer, WriteBuffer: c.WriteBuffer}
}

// proto returns the engine's configuration for a connection to remote.
func (c Config) proto(id uint32, remote netip.Addr) proto.Config {
	mss := c.MSS
	if !remote.Is4() {
		mss -= ipv6Extra
	}
	isn := randomUint32
	if c.isn != nil {
		isn = c.isn
	}
	return proto.Config{
		Type:           proto.Stream,
		ID:             id,
		ISN:            proto.Seq(isn() & proto.SeqMask),
		MSS:            mss,
		Window:         max(minFlight, c.Window/(mss-proto.IPUDPHeaders-proto.HeaderSize)),
		MaxBandwidth:   c.MaxBandwidth,
		Controller:     c.NewController(),
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
