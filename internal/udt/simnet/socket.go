package simnet

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/udtcp/udtcp/internal/udt/udpio"
)

const (
	maxPayload  = 65535 - headerBytes // of a UDP datagram over IPv4
	maxSegments = 64                  // in one run, as in the kernel
)

// socket is a udpio.Socket on a Network.
type socket struct {
	h     *Host
	cfg   HostConfig
	local netip.AddrPort

	mu      sync.Mutex // taken after the network's
	more    sync.Cond  // something arrived, or the socket was closed
	inbox   []arrival  // read from the front
	read    int        // arrivals of inbox that are done
	waiting int        // bytes in inbox, headers included
	closed  bool

	drops      atomic.Uint64
	sendErrors atomic.Uint64
}

// preciseSocket is a socket of a network that keeps precise time.
type preciseSocket struct{ *socket }

// NewAlarm implements udpio.AlarmMaker.
func (preciseSocket) NewAlarm(fire func()) (udpio.Alarm, error) { return udpio.NewAlarm(fire) }

// arrival is a datagram that waits to be read.
type arrival struct {
	from netip.AddrPort
	buf  []byte
}

func newSocket(h *Host, port uint16) *socket {
	s := &socket{h: h, cfg: h.cfg, local: netip.AddrPortFrom(h.addr, port)}
	if s.cfg.ReceiveQueue <= 0 {
		s.cfg.ReceiveQueue = defaultReceiveQueue
	}
	s.more.L = &s.mu
	return s
}

// arrive takes a datagram from the network.
func (s *socket) arrive(from netip.AddrPort, buf []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := len(buf) + headerBytes
	if s.waiting+size > s.cfg.ReceiveQueue {
		s.drops.Add(1)
		return
	}
	if len(s.inbox) == cap(s.inbox) && s.read > len(s.inbox)/2 { // more room in front than to move
		n := copy(s.inbox, s.inbox[s.read:])
		clear(s.inbox[n:])
		s.inbox, s.read = s.inbox[:n], 0
	}
	s.inbox = append(s.inbox, arrival{from, buf})
	s.waiting += size
}

func (s *socket) ReadBatch(ms []udpio.Message) (int, error) {
	if len(ms) == 0 {
		return 0, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.inbox) == s.read && !s.closed {
		s.more.Wait()
	}
	if s.closed {
		return 0, net.ErrClosed
	}
	n := 0
	for n < len(ms) && s.read < len(s.inbox) {
		s.next(&ms[n])
		n++
	}
	if s.read == len(s.inbox) {
		s.inbox, s.read = s.inbox[:0], 0
	}
	return n, nil
}

// next fills m with the next datagram and, with GRO, those that continue a run.
func (s *socket) next(m *udpio.Message) {
	a := s.pop()
	buf := m.Buf[:cap(m.Buf)]
	length := copy(buf, a.buf)
	segment := len(a.buf)
	m.Addr, m.Segment = a.from, 0
	if s.cfg.GRO && segment > 0 {
		for k := 1; k < maxSegments && s.read < len(s.inbox); k++ {
			b := &s.inbox[s.read]
			size := len(b.buf)
			if b.from != a.from || size == 0 || size > segment || length+size > min(len(buf), maxPayload) {
				break
			}
			length += copy(buf[length:], s.pop().buf)
			m.Segment = segment
			if size < segment {
				break
			}
		}
	}
	m.Buf = buf[:length]
}

func (s *socket) pop() arrival {
	a := s.inbox[s.read]
	s.inbox[s.read] = arrival{}
	s.read++
	s.waiting -= len(a.buf) + headerBytes
	return a
}

func (s *socket) WriteBatch(ms []udpio.Message) error {
	n := s.h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.h.sockets[s.local.Port()] != s {
		return net.ErrClosed
	}
	now := n.now()
	for i := range ms {
		m := &ms[i]
		size := len(m.Buf)
		if m.Segment > 0 {
			size = min(size, m.Segment)
		}
		for b := m.Buf; ; {
			d := b[:min(size, len(b))]
			if !s.h.send(now, s.local, m.Addr, d) {
				s.sendErrors.Add(1)
			}
			if b = b[len(d):]; len(b) == 0 {
				break
			}
		}
	}
	n.deliver(now)
	return nil
}

func (s *socket) LocalAddr() netip.AddrPort { return s.local }

func (s *socket) Info() udpio.Info {
	i := udpio.Info{
		GSO: s.cfg.GSO, GRO: s.cfg.GRO, Batch: true,
		MaxSegments: 1,
		ReadBuffer:  s.cfg.ReceiveQueue,
		Drops:       s.drops.Load(),
		SendErrors:  s.sendErrors.Load(),
	}
	if i.GSO {
		i.MaxSegments = maxSegments
	}
	return i
}

// Close closes the socket; like a kernel's, it answers net.ErrClosed the second time.
func (s *socket) Close() error {
	n := s.h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.h.sockets[s.local.Port()] != s {
		return net.ErrClosed
	}
	delete(s.h.sockets, s.local.Port())
	s.shut()
	return nil
}

// shut wakes the readers up for good.
func (s *socket) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.inbox, s.read, s.waiting = nil, 0, 0
	s.more.Broadcast()
}
