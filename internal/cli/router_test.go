package cli

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync"
)

// router passes datagrams between a listener on this host and whoever dials it, as one that translates addresses does.
type router struct {
	near *net.UDPConn
	far  *net.UDPAddr
	pass func(back bool, n int) bool // whether a datagram of n bytes gets through; back: it is the listener's

	mu    sync.Mutex
	flows map[netip.AddrPort]*net.UDPConn // by who dials
	err   error                           // why a flow could not be made

	forwarding, answering sync.WaitGroup
}

// newRouter routes to the listener at port until close.
func newRouter(port string, pass func(back bool, n int) bool) (*router, error) {
	far, err := net.ResolveUDPAddr("udp", "127.0.0.1:"+port)
	if err != nil {
		return nil, err
	}
	near, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	r := &router{near: near, far: far, pass: pass, flows: map[netip.AddrPort]*net.UDPConn{}}
	r.forwarding.Go(r.forward)
	return r, nil
}

// close ends the routing and tells what it could not do.
func (r *router) close() error {
	r.near.Close()
	r.forwarding.Wait()
	r.forget()
	r.answering.Wait()
	return r.err
}

func (r *router) port() string { return strconv.Itoa(r.near.LocalAddr().(*net.UDPAddr).Port) }

// forward passes on what comes from those who dial.
func (r *router) forward() {
	b := make([]byte, 1<<16)
	for {
		n, from, err := r.near.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		if !r.pass(false, n) {
			continue
		}
		if to := r.flow(from); to != nil {
			_, _ = to.Write(b[:n]) // a datagram may get lost
		}
	}
}

// flow is the way to the listener for one who dials.
func (r *router) flow(from netip.AddrPort) *net.UDPConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.flows[from]; c != nil {
		return c
	}
	c, err := net.DialUDP("udp", nil, r.far)
	if err != nil {
		r.err = errors.Join(r.err, err)
		return nil
	}
	r.flows[from] = c
	r.answering.Go(func() {
		b := make([]byte, 1<<16)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			if r.pass(true, n) {
				_, _ = r.near.WriteToUDPAddrPort(b[:n], from) // a datagram may get lost
			}
		}
	})
	return c
}

// forget drops all that is known of addresses: from then on the listener sees others.
func (r *router) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.flows {
		c.Close()
	}
	clear(r.flows)
}
