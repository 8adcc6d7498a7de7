package cli

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// defaultPort is the one UDT's own tools use.
const defaultPort = 9000

// address is HOST:PORT as a user wrote it. An empty host is every local address.
type address struct {
	host string // without brackets; may hold an IPv6 zone
	port uint16
}

func (a address) String() string {
	return net.JoinHostPort(a.host, strconv.Itoa(int(a.port)))
}

// parseRemote reads where to dial: HOST:PORT, HOST, [IPv6]:PORT, [IPv6] or a bare IPv6 address.
func parseRemote(s string) (address, error) {
	a, err := parseAddress(s, defaultPort)
	switch {
	case err != nil:
		return address{}, err
	case a.host == "":
		return address{}, errors.New("that names no host; to wait for a peer there use --listen")
	case a.port == 0:
		return address{}, errors.New("port 0 cannot be dialled")
	}
	return a, nil
}

// parseLocal reads a local address: also :PORT, and port 0 for any that is free.
func parseLocal(s string, port uint16) (address, error) { return parseAddress(s, port) }

func parseAddress(s string, port uint16) (address, error) {
	if s == "" {
		return address{}, errors.New("the address is empty; want HOST:PORT")
	}
	// A bare IPv6 address has colons of its own.
	if ip, err := netip.ParseAddr(s); err == nil {
		return address{ip.String(), port}, nil
	}
	host, rest := s, ""
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return address{}, errors.New("the ] is missing")
		}
		host, rest = s[1:end], s[end+1:]
		ip, err := netip.ParseAddr(host)
		if err != nil || !ip.Is6() {
			return address{}, errors.New("only an IPv6 address goes in brackets")
		}
	} else if i := strings.IndexByte(s, ':'); i >= 0 {
		host, rest = s[:i], s[i:]
		if strings.IndexByte(rest[1:], ':') >= 0 {
			return address{}, errors.New("an IPv6 address with a port needs brackets, [IPv6]:PORT")
		}
	}
	if rest != "" {
		p, err := parsePort(rest)
		if err != nil {
			return address{}, err
		}
		port = p
	}
	if err := checkHost(host); err != nil {
		return address{}, err
	}
	return address{host, port}, nil
}

// parsePort reads ":PORT".
func parsePort(s string) (uint16, error) {
	digits, ok := strings.CutPrefix(s, ":")
	if !ok {
		return 0, errors.New("want HOST:PORT")
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, errors.New("the port must be a number")
		}
	}
	p, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return 0, errors.New("the port must be a number up to 65535")
	}
	return uint16(p), nil
}

// checkHost refuses what cannot be a host name or an address, so that a mistyped path or option is told as such instead
// of being looked up.
func checkHost(host string) error {
	if strings.ContainsAny(host, "/\\ \t\n@[]") {
		return errors.New("that is not a host; want HOST:PORT")
	}
	for _, r := range host {
		if !strconv.IsPrint(r) {
			return errors.New("that is not a host; want HOST:PORT")
		}
	}
	return nil
}

// looksLikeListen says whether a word has the shape [HOST]:PORT with a port, which is what it takes to be read as the
// value of a --listen that stands before it. A file of such a name is written ./NAME.
func looksLikeListen(s string) bool {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return false
	}
	if _, err := parsePort(s[i:]); err != nil {
		return false
	}
	_, err := parseAddress(s, defaultPort)
	return err == nil && (strings.HasPrefix(s, "[") || strings.Count(s, ":") == 1)
}
