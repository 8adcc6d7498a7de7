package udpio

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// maxBatch is the most messages one recvmmsg takes (UIO_MAXIOV).
const maxBatch = 1024

// reader is the receiving half of a batch socket. Its mutex makes concurrent readers take turns.
type reader struct {
	mu    sync.Mutex
	slots *slots
	try   func(fd uintptr) bool // the method receive, kept so that a call allocates nothing
	drops dropCounter

	lender Lender    // of the buffers of ms; nil if they are the caller's own
	ms     []Message // of the call under way
	n      int       // messages wished
	got    int
	errno  unix.Errno
}

func (b *batch) ReadBatch(ms []Message) (int, error) { return b.read(ms, nil) }

// ReadBatchLent implements LentReader.
func (b *batch) ReadBatchLent(ms []Message, l Lender) (int, error) { return b.read(ms, l) }

func (b *batch) read(ms []Message, l Lender) (int, error) {
	if len(ms) == 0 {
		return 0, nil
	}
	r := &b.reader
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lender, r.ms = l, ms
	defer func() { r.lender, r.ms = nil, nil }()
	for {
		if l == nil || ms[0].Buf != nil {
			r.prepare(ms)
		}
		if err := b.raw.Read(r.try); err != nil {
			return 0, closed(err)
		}
		if r.errno == 0 {
			return r.collect(ms), nil
		}
		if !isTransient(r.errno) {
			return 0, os.NewSyscallError("recvmmsg", r.errno)
		}
	}
}

// receive is one try; false asks the poller to wait for more.
func (r *reader) receive(fd uintptr) bool {
	if r.lender != nil && r.ms[0].Buf == nil {
		r.lender.Lend(r.ms)
		r.prepare(r.ms)
	}
	r.got, r.errno = recvmmsg(fd, r.slots.hdrs[:r.n])
	if r.errno != unix.EAGAIN {
		return true
	}
	if r.lender != nil {
		r.lender.TakeBack(r.ms)
		clear(r.slots.iovs)
	}
	return false
}

// prepare points the slots at the buffers of ms.
func (r *reader) prepare(ms []Message) {
	r.n = min(len(ms), maxBatch)
	if r.slots == nil || len(r.slots.hdrs) < r.n {
		r.slots = newSlots(r.n)
	}
	for i := range r.n {
		r.slots.setBuf(i, ms[i].Buf[:cap(ms[i].Buf)])
		h := &r.slots.hdrs[i].hdr
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(controlSize)
	}
}

// collect turns the received slots into messages.
func (r *reader) collect(ms []Message) int {
	s := r.slots
	for i := range r.got {
		m, h := &ms[i], &s.hdrs[i]
		var a ancillary
		if n := int(h.hdr.Controllen); n > 0 {
			a = s.ctrls[i].parse(n)
		}
		if a.hasDrops {
			r.drops.seen(a.drops)
		}
		kept, lost := fit(int(h.len), a.segment, cap(m.Buf))
		r.drops.total.Add(uint64(lost))
		m.Addr, m.Buf, m.Segment = getAddr(&s.names[i]), m.Buf[:kept], a.segment
	}
	return r.got
}

// fit tells how much of a message of the given length is usable when the buffer had only room bytes, and how
// many datagrams are lost: a run keeps those that fit whole, its first one is cut if need be.
func fit(length, segment, room int) (kept, lost int) {
	if length <= room {
		return length, 0
	}
	total := datagrams(length, segment)
	if total == 1 || segment >= room {
		return room, total - 1
	}
	whole := room / segment
	return whole * segment, total - whole
}
