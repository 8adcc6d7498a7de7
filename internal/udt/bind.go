package udt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/udtcp/udtcp/internal/udt/udpio"
)

// Bind opens a UDP socket at address, "host:port" with port 0 for any, for any
// number of connections dialled from it and a listener. A nil cfg means the
// defaults. The Endpoint must be closed.
func Bind(network, address string, cfg *Config) (*Endpoint, error) {
	c, err := settled(cfg)
	if err != nil {
		return nil, &Error{Code: EINVPARAM, Op: "bind", Err: err}
	}
	return bind(network, address, c, "bind")
}

// bind is Bind with a Config without gaps; op is what errors say was tried.
func bind(network, address string, cfg Config, op string) (*Endpoint, error) {
	addrs, err := resolve(context.Background(), network, address)
	if err != nil {
		return nil, &Error{Code: addressCode(err, ESOCKFAIL), Op: op, Err: err}
	}
	s, err := udpio.Listen(addrs[0], cfg.socket())
	if err != nil {
		return nil, &Error{Code: ESOCKFAIL, Op: op, Err: err}
	}
	return NewEndpoint(s, cfg), nil
}

// TakeOver makes an Endpoint of a UDP socket that is bound already. The socket
// is the Endpoint's from then on; on an error it stays the caller's.
func TakeOver(socket *net.UDPConn, cfg *Config) (*Endpoint, error) {
	c, err := settled(cfg)
	if err == nil {
		err = bound(socket)
	}
	if err != nil {
		return nil, &Error{Code: EINVPARAM, Op: "bind", Err: err}
	}
	s, err := udpio.FromConn(socket, c.socket())
	if err != nil {
		return nil, &Error{Code: ESOCKFAIL, Op: "bind", Err: err}
	}
	return NewEndpoint(s, c), nil
}

// TakeOverFile is TakeOver for a descriptor, such as one inherited from the
// process's parent: os.NewFile makes a File of it. The Endpoint has a copy of
// the descriptor, and f is closed; on an error it stays the caller's.
func TakeOverFile(f *os.File, cfg *Config) (*Endpoint, error) {
	fail := func(code Code, err error) (*Endpoint, error) {
		return nil, &Error{Code: code, Op: "bind", Err: err}
	}
	pc, err := net.FilePacketConn(f)
	if err != nil {
		return fail(EINVPARAM, err)
	}
	socket, ok := pc.(*net.UDPConn)
	if !ok {
		return fail(EINVPARAM, errors.Join(errors.New("not a UDP socket"), pc.Close()))
	}
	e, err := TakeOver(socket, cfg)
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	if err := f.Close(); err != nil {
		return fail(ESOCKFAIL, errors.Join(err, e.Close()))
	}
	return e, nil
}

// bound tells why a socket can't be taken over.
func bound(socket *net.UDPConn) error {
	if socket == nil {
		return errors.New("no socket")
	}
	if a, ok := socket.LocalAddr().(*net.UDPAddr); !ok || a.Port == 0 {
		return fmt.Errorf("a socket that is not bound: %v", socket.LocalAddr())
	}
	return nil
}

// sourceFor returns the address of this machine from which packets go to
// remote, or otherwise if the system does not say. Nothing is sent.
func sourceFor(remote netip.AddrPort, otherwise netip.Addr) netip.Addr {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(remote))
	if err != nil {
		return otherwise
	}
	defer c.Close()
	a, ok := c.LocalAddr().(*net.UDPAddr)
	if !ok {
		return otherwise
	}
	return a.AddrPort().Addr().Unmap()
}
