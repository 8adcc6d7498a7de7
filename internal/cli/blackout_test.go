package cli

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// router passes datagrams between a listener and whoever dials it, as one that translates addresses does. It goes dark
// when so many bytes have passed; when it comes back the listener sees other addresses.
type router struct {
	t    *testing.T
	near *net.UDPConn
	far  *net.UDPAddr

	mu    sync.Mutex
	flows map[netip.AddrPort]*net.UDPConn // by who dials
	left  int                             // bytes until it goes dark; less than 0: it has been
	dark  bool
	all   sync.WaitGroup
}

func startRouter(t *testing.T, port string, most int) *router {
	t.Helper()
	far, err := net.ResolveUDPAddr("udp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	near, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	r := &router{t: t, near: near, far: far, flows: map[netip.AddrPort]*net.UDPConn{}, left: most}
	r.all.Go(r.forward)
	t.Cleanup(func() {
		near.Close()
		r.comeBack()
		r.all.Wait()
	})
	return r
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
		if to := r.flow(from); to != nil && r.passes(n) {
			_, _ = to.Write(b[:n]) // a datagram may get lost
		}
	}
}

// flow is the way to the listener for one who dials.
func (r *router) flow(from netip.AddrPort) *net.UDPConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.flows[from]; c != nil || r.dark {
		return c
	}
	c, err := net.DialUDP("udp", nil, r.far)
	if err != nil {
		r.t.Error(err)
		return nil
	}
	r.flows[from] = c
	r.all.Go(func() {
		b := make([]byte, 1<<16)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			if r.passes(n) {
				_, _ = r.near.WriteToUDPAddrPort(b[:n], from) // a datagram may get lost
			}
		}
	})
	return c
}

// passes counts n bytes, and tells whether they get through.
func (r *router) passes(n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left >= 0 && !r.dark {
		r.left -= n
		r.dark = r.left < 0
	}
	return !r.dark
}

// comeBack ends the dark, and all that was known of addresses.
func (r *router) comeBack() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.flows {
		c.Close()
	}
	clear(r.flows)
	r.dark = false
}

// TestBlackout: the network goes dark in the middle of a transfer and comes back with other addresses, when both ends have
// noticed: they find each other again and go on, with a file and a pipe, whoever dials.
func TestBlackout(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<19)
	patient := []string{"--timeout", "1s", "--retry-for", "5m"}
	for name, c := range map[string]struct{ senderDials, pipe bool }{
		"a file, the sender dials": {true, false}, "a pipe, the sender dials": {true, true},
		"a file, the receiver dials": {false, false}, "a pipe, the receiver dials": {false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, user := t.TempDir(), t.TempDir()
			out := filepath.Join(dir, "got")
			send := append([]string{"send"}, patient...)
			recv := append([]string{"recv", "-o", out}, patient...)
			source := writeFile(t, dir, "data", data)
			from := procOptions{udp: true, config: user}
			to := from
			if c.pipe {
				from.stdin, source = bytes.NewReader(data), "-"
			}
			var s, r *process
			if c.senderDials {
				r = start(t, to, append(recv, "--listen=127.0.0.1:0")...)
			} else {
				s = start(t, from, append(send, "--listen=127.0.0.1:0", source)...)
			}
			var between *router
			if c.senderDials {
				between = startRouter(t, r.listening(), 3<<20)
				s = start(t, from, append(send, "127.0.0.1:"+between.port(), source)...)
			} else {
				between = startRouter(t, s.listening(), 3<<20)
				r = start(t, to, append(recv, "127.0.0.1:"+between.port())...)
			}
			for _, p := range []*process{s, r} {
				p.stderr.await("trying for", p.done)
			}
			between.comeBack()
			s.ends(0).says("connected again")
			r.ends(0).says("connected again")
			if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}
