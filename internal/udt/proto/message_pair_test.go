package proto

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// A letter is a message of a test. Its first bytes are its place in the list,
// the rest follows from that.
type letter struct {
	size int
	o    MessageOptions
}

func (l letter) text(i int) []byte {
	b := make([]byte, l.size)
	for k := range b {
		b[k] = byte(i*131 + k ^ k>>8*7)
	}
	if l.size >= 4 {
		binary.BigEndian.PutUint32(b, uint32(i))
	}
	return b
}

// A mail is what one end sends and the other reads, which checks it.
type mail struct {
	t       testing.TB
	letters []letter
	written int
	got     []int // how often each was read
	order   []int // in which they were read
	last    int   // the last of those in order
	lenient bool  // others than those with a time to live may be missing
	buf     []byte
}

func newMail(t testing.TB, ls []letter) *mail {
	return &mail{t: t, letters: ls, got: make([]int, len(ls)), last: -1, buf: make([]byte, 1<<20)}
}

// letters makes n of them, the sizes as most says, TTLs for a share.
func letters(r *rand.Rand, n, most int, mortal float64, inOrder float64) []letter {
	ls := make([]letter, n)
	for i := range ls {
		l := &ls[i]
		l.size = 4 + r.IntN(most)
		if r.IntN(3) > 0 {
			l.size = 4 + r.IntN(min(most, 200))
		}
		l.o.InOrder = r.Float64() < inOrder
		if r.Float64() < mortal {
			l.o.TTL = time.Duration(1+r.IntN(60)) * time.Millisecond
		}
	}
	return ls
}

// exchange has end i of p send letters to the other.
func (p *pair) exchange(i int, ls []letter) *mail {
	m := newMail(p.t, ls)
	from, to := p.ends[i], p.ends[1-i]
	from.talk = and(from.talk, func(c *Conn) { m.write(c, p.now) })
	to.talk = and(to.talk, m.read)
	return m
}

func and(f, g func(*Conn)) func(*Conn) {
	return func(c *Conn) {
		if f != nil {
			f(c)
		}
		g(c)
	}
}

// write writes as many letters as there is room for.
func (m *mail) write(c *Conn, now Instant) {
	for m.written < len(m.letters) && c.CanWrite() {
		l := &m.letters[m.written]
		held := c.snd.held()
		if !c.WriteMessage(now, l.text(m.written), l.o) {
			if held != c.snd.held() || c.Ready().Writable {
				m.t.Fatalf("a message refused for want of room: held %d, then %d, writable %v", held, c.snd.held(), c.Ready().Writable)
			}
			return
		}
		m.written++
	}
}

func (m *mail) read(c *Conn) {
	for {
		readable := c.Ready().Readable
		size, cut, ok := c.ReadMessage(m.buf)
		if readable != ok && c.End() == EndNone {
			m.t.Fatalf("readable is %v, reading %v", readable, ok)
		}
		if !ok {
			return
		}
		m.check(m.buf[:size], cut)
	}
}

// check judges a message that was read.
func (m *mail) check(b []byte, cut bool) {
	i := -1
	if len(b) >= 4 {
		i = int(binary.BigEndian.Uint32(b))
	}
	if cut || i < 0 || i >= m.written || !bytes.Equal(b, m.letters[i].text(i)) {
		m.t.Fatalf("read a message of %d bytes that nobody sent (letter %d of %d, cut %v)", len(b), i, m.written, cut)
	}
	if m.got[i]++; m.got[i] > 1 {
		m.t.Fatalf("letter %d was read twice", i)
	}
	m.order = append(m.order, i)
	if !m.letters[i].o.InOrder {
		return
	}
	if i < m.last {
		m.t.Fatalf("letter %d was read after %d", i, m.last)
	}
	m.last = i
	if k := m.missing(i); k >= 0 {
		m.t.Fatalf("letter %d, to be in order, was read before %d", i, k)
	}
}

// missing is the first letter before n that is to arrive and was not read; -1 if
// there is none.
func (m *mail) missing(n int) int {
	for k, l := range m.letters[:n] {
		if m.got[k] == 0 && l.o.TTL == 0 && !m.lenient {
			return k
		}
	}
	return -1
}

// done says that all that must arrive has, and that c, which sent it, knows.
func (m *mail) done(c *Conn) bool {
	return m.written == len(m.letters) && c != nil && c.snd.held() == 0 && m.missing(m.written) < 0
}

// unread is how many letters were not read.
func (m *mail) unread() (n int) {
	for _, k := range m.got {
		if k == 0 {
			n++
		}
	}
	return n
}

