package proto

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// A path is a bottleneck shared by transfers in one direction, for tests of
// how much of it they use. Unlike a pair it checks neither bytes nor
// invariants, and so moves gigabytes in seconds.
type path struct {
	t        testing.TB
	now      Instant
	rate     float64 // bits/s of the bottleneck at the start
	link     *simnet.Link
	arrivals arrivalQueue // at the receivers
	carriers []*carrier
	block    [256 << 10]byte
	out      []simnet.Delivery
	every    time.Duration // between samples of each carrier
	sampleAt Instant
	onSample func()
	grain    Instant // receivers get the processor so often, and take what has come since; 0: always
}

// A carrier is one transfer on a path.
type carrier struct {
	p        *path
	i        int
	start    Instant
	size     int64 // bytes to send
	greeting int64 // of these, first and waiting until they have arrived
	cfg      Config
	far      time.Duration // added to each way
	acceptor *Acceptor
	from, to *Conn
	back     *simnet.Link
	arrivals arrivalQueue // at the sender
	written  int64
	got      int64
	doneAt   Instant
	reader   *reader     // nil: takes all at once
	onServer func(*Conn) // when it is there; may be nil
	samples  []carrierSample
	way      time.Duration // way through the bottleneck since the last sample
	held     int           // most packets in both buffers
}

type carrierSample struct {
	at  Instant
	got int64
	rtt time.Duration // smoothed
	way time.Duration // the longest through the bottleneck since the sample before; 0: nobody took it
}

// An arrivalQueue holds datagrams on their way, in order of arrival. Most are
// appended.
type arrivalQueue struct {
	q    []arrivalEvent
	head int
}

type arrivalEvent struct {
	at  Instant
	to  int // carrier
	buf []byte
}

func (q *arrivalQueue) push(e arrivalEvent) {
	if q.head > 1024 && q.head > len(q.q)/2 {
		q.q = slices.Delete(q.q, 0, q.head)
		q.head = 0
	}
	q.q = append(q.q, e)
	for k := len(q.q) - 1; k > q.head && q.q[k-1].at > q.q[k].at; k-- {
		q.q[k-1], q.q[k] = q.q[k], q.q[k-1]
	}
}

func (q *arrivalQueue) next() Instant {
	if q.head == len(q.q) {
		return never
	}
	return q.q[q.head].at
}

func (q *arrivalQueue) pop() arrivalEvent {
	e := q.q[q.head]
	q.q[q.head].buf = nil
	q.head++
	return e
}

// newPath makes a path over a bottleneck with the given parameters; Delay is
// half of the round trip.
func newPath(t testing.TB, seed uint64, p simnet.Params) *path {
	return &path{t: t, rate: p.Rate, link: simnet.NewLink(p, seed), every: 20 * ms}
}

// transfer adds a transfer of size bytes that starts at the given time, over
// the bottleneck and back by a link of its own.
func (p *path) transfer(start time.Duration, size int64, cc Controller, back simnet.Params) *carrier {
	i := len(p.carriers)
	rng := rand.New(rand.NewPCG(uint64(i), 77))
	cfg := testConfig(uint32(1000 + i))
	cfg.ISN = Seq(rng.Uint32() & SeqMask)
	cfg.Controller, cfg.EarlyData = cc, true
	cfg.Window = (256 << 20) / 1456
	c := &carrier{
		p: p, i: i, start: Instant(start), size: size, cfg: cfg, doneAt: never,
		acceptor: NewAcceptor(NewCookieJar([32]byte{1}), Stream),
		back:     simnet.NewLink(back, uint64(i)+500),
	}
	p.carriers = append(p.carriers, c)
	return c
}

// run goes on until every transfer is done or the time has come.
func (p *path) run(limit time.Duration) {
	for p.now < Instant(limit) {
		next := min(Instant(limit), p.taken())
		done := true
		for _, c := range p.carriers {
			done = done && c.doneAt != never
			next = min(next, c.next())
		}
		if done {
			return
		}
		p.now = max(p.now, next)
		if p.sampleAt <= p.now {
			p.sample()
		}
		for p.taken() <= p.now {
			e := p.arrivals.pop()
			p.carriers[e.to].receive(e.buf)
		}
		for _, c := range p.carriers {
			for c.arrivals.next() <= p.now {
				c.from.HandleDatagram(p.now, c.arrivals.pop().buf)
			}
			c.service()
		}
	}
}

// taken is when what arrives next will be.
func (p *path) taken() Instant {
	at := p.arrivals.next()
	if p.grain > 0 && at != never {
		at = (at + p.grain - 1) / p.grain * p.grain
	}
	return at
}

func (p *path) sample() {
	p.sampleAt = p.now.Add(p.every)
	for _, c := range p.carriers {
		if c.from == nil {
			continue
		}
		c.samples = append(c.samples, carrierSample{at: p.now, got: c.got, rtt: c.from.rtt.srtt, way: c.way})
		c.way = 0
		held := c.from.snd.held()
		if c.to != nil {
			held += int(c.to.rcv.high - c.to.rcv.read)
		}
		c.held = max(c.held, held)
	}
	if p.onSample != nil {
		p.onSample()
	}
}

