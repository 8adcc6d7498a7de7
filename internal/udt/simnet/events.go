package simnet

import "net/netip"

// packet is a datagram under way.
type packet struct {
	from netip.AddrPort
	to   *Host
	port uint16
	buf  []byte
}

// event is the arrival of a packet.
type event struct {
	at    int64 // ns from the start of the network
	order uint64
	p     *packet
}

func (e event) before(f event) bool { return e.at < f.at || e.at == f.at && e.order < f.order }

// events is a heap ordered by (time, order of sending), and a stock of packets to use again.
type events struct {
	heap  []event
	count uint64
	spare []*packet
}

func (q *events) add(at int64, p packet) {
	var box *packet
	if n := len(q.spare); n > 0 {
		box, q.spare = q.spare[n-1], q.spare[:n-1]
	} else {
		box = new(packet)
	}
	*box = p
	e := event{at, q.count, box}
	q.count++

	q.heap = append(q.heap, e)
	i := len(q.heap) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !e.before(q.heap[up]) {
			break
		}
		q.heap[i] = q.heap[up]
		i = up
	}
	q.heap[i] = e
}

// first returns the time of the first arrival.
func (q *events) first() (int64, bool) {
	if len(q.heap) == 0 {
		return 0, false
	}
	return q.heap[0].at, true
}

// take removes the first arrival, which must exist.
func (q *events) take() packet {
	box := q.heap[0].p
	n := len(q.heap) - 1
	e := q.heap[n]
	q.heap[n] = event{}
	q.heap = q.heap[:n]
	if n > 0 {
		q.sink(e)
	}
	p := *box
	*box = packet{}
	q.spare = append(q.spare, box)
	return p
}

// sink puts e in the place of the root and moves it down to where it belongs.
func (q *events) sink(e event) {
	i := 0
	for {
		kid := 2*i + 1
		if kid >= len(q.heap) {
			break
		}
		if kid+1 < len(q.heap) && q.heap[kid+1].before(q.heap[kid]) {
			kid++
		}
		if !q.heap[kid].before(e) {
			break
		}
		q.heap[i] = q.heap[kid]
		i = kid
	}
	q.heap[i] = e
}
