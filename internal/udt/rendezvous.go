package udt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/udtcp/udtcp/internal/udt/proto"
)

// Rendezvous connects to a peer that does the same with us: both ends dial each
// other, from the port that the other one dials, in any order within
// Config.ConnectTimeout. The endpoint must not have a listener meanwhile, which
// would get the peer's requests. Several at a time with different peers are
// fine.
func (e *Endpoint) Rendezvous(ctx context.Context, raddr netip.AddrPort) (*Conn, error) {
	return e.RendezvousWith(ctx, raddr, Config{})
}

// RendezvousWith is Rendezvous for a connection with options of its own; see
// DialWith.
func (e *Endpoint) RendezvousWith(ctx context.Context, raddr netip.AddrPort, o Config) (*Conn, error) {
	const op = "rendezvous"
	cfg, code, err := e.cfg.forConn(o)
	if err != nil {
		return nil, &Error{Code: code, Op: op, Addr: net.UDPAddrFromAddrPort(raddr), Err: err}
	}
	cfg.ConnectTimeout = cfg.meetingTimeout
	var half *Conn
	conn, err := e.connect(ctx, op, raddr, cfg, func(c *Conn, p proto.Config) error {
		switch {
		case e.listener != nil:
			return &Error{Code: ERDVNOSERV, Op: op, Addr: c.RemoteAddr(), Err: ErrMeetingPort}
		case e.meeting[c.remote] != nil:
			return &Error{Code: EINVPARAM, Op: op, Addr: c.RemoteAddr(), Err: ErrDuplicateRendezvous}
		}
		c.p = proto.NewRendezvous(0, p)
		e.meeting[c.remote], half = c, c
		return nil
	})
	if half != nil { // the peer knows our socket ID, or nobody waits for it any more
		e.mu.Lock()
		delete(e.meeting, half.remote)
		e.mu.Unlock()
	}
	var failed *Error
	if errors.As(err, &failed) && errors.Is(failed.Err, ErrMismatch) {
		failed.Err = fmt.Errorf("%w: it speaks another version of UDT, or has another type of socket", ErrMismatch)
	}
	return conn, err
}

// DialRendezvous connects the port of the local address with that of the
// remote one, where a peer does the same with ours; see Endpoint.Rendezvous.
// The network is as for Dial. If the remote name has several addresses, the
// first counts.
func DialRendezvous(ctx context.Context, network, local, remote string, cfg *Config) (*Conn, error) {
	const op = "rendezvous"
	c, err := settled(cfg)
	if err != nil {
		return nil, &Error{Code: EINVPARAM, Op: op, Err: err}
	}
	if _, port, err := net.SplitHostPort(local); err != nil || port == "" || port == "0" {
		return nil, &Error{Code: ERDVUNBOUND, Op: op, Err: ErrUnbound}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.meetingTimeout, timeoutError(c.meetingTimeout))
	defer cancel()
	remotes, err := resolve(ctx, network, remote)
	if err != nil {
		return nil, &Error{Code: addressCode(err, ECONNSETUP), Op: op, Err: err}
	}
	raddr := reachable(remotes[0], strings.HasPrefix(remote, ":") && network != "udp6")
	e, err := bindFor(ctx, local, raddr, c, op)
	if err != nil {
		return nil, err
	}
	conn, err := e.Rendezvous(ctx, raddr)
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return conn, nil
}