// next is when the carrier has something to do.
func (c *carrier) next() Instant {
	if c.from == nil {
		return c.start
	}
	next := c.arrivals.next()
	for _, conn := range []*Conn{c.from, c.to} {
		if conn == nil {
			continue
		}
		if at, ok := conn.NextTimeout(); ok {
			next = min(next, at)
		}
	}
	if c.reader != nil && c.to != nil {
		next = min(next, c.reader.at)
	}
	return next
}

// receive takes a datagram at the receiver's end.
func (c *carrier) receive(b []byte) {
	if id, _ := Destination(b); c.to != nil && id == c.to.ID() {
		c.to.HandleDatagram(c.p.now, b)
		return
	}
	verdict, hs, reply := c.acceptor.Handle(c.p.now, clientAddr, Terms{MSS: c.cfg.MSS, Window: c.cfg.Window}, b, nil)
	switch {
	case verdict == VerdictReply:
		c.answer(reply)
	case verdict == VerdictAccept && c.to == nil:
		cfg := c.cfg
		cfg.ID, cfg.Controller = hs.EarlyID, NewNative()
		c.to = NewServer(c.p.now, cfg, hs)
		if c.onServer != nil {
			c.onServer(c.to)
		}
	case verdict == VerdictAccept:
		c.to.RepeatResponse()
	}
}

func (c *carrier) answer(b []byte) {
	for _, d := range c.back.Send(int64(c.p.now), b, nil) {
		c.arrivals.push(arrivalEvent{at: Instant(d.At).Add(c.far), buf: d.Buf})
	}
}

// service lets both ends do all they can.
func (c *carrier) service() {
	p := c.p
	if c.from == nil {
		if p.now < c.start {
			return
		}
		c.from = NewClient(p.now, c.cfg)
	}
	c.from.HandleTimeout(p.now)
	if c.from.State() == StateConnected {
		size := c.size
		if c.written < c.greeting || c.got <= c.greeting && c.from.Unacknowledged() > 0 {
			size = min(size, max(c.written, c.greeting))
		}
		for c.written < size {
			n := c.from.Write(p.now, p.block[:min(int64(len(p.block)), size-c.written)])
			if n == 0 {
				break
			}
			c.written += int64(n)
		}
	}
	c.transmit(c.from, func(b []byte) {
		p.out = p.link.Send(int64(p.now), b, p.out[:0])
		for _, d := range p.out {
			c.way = max(c.way, Instant(d.At).Sub(p.now))
			p.arrivals.push(arrivalEvent{at: Instant(d.At).Add(c.far), to: c.i, buf: d.Buf})
		}
	})
	if c.to == nil {
		return
	}
	c.to.HandleTimeout(p.now)
	for left := c.reader.budget(p.now); left > 0; {
		n := c.to.Read(p.block[:min(left, len(p.block))])
		if n == 0 {
			break
		}
		left -= n
		c.got += int64(n)
	}
	if c.got == c.size && c.doneAt == never {
		c.doneAt = p.now
	}
	c.transmit(c.to, c.answer)
}

func (c *carrier) transmit(conn *Conn, emit func([]byte)) {
	var runs [4]Run
	for {
		out := conn.Transmit(c.p.now, runs[:0])
		if len(out) == 0 {
			return
		}
		for _, r := range out {
			for b := r.Buf; len(b) > 0; {
				n := min(r.Segment, len(b))
				emit(b[:n])
				b = b[n:]
			}
		}
	}
}

// between returns the payload bits/s that a carrier's receiver got from one
// time to another.
func (c *carrier) between(from, to time.Duration) float64 {
	a, b := c.sampleAt(from), c.sampleAt(to)
	if b.at <= a.at {
		return 0
	}
	return float64(b.got-a.got) * 8 / b.at.Sub(a.at).Seconds()
}

func (c *carrier) sampleAt(at time.Duration) carrierSample {
	var last carrierSample
	for _, s := range c.samples {
		if s.at > Instant(at) {
			break
		}
		last = s
	}
	return last
}

// share is goodput over what the link carries of payload after its losses:
// from the start of the transfer to its end, two round trips of handshake
// included.
func (c *carrier) share(loss float64) float64 {
	if c.doneAt == never {
		return math.NaN()
	}
	return float64(c.size) * 8 / c.doneAt.Sub(c.start).Seconds() / (c.p.rate * 1456 / 1500 * (1 - loss))
}

// overhead is the share of packets that were sent again.
func (c *carrier) overhead() float64 {
	return float64(c.from.count.Retransmitted) / float64(c.from.count.DataSent)
}

// jain is Jain's index of fairness.
func jain(x ...float64) float64 {
	sum, squares := 0.0, 0.0
	for _, v := range x {
		sum += v
		squares += v * v
	}
	return sum * sum / float64(len(x)) / squares
}
