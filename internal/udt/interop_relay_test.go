package udt_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// way is the direction a datagram takes through a relay.
type way int

const (
	toServer way = iota
	toClient
)

// fate is what a relay does with one datagram. The zero value passes it on.
type fate struct {
	drop   bool
	copies int           // more of the same, sent right behind
	delay  time.Duration // later datagrams overtake it
}

// A rule decides over one datagram and may change its bytes. A relay calls it
// for one datagram at a time.
type rule func(w way, b []byte) fate

// relay is a UDP hop between clients and one server. Each client address gets
// a socket of its own towards the server, so the server can tell them apart.
type relay struct {
	rule   rule
	tap    func(w way, b []byte, f fate) // sees what arrives, before the rule changes it
	front  *net.UDPConn
	server netip.AddrPort
	wg     sync.WaitGroup
	ctx    context.Context

	ruleMu sync.Mutex
	mu     sync.Mutex
	back   map[netip.AddrPort]*net.UDPConn
	closed bool
}

// relayBuffer is the kernel buffer asked for on each of a relay's sockets.
const relayBuffer = 4 << 20

// newRelay starts a relay to server that ends with the test. A nil rule passes
// everything, a nil tap sees nothing.
func newRelay(t *testing.T, server netip.AddrPort, decide rule, tap func(way, []byte, fate)) *relay {
	t.Helper()
	front, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(server.Addr(), 0)))
	if err != nil {
		t.Fatal(err)
	}
	_ = front.SetReadBuffer(relayBuffer) // a wish; the kernel's limit is good enough
	r := &relay{rule: decide, tap: tap, front: front, server: server, ctx: t.Context(), back: map[netip.AddrPort]*net.UDPConn{}}
	r.wg.Go(r.readFront)
	t.Cleanup(r.close)
	return r
}

// addr is where clients find the relay.
func (r *relay) addr() netip.AddrPort { return addrPort(r.front.LocalAddr()) }

func (r *relay) close() {
	r.mu.Lock()
	r.closed = true
	_ = r.front.Close()
	for _, c := range r.back {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

func (r *relay) readFront() {
	buf := make([]byte, 65536)
	for {
		n, from, err := r.front.ReadFromUDPAddrPort(buf)
		if err != nil {
			if r.isClosed() {
				return
			}
			continue
		}
		back := r.backFor(from)
		if back == nil {
			return
		}
		r.pass(toServer, buf[:n], func(b []byte) { _, _ = back.Write(b) })
	}
}

func (r *relay) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

func (r *relay) backFor(client netip.AddrPort) *net.UDPConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.back[client]; c != nil || r.closed {
		return c
	}
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(r.server))
	if err != nil {
		return nil
	}
	_ = c.SetReadBuffer(relayBuffer)
	r.back[client] = c
	r.wg.Go(func() { r.readBack(c, client) })
	return c
}

func (r *relay) readBack(c *net.UDPConn, client netip.AddrPort) {
	buf := make([]byte, 65536)
	for {
		n, err := c.Read(buf)
		if err != nil {
			if r.isClosed() {
				return
			}
			continue // a refused datagram; the server may come back
		}
		r.pass(toClient, buf[:n], func(b []byte) { _, _ = r.front.WriteToUDPAddrPort(b, client) })
	}
}

// pass applies the rule to b and sends what is left. Errors of send are loss
// on the way, as on any network.
func (r *relay) pass(w way, b []byte, send func([]byte)) {
	var f fate
	r.ruleMu.Lock()
	var arrived []byte
	if r.tap != nil {
		arrived = append(arrived, b...)
	}
	if r.rule != nil {
		f = r.rule(w, b)
	}
	if r.tap != nil {
		r.tap(w, arrived, f)
	}
	r.ruleMu.Unlock()
	switch {
	case f.drop:
	case f.delay > 0:
		late := append([]byte(nil), b...)
		r.wg.Go(func() {
			timer := time.NewTimer(f.delay)
			defer timer.Stop()
			select {
			case <-timer.C:
				send(late)
			case <-r.ctx.Done():
			}
		})
	default:
		for range 1 + f.copies {
			send(b)
		}
	}
}

// both applies one rule after the other; the worse fate wins.
func both(a, b rule) rule {
	return func(w way, p []byte) fate {
		f, g := a(w, p), b(w, p)
		return fate{drop: f.drop || g.drop, copies: f.copies + g.copies, delay: f.delay + g.delay}
	}
}

// lose drops every datagram with probability p, both ways, by seed. Shutdowns
// pass: libudt sends a single one, and without it nobody can tell a peer that
// has closed from one that has died.
func lose(p float64, seed uint64) rule {
	rng := rand.New(rand.NewPCG(seed, 1))
	return func(_ way, b []byte) fate {
		goodbye := isControl(b) && controlType(b) == typeShutdown
		return fate{drop: rng.Float64() < p && !goodbye}
	}
}

// jumble delays one datagram in every and doubles another, by seed.
func jumble(every int, delay time.Duration, seed uint64) rule {
	rng := rand.New(rand.NewPCG(seed, 2))
	return func(way, []byte) fate {
		switch rng.IntN(every) {
		case 0:
			return fate{delay: delay}
		case 1:
			return fate{copies: 1}
		}
		return fate{}
	}
}

// shiftISN makes the server believe that a client's initial sequence number is
// isn: every sequence number is moved by the same distance, there and back.
// Use it for one connection.
func shiftISN(isn uint32) rule {
	var distance uint32
	known := false
	return func(w way, b []byte) fate {
		if w == toServer && !known && len(b) >= 64 && isHandshake(b) {
			known = true
			distance = isn - binary.BigEndian.Uint32(b[16+8:])
		}
		if w == toServer {
			moveSequence(b, distance)
		} else {
			moveSequence(b, -distance)
		}
		return fate{}
	}
}

const sequenceMask = 1<<31 - 1

// moveSequence adds distance to every sequence number of a UDT packet.
func moveSequence(b []byte, distance uint32) {
	if len(b) < 16 {
		return
	}
	move := func(at int) {
		if len(b) >= at+4 {
			v := binary.BigEndian.Uint32(b[at:])
			binary.BigEndian.PutUint32(b[at:], v&^sequenceMask|(v+distance)&sequenceMask)
		}
	}
	if !isControl(b) {
		move(0)
		return
	}
	switch controlType(b) {
	case typeHandshake:
		move(16 + 8)
	case typeACK:
		move(16)
	case typeNAK, typeDrop:
		for at := 16; at < len(b); at += 4 {
			move(at)
		}
	}
}

// The control types rules and captures tell apart. They are spelled out here
// rather than taken from our codec, which these tests are to judge.
const (
	typeHandshake = 0
	typeKeepAlive = 1
	typeACK       = 2
	typeNAK       = 3
	typeShutdown  = 5
	typeACK2      = 6
	typeDrop      = 7
	typePeerError = 8
)

func isControl(b []byte) bool   { return len(b) >= 16 && b[0]&0x80 != 0 }
func isData(b []byte) bool      { return len(b) >= 16 && b[0]&0x80 == 0 }
func controlType(b []byte) int  { return int(binary.BigEndian.Uint16(b) & 0x7fff) }
func isHandshake(b []byte) bool { return isControl(b) && controlType(b) == typeHandshake }

// handshakeRequest is the request type of a handshake packet.
func handshakeRequest(b []byte) int32 {
	return int32(binary.BigEndian.Uint32(b[16+20:]))
}

func addrPort(a net.Addr) netip.AddrPort {
	ap := netip.MustParseAddrPort(a.String())
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