// newMessagePair is a pair for messages whose links have the given faults.
func newMessagePair(t testing.TB, seed uint64, ab, ba simnet.Params) *pair {
	p := newPair(t, seed, ab, ba)
	p.acceptor.typ = Datagram
	for _, e := range p.ends {
		e.cfg.Type = Datagram
	}
	return p
}

// strangers makes the ends of a pair take each other for libudt's.
func (p *pair) strangers() {
	p.plain()
	p.ends[0].onPacket = func(b []byte) [][]byte {
		if c, ok := ParseControl(b); ok && c.Type == TypeHandshake {
			binary.BigEndian.PutUint32(b[4:], 0)
		}
		return [][]byte{b}
	}
}

// Over every kind of network messages arrive whole and once, in order where
// that was asked for, and only those with a time to live are missing.
func TestMessages(t *testing.T) {
	var expired, dropped, overtook, lost int64
	for seed := range uint64(seeds(1000)) {
		r := rand.New(rand.NewPCG(seed, 9))
		link := func() simnet.Params {
			return simnet.Params{
				Rate: 1e6 * float64(5+r.IntN(100)), Delay: time.Duration(r.IntN(20_000)) * time.Microsecond, Queue: 100_000,
				Loss: []float64{0, 0.01, 0.05}[r.IntN(3)], Reorder: []float64{0, 0.05}[r.IntN(2)], ReorderBy: 3 * ms,
				Duplicate: []float64{0, 0.02}[r.IntN(2)],
			}
		}
		p := newMessagePair(t, seed, link(), link())
		for _, e := range p.ends {
			e.cfg.Window = 40 + r.IntN(300)
			e.stride = 1 + r.IntN(3)
			e.cfg.MSS = []int{MinMSS, 300, 1500}[r.IntN(3)]
		}
		if seed%4 == 0 { // near the wrap, of message numbers too
			p.ends[0].cfg.ISN = Seq(SeqMask - r.IntN(100))
		}
		payload := min(p.ends[0].cfg.MSS, p.ends[1].cfg.MSS) - IPUDPHeaders - HeaderSize
		most := payload * min(p.ends[0].cfg.Window, p.ends[1].cfg.Window) / []int{2, 4, 20}[r.IntN(3)]
		mortal, inOrder := []float64{0, 0.3, 0.9}[r.IntN(3)], []float64{0, 0.5, 1}[r.IntN(3)]
		stranger := seed%3 == 0
		if stranger {
			p.strangers()
		}
		p.dial()
		p.run(10*time.Second, func() bool { return p.ends[1].conn != nil && p.ends[0].conn.State() == StateConnected })
		if seed%4 == 0 {
			p.ends[0].conn.snd.message, p.ends[1].conn.snd.message = maxMessage-10, maxMessage-20
		}
		there := p.exchange(0, letters(r, 10+r.IntN(50), most, mortal, inOrder))
		back := p.exchange(1, letters(r, r.IntN(30), most, mortal, inOrder))
		there.lenient, back.lenient = stranger && mortal > 0, stranger && mortal > 0
		p.run(5*time.Minute, func() bool { return there.done(p.ends[0].conn) && back.done(p.ends[1].conn) })
		for i, m := range []*mail{there, back} {
			c := p.ends[i].conn.count
			expired += c.MessagesExpired
			dropped += c.MessagesDropped
			lost += p.ends[i].lost
			if unread := int64(m.unread()); unread > c.MessagesExpired && !m.lenient {
				t.Fatalf("seed %d: %d letters are missing, %d expired", seed, unread, c.MessagesExpired)
			}
			if !slices.IsSorted(m.order) {
				overtook++
			}
		}
		for _, e := range p.ends {
			if c := e.conn; c.End() != EndNone || c.count.Invalid != 0 {
				t.Fatalf("seed %d: end %d, %+v", seed, c.End(), c.count)
			}
		}
	}
	t.Logf("%d messages expired, the receiver did without one %d times; %d packets lost; %d exchanges out of order", expired, dropped, lost, overtook)
	if min(expired, dropped, lost, overtook) == 0 {
		t.Error("not all of it was put to the test")
	}
}

// The same seed gives the same trace.
func TestMessagesReplay(t *testing.T) {
	run := func() uint64 {
		r := rand.New(rand.NewPCG(5, 9))
		link := simnet.Params{Rate: 10e6, Delay: 10 * ms, Queue: 100_000, Loss: 0.03, Reorder: 0.05, ReorderBy: 3 * ms}
		p := newMessagePair(t, 5, link, link)
		m := p.exchange(0, letters(r, 100, 20_000, 0.5, 0.5))
		p.dial()
		p.run(time.Minute, func() bool { return m.done(p.ends[0].conn) })
		return p.trace
	}
	if a, b := run(), run(); a != b {
		t.Errorf("traces %x and %x", a, b)
	}
}
