//go:build !linux

package udpio

import "net"

func open(c *net.UDPConn, cfg Config) (Socket, error) {
	return newPlain(c, setBuffers(c, cfg)), nil
}
