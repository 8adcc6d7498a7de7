package udt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/udtcp/udtcp/internal/udt/udpio"
)

// Dial connects to a UDT listener. The network is "udp", "udp4" or "udp6"; the
// address has a port and may have a name, all of whose addresses are tried in
// turn. A nil cfg means the defaults.
func Dial(ctx context.Context, network, address string, cfg *Config) (*Conn, error) {
	return DialFrom(ctx, network, "", address, cfg)
}

// DialFrom is Dial from a local address; "" lets the system choose.
func DialFrom(ctx context.Context, network, local, address string, cfg *Config) (*Conn, error) {
	c, err := settled(cfg)
	if err != nil {
		return nil, &Error{Code: EINVPARAM, Op: "dial", Err: err}
	}
	deadline := time.Now().Add(c.ConnectTimeout)
	ctx, cancel := context.WithDeadlineCause(ctx, deadline, timeoutError(c.ConnectTimeout))
	defer cancel()
	remotes, err := resolve(ctx, network, address)
	if err != nil {
		return nil, &Error{Code: addressCode(err, ECONNSETUP), Op: "dial", Err: err}
	}
	var errs []error
	for i, remote := range remotes {
		remote = reachable(remote, strings.HasPrefix(address, ":") && network != "udp6")
		// What time there is left is shared by the addresses left.
		c.ConnectTimeout = max(1, time.Until(deadline)/time.Duration(len(remotes)-i))
		conn, err := dialOne(ctx, local, remote, c)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func dialOne(ctx context.Context, local string, remote netip.AddrPort, cfg Config) (*Conn, error) {
	e, err := bindFor(ctx, local, remote, cfg, "dial")
	if err != nil {
		return nil, err
	}
	c, err := e.Dial(ctx, remote)
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return c, nil
}

// bindFor opens an endpoint at a local address, "" for any, for one connection
// to remote.
func bindFor(ctx context.Context, local string, remote netip.AddrPort, cfg Config, op string) (*Endpoint, error) {
	from := netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	if !remote.Addr().Is4() {
		from = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	}
	if local != "" {
		a, err := resolve(ctx, "udp", local)
		if err != nil {
			return nil, &Error{Code: addressCode(err, ESOCKFAIL), Op: op, Err: err}
		}
		from = sameFamily(a, remote.Addr())
	}
	s, err := udpio.Listen(from, cfg.socket())
	if err != nil {
		return nil, &Error{Code: ESOCKFAIL, Op: op, Err: err}
	}
	e := NewEndpoint(s, cfg)
	e.owned = true
	return e, nil
}

// Listen accepts UDT connections at address: "host:port", ":port" for all
// addresses of the machine, port 0 for any.
func Listen(network, address string, cfg *Config) (*Listener, error) {
	c, err := settled(cfg)
	if err != nil {
		return nil, &Error{Code: EINVPARAM, Op: "listen", Err: err}
	}
	e, err := bind(network, address, c, "listen")
	if err != nil {
		return nil, err
	}
	e.owned = true
	return e.Listen()
}

func settled(cfg *Config) (Config, error) {
	if cfg == nil {
		cfg = &Config{}
	}
	c := cfg.withDefaults()
	return c, c.check()
}

// addressCode is the code for an address that resolve refused: that of bad
// parameters for one that nobody could resolve, otherwise the one given.
func addressCode(err error, otherwise Code) Code {
	var malformed *net.AddrError
	var unknown net.UnknownNetworkError
	if errors.As(err, &malformed) || errors.As(err, &unknown) {
		return EINVPARAM
	}
	return otherwise
}

// resolve returns the addresses of "host:port", IPv4 and IPv6 as the resolver
// orders them; an empty host is the unspecified address.
func resolve(ctx context.Context, network, address string) ([]netip.AddrPort, error) {
	ipNetwork := map[string]string{"udp": "ip", "udp4": "ip4", "udp6": "ip6"}[network]
	if ipNetwork == "" {
		return nil, net.UnknownNetworkError(network)
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, network, service)
	if err != nil {
		return nil, err
	}
	if host == "" {
		ip := netip.IPv6Unspecified() // takes IPv4 too
		if network == "udp4" {
			ip = netip.IPv4Unspecified()
		}
		return []netip.AddrPort{netip.AddrPortFrom(ip, uint16(port))}, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, ipNetwork, host)
	if err != nil {
		return nil, err
	}
	if len(ips) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	addrs := make([]netip.AddrPort, len(ips))
	for i, ip := range ips {
		addrs[i] = netip.AddrPortFrom(ip.Unmap(), uint16(port))
	}
	return addrs, nil
}

// reachable turns the unspecified address, to which one can only bind, into
// this machine's own, as package net does.
func reachable(a netip.AddrPort, prefer4 bool) netip.AddrPort {
	switch {
	case !a.Addr().IsUnspecified():
		return a
	case a.Addr().Is4() || prefer4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Port())
	}
	return netip.AddrPortFrom(netip.IPv6Loopback(), a.Port())
}

// sameFamily picks the local address that can reach remote.
func sameFamily(local []netip.AddrPort, remote netip.Addr) netip.AddrPort {
	for _, a := range local {
		if a.Addr().IsUnspecified() {
			if remote.Is4() {
				return netip.AddrPortFrom(netip.IPv4Unspecified(), a.Port())
			}
			return netip.AddrPortFrom(netip.IPv6Unspecified(), a.Port())
		}
		if a.Addr().Is4() == remote.Is4() {
			return a
		}
	}
	return local[0]
}
