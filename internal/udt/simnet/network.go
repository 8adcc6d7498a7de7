package simnet

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/udtcp/udtcp/internal/udt/udpio"
)

// Network is hosts joined by links. It is safe for concurrent use. To run in a synctest bubble it must be made
// inside.
//
// There is no goroutine of its own: datagrams that are due are delivered by whoever sends, and by a timer for
// the first one that is not.
type Network struct {
	start time.Time

	mu    sync.Mutex
	seeds *rand.PCG
	hosts map[netip.Addr]*Host
	under events // datagrams under way

	reached []*socket // deliver's own
	timer   *time.Timer
	alarm   udpio.Alarm // in place of timer; nil unless Precise
	armed   bool
	due     int64 // when the timer fires, if armed
	closed  bool

	scratch []Delivery
}

// New returns a network without hosts. The seed decides the fate of all datagrams.
func New(seed uint64) *Network {
	return &Network{
		start: time.Now(),
		seeds: rand.NewPCG(seed, 0xda942042e4dd58b5),
		hosts: make(map[netip.Addr]*Host),
	}
}

// Precise makes the network keep time to well below a millisecond where the system can, and its sockets opened from
// then on offer the same to their users (udpio.AlarmMaker). It is for real time: an alarm does not know the clock of a
// synctest bubble.
func (n *Network) Precise() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.alarm != nil || n.closed {
		return
	}
	if a, err := udpio.NewAlarm(n.tick); err == nil { // else package time has to do
		n.alarm = a
	}
}

// Host returns the host with the address, making it if there is none.
func (n *Network) Host(addr netip.Addr) *Host {
	addr = addr.Unmap()
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hosts[addr]
	if h == nil {
		h = newHost(n, addr)
		n.hosts[addr] = h
	}
	return h
}

// Connect puts links between two hosts, with the parameters from a to b and from b to a. Times in Outages and
// Steps count from now. Connecting hosts again replaces the links; what is under way still arrives.
func (n *Network) Connect(a, b *Host, ab, ba Params) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	a.links[b] = &hop{NewLink(ab, n.seeds.Uint64()), now}
	b.links[a] = &hop{NewLink(ba, n.seeds.Uint64()), now}
}

// Disconnect takes the links between two hosts away: what they send to each other counts as a send error. What
// is under way still arrives.
func (n *Network) Disconnect(a, b *Host) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(a.links, b)
	delete(b.links, a)
}

// Stats returns the counts of the link from a to b, zero if there is none.
func (n *Network) Stats(a, b *Host) LinkStats {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := a.links[b]; h != nil {
		return h.link.Stats()
	}
	return LinkStats{}
}

// Close closes all sockets and drops what is under way.
func (n *Network) Close() {
	if a := n.shut(); a != nil {
		_ = a.Close() // its descriptor is gone in any case
	}
}

// shut is Close but for the alarm, whose end waits for a tick that may wait for the lock.
func (n *Network) shut() udpio.Alarm {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	a := n.alarm
	n.alarm = nil
	n.under = events{}
	if n.timer != nil {
		n.timer.Stop()
	}
	for _, h := range n.hosts {
		for _, s := range h.sockets {
			s.shut()
		}
		clear(h.sockets)
	}
	return a
}

// now is the time in ns since the network was made.
func (n *Network) now() int64 { return int64(time.Since(n.start)) }

// tick is what the timer calls.
func (n *Network) tick() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.armed = false
	n.deliver(n.now())
}

// deliver hands over what is due and sets the timer for what is not. The lock is held.
func (n *Network) deliver(now int64) {
	if n.closed {
		return
	}
	at, ok := n.under.first()
	for ok && at <= now {
		p := n.under.take()
		if s := p.to.sockets[p.port]; s != nil {
			s.arrive(p.from, p.buf)
			if len(n.reached) == 0 || n.reached[len(n.reached)-1] != s {
				n.reached = append(n.reached, s)
			}
		}
		at, ok = n.under.first()
	}
	// Readers wake up to all of what came at one moment.
	for _, s := range n.reached {
		s.more.Signal()
	}
	clear(n.reached)
	n.reached = n.reached[:0]
	if ok && (!n.armed || at < n.due) {
		n.arm(at, time.Duration(at-now))
	}
}

// grain is the least time between two alarms of a precise network: on a fast link datagrams come by the handful, each
// so much late at the most, and with them goes most of the processor time of waking up.
const grain = 100 * time.Microsecond

func (n *Network) arm(at int64, in time.Duration) {
	n.armed, n.due = true, at
	if n.alarm != nil && n.alarm.Set(max(in, grain)) == nil {
		return
	}
	if n.timer == nil {
		n.timer = time.AfterFunc(in, n.tick)
		return
	}
	n.timer.Reset(in)
}
