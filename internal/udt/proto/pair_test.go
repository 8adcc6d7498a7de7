package proto

import (
	"bytes"
	"container/heap"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// A pair is two connections joined by simulated links, driven in one goroutine
// over a heap of events: the same seed gives the same trace.
type pair struct {
	t          testing.TB
	now        Instant
	rng        *rand.Rand
	ends       [2]*end // client, server
	acceptor   *Acceptor
	rendezvous bool // instead of it
	events     eventHeap
	count      int64
	steps      int
	trace      uint64 // hash of every packet and its time
	buf        [70_000]byte
	most       int                        // runs to ask for at a time
	lag        func() time.Duration       // how late timers are served; nil = not at all
	late       func(e *end) time.Duration // how much later than its link says the next datagram of an end arrives; nil = not at all
	skew       func() Instant             // how far the listener's clock is ahead; nil = not at all
	ownIDs     bool                       // the listener has other socket IDs than early data are addressed to
	sparse     bool                       // long fat links: invariants are checked now and then, nothing read is kept
	checks     int
}

type end struct {
	p        *pair
	i        int
	conn     *Conn
	link     *simnet.Link // to the other end
	cfg      Config
	stride   int // how many equal packets a receiver is handed as one run; 1 = singles
	toSend   []byte
	sent     int
	got      bytes.Buffer
	taken    int   // bytes read and not kept
	lost     int64 // data packets that the link did not deliver
	want     []byte
	slow     time.Duration // pause between reads; 0 = reads at once
	readAt   Instant
	closing  bool          // closes when everything is written
	talk     func(c *Conn) // in place of toSend and got
	onPacket func(b []byte) [][]byte
}

type event struct {
	at    Instant
	order int64
	to    int
	buf   []byte
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].order < h[j].order
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	*h = old[:len(old)-1]
	return e
}

var (
	clientAddr = netip.MustParseAddrPort("192.0.2.1:1111")
	serverAddr = netip.MustParseAddrPort("192.0.2.2:9000")
)

func testConfig(id uint32) Config {
	return Config{
		Type: Stream, ID: id, ISN: 1000, MSS: 1500, Window: 8192,
		Controller: NewNative(), PeerTimeout: 30 * time.Second, ConnectTimeout: 10 * time.Second,
		PeerIP: serverAddr.Addr(),
	}
}

func newPair(t testing.TB, seed uint64, ab, ba simnet.Params) *pair {
	p := &pair{t: t, most: 4, rng: rand.New(rand.NewPCG(seed, 1))}
	var secret [32]byte
	secret[0] = byte(seed)
	p.acceptor = NewAcceptor(NewCookieJar(secret), Stream)
	for i := range p.ends {
		params := ab
		if i == 1 {
			params = ba
		}
		p.ends[i] = &end{p: p, i: i, link: simnet.NewLink(params, seed*2+uint64(i)), cfg: testConfig(uint32(100 + i)), stride: 1}
	}
	return p
}

// dial creates the client; the server appears when its request is accepted.
func (p *pair) dial() {
	e := p.ends[0]
	e.conn = NewClient(p.now, e.cfg)
	p.service(e)
}

// meet lets end i dial the other in a rendezvous.
func (p *pair) meet(i int) {
	e := p.ends[i]
	p.rendezvous = true
	e.conn = NewRendezvous(p.now, e.cfg)
	p.service(e)
}

// met reports whether both ends are connected.
func (p *pair) met() bool {
	for _, e := range p.ends {
		if e.conn == nil || e.conn.State() != StateConnected {
			return false
		}
	}
	return true
}

// data makes n pseudo-random bytes for end i to send.
func (p *pair) data(i, n int) {
	b := make([]byte, n)
	var word uint64
	for k := range b {
		if k%8 == 0 {
			word = p.rng.Uint64()
		}
		b[k] = byte(word >> (k % 8 * 8))
	}
	p.ends[i].toSend = b
	p.ends[1-i].want = b
}

// emit puts a datagram on the link of e.
func (p *pair) emit(e *end, b []byte) {
	out := [][]byte{b}
	if e.onPacket != nil {
		out = e.onPacket(b)
	}
	for _, b := range out {
		p.trace = traceHash(p.trace, p.now, e.i, b)
		arrivals := e.link.Send(int64(p.now), b, nil)
		if len(arrivals) == 0 && !IsControl(b) {
			e.lost++
		}
		for _, d := range arrivals {
			p.count++
			at := Instant(d.At)
			if p.late != nil {
				at = at.Add(p.late(e))
			}
			heap.Push(&p.events, event{at: at, order: p.count, to: 1 - e.i, buf: d.Buf})
		}
	}
}

