package udpio

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// batch is a Socket on recvmmsg and sendmmsg. The calls never wait; the runtime's poller does, through
// RawConn, so that Close unblocks them and no thread is held.
type batch struct {
	conn   *net.UDPConn
	raw    syscall.RawConn
	local  netip.AddrPort
	family int

	granted    granted
	gro        bool
	gso        atomic.Bool
	sendErrors atomic.Uint64

	reader  reader
	writers writerPool

	// send is sendmmsg, but for tests that refuse.
	send func(fd uintptr, h []mmsghdr) (int, unix.Errno)
}

func newBatch(c *net.UDPConn, rc syscall.RawConn, f features) *batch {
	b := &batch{
		conn: c, raw: rc, local: localAddr(c), family: f.family,
		granted: f.granted, gro: f.gro, send: sendmmsg,
	}
	b.gso.Store(f.gso)
	b.reader.try = b.reader.receive
	return b
}

func (b *batch) LocalAddr() netip.AddrPort { return b.local }

func (b *batch) Info() Info {
	i := Info{
		GSO:         b.gso.Load(),
		GRO:         b.gro,
		Batch:       true,
		MaxSegments: 1,
		ReadBuffer:  b.granted.read,
		WriteBuffer: b.granted.write,
		Drops:       b.reader.drops.total.Load(),
		SendErrors:  b.sendErrors.Load(),
	}
	if i.GSO {
		i.MaxSegments = maxSegments
	}
	return i
}

func (b *batch) Close() error { return b.conn.Close() }

// closed gives the closing of a socket its plain name and leaves other errors alone.
func closed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return net.ErrClosed
	}
	return err
}
