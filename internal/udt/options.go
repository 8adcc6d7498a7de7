package udt

import (
	"errors"
	"net"
)

var (
	errBound     = errors.New("the packet size and the UDP socket's buffers are chosen when it is opened")
	errConnected = errors.New("only the linger time and the bandwidth of a connection can be changed")
)

// over returns c with what is set in o in its place.
func (c Config) over(o Config) Config {
	take(&c.Type, o.Type)
	take(&c.MSS, o.MSS)
	take(&c.Window, o.Window)
	take(&c.SendBuffer, o.Window) // unless it is set itself
	take(&c.ReceiveBuffer, o.Window)
	take(&c.SendBuffer, o.SendBuffer)
	take(&c.ReceiveBuffer, o.ReceiveBuffer)
	take(&c.FlowWindow, o.FlowWindow)
	take(&c.FirstWindow, o.FirstWindow)
	take(&c.MaxBandwidth, o.MaxBandwidth)
	take(&c.ConnectTimeout, o.ConnectTimeout)
	take(&c.meetingTimeout, o.ConnectTimeout)
	take(&c.EarlyData, o.EarlyData)
	take(&c.PeerTimeout, o.PeerTimeout)
	take(&c.Linger, o.Linger)
	take(&c.UserPackets, o.UserPackets)
	take(&c.Backlog, o.Backlog)
	take(&c.ReadBuffer, o.ReadBuffer)
	take(&c.WriteBuffer, o.WriteBuffer)
	take(&c.IgnorePeerErrors, o.IgnorePeerErrors)
	if o.NewController != nil {
		c.NewController = o.NewController
	}
	if o.Trace != nil {
		c.Trace = o.Trace
	}
	if o.isn != nil {
		c.isn = o.isn
	}
	return c
}

func take[T comparable](v *T, o T) {
	var zero T
	if o != zero {
		*v = o
	}
}

// forConn returns the options of a connection or listener on a bound socket
// that wants those of o.
func (c Config) forConn(o Config) (cfg Config, code Code, err error) {
	cfg = c.over(o)
	if cfg.MSS != c.MSS || cfg.ReadBuffer != c.ReadBuffer || cfg.WriteBuffer != c.WriteBuffer {
		return cfg, EBOUNDSOCK, errBound
	}
	return cfg, EINVPARAM, cfg.check()
}

// Config returns the options of the connection, with nothing left open but
// NewController and Trace, which are functions.
func (c *Conn) Config() Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	cfg := c.cfg
	cfg.NewController, cfg.Trace, cfg.isn = nil, nil, nil
	return cfg
}

// Configure changes options of the connection to what is set in o: Linger and
// MaxBandwidth, at once and at any time. Others may be given as they are;
// changing them is EBOUNDSOCK for those of the UDP socket (MSS, ReadBuffer,
// WriteBuffer) and ECONNSOCK for the rest, and nothing is changed then.
func (c *Conn) Configure(o Config) error {
	select {
	case <-c.closing:
		return c.fail("configure", net.ErrClosed)
	default:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cfg, code, err := c.cfg.forConn(o)
	if err == nil && !sameUntilConnected(cfg, c.cfg) || o.NewController != nil || o.Trace != nil {
		code, err = ECONNSOCK, errConnected
	}
	if err != nil {
		return &Error{Code: code, Op: "configure", Addr: net.UDPAddrFromAddrPort(c.remote), Err: err}
	}
	c.cfg.Linger, c.cfg.MaxBandwidth = cfg.Linger, cfg.MaxBandwidth
	c.p.SetMaxBandwidth(cfg.MaxBandwidth)
	c.changed()
	return nil
}

// OpenWindow ends Config.FirstWindow: the peer is known now.
func (c *Conn) OpenWindow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.p.OpenWindow()
	c.changed()
}

// sameUntilConnected tells whether two are the same in what can't be changed
// once a connection is being made.
func sameUntilConnected(a, b Config) bool {
	return a.Type == b.Type && a.Window == b.Window && a.SendBuffer == b.SendBuffer && a.ReceiveBuffer == b.ReceiveBuffer &&
		a.FlowWindow == b.FlowWindow && a.FirstWindow == b.FirstWindow && a.ConnectTimeout == b.ConnectTimeout &&
		a.PeerTimeout == b.PeerTimeout && a.IgnorePeerErrors == b.IgnorePeerErrors && a.Backlog == b.Backlog && a.UserPackets == b.UserPackets
}