// traceSeed is one for the whole run: traces are compared within it only.
var traceSeed = maphash.MakeSeed()

// traceHash goes on from trace by a packet, its time and its sender.
func traceHash(trace uint64, now Instant, i int, b []byte) uint64 {
	return maphash.Comparable(traceSeed, [4]uint64{trace, uint64(now), uint64(i), maphash.Bytes(traceSeed, b)})
}

// service lets an end do all it can at this moment.
func (p *pair) service(e *end) {
	c := e.conn
	if c == nil {
		return
	}
	c.HandleTimeout(p.now)
	p.verify(e)
	if e.talk != nil {
		e.talk(c)
	} else {
		e.stream(c)
	}
	p.verify(e)
	runs := make([]Run, 0, max(1, p.most))
	for n := 0; ; n++ {
		due, set := c.NextTimeout()
		out := c.Transmit(p.now, runs)
		if len(out) == 0 {
			break
		}
		if n > 100_000 {
			p.t.Fatalf("end %d: Transmit never ends: %s", e.i, p)
		}
		p.verify(e)
		if unasked(due, set, p.now, out[0].Buf) {
			p.t.Fatalf("end %d sends %x, but the next timeout was %v: %s", e.i, out[0].Buf, time.Duration(due), p)
		}
		for _, r := range out {
			for b := r.Buf; len(b) > 0; {
				n := min(r.Segment, len(b))
				p.emit(e, b[:n])
				b = b[n:]
			}
		}
	}
}

// stream lets an end write and read all it can.
func (e *end) stream(c *Conn) {
	p := e.p
	if c.Ready().Connected {
		for e.sent < len(e.toSend) {
			n := min(len(e.toSend)-e.sent, 1+p.rng.IntN(100_000))
			n = c.Write(p.now, e.toSend[e.sent:e.sent+n])
			if n == 0 {
				break
			}
			e.sent += n
		}
		if e.closing && e.sent == len(e.toSend) {
			e.closing = false
			c.Close(p.now, 180*time.Second)
		}
	}
	if e.slow == 0 || p.now >= e.readAt {
		for {
			n := c.Read(p.buf[:1+p.rng.IntN(len(p.buf))])
			if n == 0 {
				break
			}
			if p.sparse {
				e.take(p.buf[:n])
				continue
			}
			e.got.Write(p.buf[:n])
			if e.slow > 0 {
				e.readAt = p.now.Add(e.slow)
				break
			}
		}
	}
}

func (p *pair) verify(e *end) {
	if p.checks++; p.sparse && p.checks%1000 != 0 {
		return
	}
	if err := e.conn.check(); err != nil {
		p.t.Fatalf("at %v, end %d: %v", time.Duration(p.now), e.i, err)
	}
	if n := e.got.Len(); n > len(e.want) || !bytes.Equal(e.got.Bytes()[max(0, n-64):n], e.want[max(0, n-64):n]) {
		p.t.Fatalf("at %v, end %d: read %d bytes that are not the first of the %d sent", time.Duration(p.now), e.i, n, len(e.want))
	}
}

// deliver hands datagrams that arrive now for one end over, in runs.
func (p *pair) deliver(e *end, bufs [][]byte) {
	for len(bufs) > 0 {
		b := bufs[0]
		if p.rendezvous && (e.conn == nil || !addressed(b, e.conn)) {
			if e.conn != nil {
				e.conn.HandleRequest(p.now, b)
				p.verify(e)
			}
			bufs = bufs[1:]
			continue
		}
		if e.i == 1 && e.conn == nil {
			p.accept(e, b)
			bufs = bufs[1:]
			continue
		}
		if !addressed(b, e.conn) {
			if id, ok := Destination(b); e.i == 1 && ok && id == 0 {
				p.accept(e, b)
			}
			bufs = bufs[1:]
			continue
		}
		run := bytes.Clone(b)
		n := 1
		for n < len(bufs) && n < e.stride && len(bufs[n]) == len(b) {
			if !addressed(bufs[n], e.conn) {
				break
			}
			run = append(run, bufs[n]...)
			n++
		}
		e.conn.HandleRun(p.now, run, len(b))
		clear(run) // the engine must not keep it
		p.verify(e)
		bufs = bufs[n:]
	}
}

