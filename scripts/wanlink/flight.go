//go:build linux

package main

// packet is a packet with its virtio header.
type packet struct {
	at    int64 // when it arrives
	order uint64
	size  int
	buf   [virtioHeader + 1500]byte
}

// packet returns what was on the wire.
func (p *packet) packet() []byte { return p.buf[virtioHeader:p.size] }

func (p *packet) before(q *packet) bool { return p.at < q.at || p.at == q.at && p.order < q.order }

// flight is the packets under way, by (time, order of sending), and a stock of memory for more.
type flight struct {
	heap  []*packet // the first at the root
	count uint64
	spare []*packet
}

// get gives memory for a packet.
func (f *flight) get() *packet {
	n := len(f.spare)
	if n == 0 {
		return new(packet)
	}
	p := f.spare[n-1]
	f.spare = f.spare[:n-1]
	return p
}

// put takes it back.
func (f *flight) put(p *packet) { f.spare = append(f.spare, p) }

func (f *flight) copyOf(p *packet) *packet {
	c := f.get()
	c.size = copy(c.buf[:], p.buf[:p.size])
	return c
}

func (f *flight) add(at int64, p *packet) {
	p.at, p.order = at, f.count
	f.count++
	f.heap = append(f.heap, p)
	i := len(f.heap) - 1
	for up := (i - 1) / 2; i > 0 && p.before(f.heap[up]); up = (i - 1) / 2 {
		f.heap[i] = f.heap[up]
		i = up
	}
	f.heap[i] = p
}

// first is when the next one arrives.
func (f *flight) first() (at int64, ok bool) {
	if len(f.heap) == 0 {
		return 0, false
	}
	return f.heap[0].at, true
}

// take removes the next one, which must exist.
func (f *flight) take() *packet {
	next, n := f.heap[0], len(f.heap)-1
	last := f.heap[n]
	f.heap[n] = nil
	f.heap = f.heap[:n]
	i := 0
	for kid := 1; kid < n; kid = 2*i + 1 {
		if kid+1 < n && f.heap[kid+1].before(f.heap[kid]) {
			kid++
		}
		if !f.heap[kid].before(last) {
			break
		}
		f.heap[i] = f.heap[kid]
		i = kid
	}
	if n > 0 {
		f.heap[i] = last
	}
	return next
}
