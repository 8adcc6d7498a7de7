package simnet

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// Link is one direction of a link. It is not safe for concurrent use.
type Link struct {
	p     Params
	rng   *rand.Rand
	wire  serialiser
	stats LinkStats

	now     int64    // latest time seen, ns
	last    int64    // latest arrival in order, ns
	outages []Outage // not over yet, in order of time
	inBurst bool
	slab    []byte // memory for copies, carved from the front
}

// NewLink returns a link at time 0. Equal parameters and seeds give equal links.
func NewLink(p Params, seed uint64) *Link {
	outages := slices.Clone(p.Outages)
	slices.SortStableFunc(outages, func(a, b Outage) int { return cmp.Compare(a.At, b.At) })
	return &Link{
		p:       p,
		rng:     rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)),
		wire:    newSerialiser(p),
		outages: outages,
	}
}

// Delivery is the arrival of a datagram.
type Delivery struct {
	At  int64  // ns from the start of the link
	Buf []byte // a copy that the receiver owns
}

// Send takes the datagram b at time now, in ns from the start of the link, and appends its deliveries to out:
// none, one or two. A time before that of an earlier call counts as that one. Nothing holds on to b.
func (l *Link) Send(now int64, b []byte, out []Delivery) []Delivery {
	left, ok := l.pass(now, len(b)+headerBytes)
	if !ok {
		return out
	}
	out = append(out, l.deliver(left, b))
	if l.duplicate() {
		out = append(out, l.deliver(left, b))
	}
	return out
}

// Forward is Send for who keeps the packet: it takes one of size bytes, headers included, and appends the times of
// its arrivals to out. It corrupts nothing; the bytes it counts are those of whole packets.
func (l *Link) Forward(now int64, size int, out []int64) []int64 {
	left, ok := l.pass(now, size)
	if !ok {
		return out
	}
	l.stats.Bytes += uint64(size)
	out = append(out, l.arrival(left))
	if l.duplicate() {
		l.stats.Bytes += uint64(size)
		out = append(out, l.arrival(left))
	}
	return out
}

// pass takes a packet of size bytes and tells when it has left the serialiser, or that it does not arrive.
func (l *Link) pass(now int64, size int) (left int64, ok bool) {
	l.now = max(l.now, now)
	l.stats.Seen++
	if l.p.MTU > 0 && size > l.p.MTU {
		l.stats.TooBig++
		return 0, false
	}
	left, ok = l.wire.take(l.now, size)
	switch {
	case !ok:
		l.stats.QueueFull++
		return 0, false
	case l.isOut(left):
		l.stats.Outage++
		return 0, false
	case l.lose():
		l.stats.Lost++
		return 0, false
	}
	l.stats.Passed++
	return left, true
}

func (l *Link) duplicate() bool {
	if !l.chance(l.p.Duplicate) {
		return false
	}
	l.stats.Duplicated++
	return true
}

// Stats returns the counts so far.
func (l *Link) Stats() LinkStats { return l.stats }

// chance is true with probability p. It draws only if there is something to decide.
func (l *Link) chance(p float64) bool { return p > 0 && l.rng.Float64() < p }

// isOut tells whether an outage is on at the time, which never decreases.
func (l *Link) isOut(at int64) bool {
	for len(l.outages) > 0 && at >= int64(l.outages[0].At+l.outages[0].For) {
		l.outages = l.outages[1:]
	}
	return len(l.outages) > 0 && at >= int64(l.outages[0].At)
}

// lose draws the fate of one datagram. Bursts are a two-state chain: from the bad state each lost datagram
// leads back to the good one with probability 1/BurstMean (Gilbert's model with certain loss).
func (l *Link) lose() bool {
	if l.inBurst || l.chance(l.p.BurstStart) {
		l.inBurst = l.p.BurstMean > 1 && l.rng.Float64()*l.p.BurstMean >= 1
		return true
	}
	return l.chance(l.p.Loss)
}

// deliver makes one copy of b that left the serialiser at the given time.
func (l *Link) deliver(left int64, b []byte) Delivery {
	buf := l.clone(b)
	l.stats.Bytes += uint64(len(b))
	if len(buf) > 0 && l.chance(l.p.Corrupt) {
		l.stats.Corrupted++
		bit := l.rng.IntN(8 * len(buf))
		buf[bit/8] ^= 1 << (bit % 8)
	}
	return Delivery{At: l.arrival(left), Buf: buf}
}

// arrival draws when a copy arrives that left the serialiser at the given time.
func (l *Link) arrival(left int64) int64 {
	at := left + int64(l.p.Delay)
	if l.p.Jitter > 0 {
		at += l.rng.Int64N(int64(l.p.Jitter) + 1)
	}
	at = max(at, l.last)
	l.last = at
	if l.p.ReorderBy > 0 && l.chance(l.p.Reorder) {
		l.stats.Reordered++
		at += int64(l.p.ReorderBy)
	}
	return at
}

// slabSize is how much memory is got at a time: one allocation serves many datagrams.
const slabSize = 64 << 10

// clone copies b to memory of its own; its capacity ends where it does.
func (l *Link) clone(b []byte) []byte {
	if len(b) > slabSize/4 {
		return slices.Clone(b)
	}
	if len(b) > len(l.slab) {
		l.slab = make([]byte, slabSize)
	}
	buf := l.slab[:len(b):len(b)]
	l.slab = l.slab[len(b):]
	copy(buf, b)
	return buf
}
