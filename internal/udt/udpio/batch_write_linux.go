package udpio

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// sendSlots is how many pieces one sendmmsg carries: a run of 44 packets in one call without GSO.
const sendSlots = 64

// cursor is a place in a slice of messages: the message and the bytes of it that are done.
type cursor struct{ msg, off int }

// writer is the scratch space of one WriteBatch. Writers are pooled, so that concurrent calls send side by
// side: they meet in RawConn.Control, which takes no lock, and only queue up to wait for a full buffer.
type writer struct {
	b     *batch
	slots *slots
	ends  [sendSlots]cursor // where the message slice stands after each piece
	runs  [sendSlots]int    // datagrams in each piece

	lo, hi int // pieces still to send
	sent   int
	errno  unix.Errno

	try  func(fd uintptr)      // the methods attempt and
	wait func(fd uintptr) bool // attemptOrWait, kept so that a call allocates nothing
}

func newWriter(b *batch) *writer {
	w := &writer{b: b, slots: newSlots(sendSlots)}
	w.try, w.wait = w.attempt, w.attemptOrWait
	return w
}

func (w *writer) attempt(fd uintptr) {
	w.sent, w.errno = w.b.send(fd, w.slots.hdrs[w.lo:w.hi])
}

func (w *writer) attemptOrWait(fd uintptr) bool {
	w.attempt(fd)
	return w.errno != unix.EAGAIN
}

// send makes one sendmmsg happen, waiting for room if there is none. What came of it is in sent and errno.
func (w *writer) send() error {
	if err := w.b.raw.Control(w.try); err != nil || w.errno != unix.EAGAIN {
		return err
	}
	return w.b.raw.Write(w.wait)
}

func (b *batch) WriteBatch(ms []Message) error {
	w := b.writers.get(b)
	defer b.writers.put(w)

	var (
		at      cursor       // everything before is sent or given up
		single  cursor       // up to here send datagram by datagram, for GSO has failed
		blame   bool         // and if a datagram passes, GSO is at fault
		filter  = unix.EPERM // the error that a packet filter may give to the first packet of a flow
		retried bool         // the piece at lo has had its second try
	)
	for at.msg < len(ms) {
		if w.lo == w.hi {
			if at = w.fill(ms, at, single); w.hi == 0 {
				continue // nothing but messages that cannot be sent
			}
		}
		if err := w.send(); err != nil {
			return closed(err)
		}
		switch errno := w.errno; {
		case errno == 0:
			if blame {
				b.gso.Store(false)
				blame = false
			}
			w.lo += w.sent
			at = w.ends[w.lo-1]
			retried = false
		case w.runs[w.lo] > 1 && (isGSORefusal(errno) || errno == unix.EMSGSIZE):
			// EMSGSIZE only says that a segment exceeds the MTU of this route: segments are never fragmented,
			// datagrams are.
			single, blame = w.ends[w.lo], errno != unix.EMSGSIZE
			w.lo = w.hi
		case !retried && (errno == filter || errno == unix.ECONNREFUSED):
			retried = true
			if errno == filter {
				filter = 0
			}
		case isFatal(errno):
			return os.NewSyscallError("sendmmsg", errno)
		default:
			b.refused(w.runs[w.lo])
			at = w.ends[w.lo]
			w.lo++
			blame, retried = false, false
		}
	}
	return nil
}

// fill prepares as many pieces as there are slots, from at onwards; those before single are datagrams. It
// returns where it began, which is later than at only if messages there cannot be sent and were counted.
func (w *writer) fill(ms []Message, at, single cursor) cursor {
	w.lo, w.hi = 0, 0
	segments := 1
	if w.b.gso.Load() {
		segments = maxSegments
	}
	for c := at; c.msg < len(ms) && w.hi < sendSlots; {
		m := &ms[c.msg]
		namelen := putAddr(&w.slots.names[w.hi], w.b.family, m.Addr)
		if namelen == 0 {
			if w.hi > 0 {
				break
			}
			w.b.refused(m.Datagrams())
			c = cursor{msg: c.msg + 1}
			at = c
			continue
		}
		c = w.put(m, c, namelen, segments, single)
	}
	return at
}

// put prepares one piece and returns the place after it.
func (w *writer) put(m *Message, c cursor, namelen uint32, segments int, single cursor) cursor {
	if c.msg < single.msg || c.msg == single.msg && c.off < single.off {
		segments = 1
	}
	n, seg := piece(len(m.Buf), m.Segment, c.off, segments)
	s, i := w.slots, w.hi
	s.setBuf(i, m.Buf[c.off:c.off+n])
	h := &s.hdrs[i].hdr
	h.Namelen = namelen
	h.SetControllen(s.ctrls[i].putSegment(seg))

	if c.off += n; c.off >= len(m.Buf) {
		c = cursor{msg: c.msg + 1}
	}
	w.ends[i], w.runs[i] = c, datagrams(n, seg)
	w.hi++
	return c
}

// refused counts datagrams the kernel would not take.
func (b *batch) refused(n int) {
	b.sendErrors.Add(uint64(n))
}

// writerPool keeps idle writers: as many as there ever were concurrent calls.
type writerPool struct {
	mu   sync.Mutex
	idle []*writer
}

func (p *writerPool) get(b *batch) *writer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return w
	}
	return newWriter(b)
}

// put takes a writer back and lets go of the memory it pointed at.
func (p *writerPool) put(w *writer) {
	clear(w.slots.iovs)
	w.lo, w.hi = 0, 0
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, w)
}
