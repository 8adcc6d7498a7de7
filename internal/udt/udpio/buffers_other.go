//go:build !linux

package udpio

import "net"

// setBuffers asks for the wished buffers. Some systems refuse a wish above their limit instead of granting
// the limit, so the wish is halved until it is taken.
func setBuffers(c *net.UDPConn, cfg Config) granted {
	return granted{
		read:  ask(cfg.ReadBuffer, c.SetReadBuffer),
		write: ask(cfg.WriteBuffer, c.SetWriteBuffer),
	}
}

// ask returns what was taken, 0 if nothing was: the system's default stays.
func ask(wish int, set func(int) error) int {
	const least = 64 << 10 // below this defaults are better
	for n := wish; n > 0; n /= 2 {
		if set(n) == nil {
			return n
		}
		if n <= least {
			break
		}
	}
	return 0
}
