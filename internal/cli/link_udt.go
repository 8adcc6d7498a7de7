package cli

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/proto"
)

// udtNetwork makes links of UDT.
type udtNetwork struct{}

func (udtNetwork) Dial(ctx context.Context, local string, remote netip.AddrPort, o linkOptions) (link, error) {
	dial := udt.DialFrom
	if o.rendezvous {
		dial = udt.DialRendezvous
	}
	c, err := dial(ctx, "udp", local, remote.String(), o.udt())
	if errors.Is(err, udt.ErrOtherType) {
		err = errors.Join(errOtherType, err)
	}
	if err != nil {
		return nil, err
	}
	return udtLink{c}, nil
}

func (udtNetwork) Listen(family, local string, o linkOptions) (listener, error) {
	l, err := udt.Listen(family, local, o.udt())
	if err != nil {
		return nil, err
	}
	return udtListener{l}, nil
}

type udtListener struct{ *udt.Listener }

func (l udtListener) TryAccept() (link, error) {
	c, err := l.Listener.TryAccept()
	if err != nil {
		return nil, err
	}
	return udtLink{c}, nil
}

// udtLink is a connection, as a messenger too.
type udtLink struct{ *udt.Conn }

func (l udtLink) SendMessage(p []byte, ttl time.Duration, inOrder bool) error {
	return l.WriteMessage(p, udt.MessageOptions{TTL: ttl, InOrder: inOrder})
}

func (l udtLink) AppendMessage(b []byte) ([]byte, error) {
	b, err := l.Conn.AppendMessage(b)
	if errors.Is(err, udt.ErrTruncated) {
		err = errors.Join(errCut, err)
	}
	return b, err
}

// What a poller waits for, and what it tells.
type (
	pollEvents = udt.Events
	pollEvent  = udt.Event
)

const (
	pollIn   = udt.PollIn  // there is something to read or to accept
	pollOver = udt.PollErr // the link is over
)

// Poller implements network.
func (udtNetwork) Poller() poller { return udtPoller{udt.NewPoller()} }

type udtPoller struct{ *udt.Poller }

func (p udtPoller) Add(what any, interest pollEvents) error {
	if l, ok := what.(udtListener); ok {
		what = l.Listener
	}
	return p.Poller.Add(what, interest)
}

// udt gives the options in the engine's own terms.
func (o linkOptions) udt() *udt.Config {
	c := &udt.Config{
		MSS: o.mss, Window: int(o.window), FirstWindow: int(o.firstWindow), MaxBandwidth: o.bandwidth,
		ConnectTimeout: o.connectTimeout, PeerTimeout: o.peerTimeout, Linger: o.linger,
		Trace:            o.trace,
		EarlyData:        true,
		IgnorePeerErrors: true, // a forged one must not end a transfer, and none of our commands sends any
	}
	if o.datagram {
		c.Type = udt.Datagram
	}
	switch o.cc.name {
	case ccNative:
		c.NewController = func() proto.Controller { return proto.NewNative() }
	case ccFixed:
		bits := o.cc.rate * 8
		c.NewController = func() proto.Controller { return proto.NewFixed(bits) }
	}
	return c
}

// notLetIn tells of an error whether the link never came to be: its first data went along with the request, and then the
// other end refused, or fell silent.
func notLetIn(err error) (v verdict, ok bool) {
	switch {
	case errors.Is(err, udt.ErrRejected):
		return verdict{exitNoLink, "the other end is there and refuses", "it may be busy; try again"}, true
	case errors.Is(err, udt.ErrNoServer):
		return verdict{exitNoLink, "the other end was there, and then did not answer", "is it still listening?"}, true
	}
	return verdict{}, false
}

// vectoredReader returns r as a vectorReader, nil if it cannot be one.
func vectoredReader(r io.Reader) vectorReader { return udt.VectoredReader(r) }

// vectoredWriter returns w as a vectorWriter, nil if it cannot be one.
func vectoredWriter(w io.Writer) vectorWriter { return udt.VectoredWriter(w) }
