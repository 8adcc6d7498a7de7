package udpio

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
)

// plain is a Socket that makes one system call a datagram, through package net alone.
type plain struct {
	conn      *net.UDPConn
	local     netip.AddrPort
	connected bool
	granted   granted

	drops      atomic.Uint64
	sendErrors atomic.Uint64
}

func newPlain(c *net.UDPConn, g granted) *plain {
	return &plain{conn: c, local: localAddr(c), connected: c.RemoteAddr() != nil, granted: g}
}

func (p *plain) ReadBatch(ms []Message) (int, error) {
	if len(ms) == 0 {
		return 0, nil
	}
	m := &ms[0]
	for {
		buf := m.Buf[:cap(m.Buf)]
		n, addr, err := p.conn.ReadFromUDPAddrPort(buf)
		switch {
		case err == nil:
			m.Addr, m.Buf, m.Segment = unmap(addr), buf[:n], 0
			return 1, nil
		case errors.Is(err, net.ErrClosed):
			return 0, net.ErrClosed
		case isTooLong(err): // Windows reports what other systems cut in silence
			p.drops.Add(1)
		case !isTransient(err):
			return 0, err
		}
	}
}

func (p *plain) WriteBatch(ms []Message) error {
	for i := range ms {
		m := &ms[i]
		for off := 0; ; {
			n, _ := piece(len(m.Buf), m.Segment, off, 1)
			if err := p.send(m.Buf[off:off+n], m.Addr); err != nil {
				return err
			}
			if off += n; off >= len(m.Buf) {
				break
			}
		}
	}
	return nil
}

// send sends one datagram. What ICMP left behind, and the first refusal by a packet filter whose connection
// table is still being filled, deserve a second try; all else is loss.
func (p *plain) send(b []byte, to netip.AddrPort) error {
	for try := 0; ; try++ {
		var err error
		if p.connected {
			_, err = p.conn.Write(b)
		} else {
			_, err = p.conn.WriteToUDPAddrPort(b, unmap(to))
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return net.ErrClosed
		case isFatal(err):
			return err
		case try == 0 && isWorthRetry(err):
		default:
			p.sendErrors.Add(1)
			return nil
		}
	}
}

func (p *plain) LocalAddr() netip.AddrPort { return p.local }

func (p *plain) Info() Info {
	return Info{
		MaxSegments: 1,
		ReadBuffer:  p.granted.read,
		WriteBuffer: p.granted.write,
		Drops:       p.drops.Load(),
		SendErrors:  p.sendErrors.Load(),
	}
}

func (p *plain) Close() error { return p.conn.Close() }