// addressed reports whether b is for the socket of c.
func addressed(b []byte, c *Conn) bool {
	id, ok := Destination(b)
	return ok && id == c.ID()
}

func (p *pair) accept(e *end, b []byte) {
	now := p.now
	if p.skew != nil {
		now += p.skew()
	}
	verdict, hs, reply := p.acceptor.Handle(now, clientAddr, Terms{MSS: e.cfg.MSS, Window: e.cfg.Window}, b, nil)
	switch verdict {
	case VerdictReply:
		p.emit(e, reply)
	case VerdictAccept:
		if e.conn != nil {
			e.conn.RepeatResponse()
			return
		}
		cfg := e.cfg
		if hs.early() && !p.ownIDs {
			cfg.ID = hs.EarlyID
		}
		e.conn = NewServer(p.now, cfg, hs)
	}
}

// step advances to the next event; false if there is none before limit.
func (p *pair) step(limit Instant) bool {
	next := never
	if len(p.events) > 0 {
		next = p.events[0].at
	}
	for _, e := range p.ends {
		if e.conn == nil {
			continue
		}
		if at, ok := e.conn.NextTimeout(); ok {
			at = max(at, p.now)
			if p.lag != nil && at > p.now {
				at = at.Add(p.lag())
			}
			next = min(next, at)
		}
		if e.slow > 0 && e.conn.Ready().Readable && e.readAt > p.now {
			next = min(next, e.readAt)
		}
	}
	if next > limit {
		p.now = limit
		return false
	}
	if next == p.now {
		p.steps++
		if p.steps > 100_000 {
			p.t.Fatalf("no progress of time: %s", p)
		}
	} else {
		p.steps = 0
	}
	p.now = next
	var arrived [2][][]byte
	for len(p.events) > 0 && p.events[0].at <= p.now {
		ev := heap.Pop(&p.events).(event)
		arrived[ev.to] = append(arrived[ev.to], ev.buf)
	}
	for i, e := range p.ends {
		p.deliver(e, arrived[i])
		p.service(e)
	}
	return true
}

// take compares what was read with what was sent.
func (e *end) take(b []byte) {
	if end := e.taken + len(b); end > len(e.want) || !bytes.Equal(b, e.want[e.taken:end]) {
		e.p.t.Fatalf("end %d: bytes from %d on are not as sent: %s", e.i, e.taken, e.p)
	}
	e.taken += len(b)
}

// run goes on until done says so; the test fails if that takes longer than
// limit of simulated time.
func (p *pair) run(limit time.Duration, done func() bool) {
	p.t.Helper()
	end := p.now.Add(limit)
	for !done() {
		if !p.step(end) {
			p.t.Fatalf("not done after %v: %s", limit, p)
		}
	}
}

// sleep lets d go by.
func (p *pair) sleep(d time.Duration) {
	end := p.now.Add(d)
	for p.step(end) {
	}
}

// delivered reports whether both ends have read all.
func (p *pair) delivered() bool {
	for _, e := range p.ends {
		if e.conn == nil || e.got.Len()+e.taken < len(e.want) {
			return false
		}
	}
	return true
}

func (p *pair) String() string {
	s := fmt.Sprintf("at %v", time.Duration(p.now))
	for _, e := range p.ends {
		if e.conn == nil {
			s += fmt.Sprintf("\n  end %d: no connection", e.i)
			continue
		}
		c := e.conn
		at, ok := c.NextTimeout()
		s += fmt.Sprintf("\n  end %d: state %d end %d, sent %d/%d, got %d/%d, una %d next %d tail %d lost %d flowEnd %d cwnd %.0f period %v, rcv read %d next %d high %d, rtt %v ack rtt %v, next timeout %v %v, %+v, link %+v",
			e.i, c.State(), c.End(), e.sent, len(e.toSend), e.got.Len(), len(e.want),
			c.snd.una, c.snd.next, c.snd.tail, c.snd.lostCount, c.flowEnd, c.cc.Window(), time.Duration(c.pace.period),
			c.rcv.read, c.rcv.next, c.rcv.high, c.rtt, c.ackRTT, time.Duration(at), ok, c.count, e.link.Stats())
	}
	return s
}
