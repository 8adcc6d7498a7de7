package udpio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
)

// modes are the ways a socket can work; each subtest opens its sockets under one of them.
var modes = []struct {
	name string
	off  []string
}{
	{"all", nil},
	{"no GSO", []string{envNoGSO}},
	{"no GRO", []string{envNoGRO}},
	{"no GSO, no GRO", []string{envNoGSO, envNoGRO}},
	{"portable", []string{envNoMMsg}},
}

func eachMode(t *testing.T, f func(t *testing.T)) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			for _, v := range []string{envNoGSO, envNoGRO, envNoMMsg} {
				t.Setenv(v, "")
			}
			for _, v := range m.off {
				t.Setenv(v, "1")
			}
			f(t)
		})
	}
}

var (
	loop4 = netip.MustParseAddrPort("127.0.0.1:0")
	loop6 = netip.MustParseAddrPort("[::1]:0")
	any6  = netip.MustParseAddrPort("[::]:0")
	any4  = netip.MustParseAddrPort("0.0.0.0:0")
)

func listen(t *testing.T, addr netip.AddrPort, cfg Config) Socket {
	t.Helper()
	s, err := Listen(addr, cfg)
	if err != nil {
		if addr.Addr().Is6() {
			t.Skipf("no IPv6 here: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

// inbox reads a socket datagram by datagram.
type inbox struct {
	s    Socket
	ms   []Message
	left []datagram
}

type datagram struct {
	from netip.AddrPort
	b    []byte
}

func newInbox(s Socket, messages int) *inbox {
	in := &inbox{s: s, ms: make([]Message, messages)}
	for i := range in.ms {
		in.ms[i].Buf = make([]byte, MaxRead)
	}
	return in
}

func (in *inbox) next() (datagram, error) {
	for len(in.left) == 0 {
		n, err := in.s.ReadBatch(in.ms)
		if err != nil {
			return datagram{}, err
		}
		for i := range in.ms[:n] {
			in.left = append(in.left, split(&in.ms[i])...)
		}
	}
	d := in.left[0]
	in.left = in.left[1:]
	return d, nil
}

// split copies the datagrams out of a message.
func split(m *Message) (ds []datagram) {
	for b := m.Buf; ; {
		n := len(b)
		if m.Segment > 0 {
			n = min(n, m.Segment)
		}
		ds = append(ds, datagram{m.Addr, bytes.Clone(b[:n])})
		if b = b[n:]; len(b) == 0 {
			return ds
		}
	}
}

func (in *inbox) mustNext(t *testing.T) datagram {
	t.Helper()
	d, err := in.next()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// run makes n datagrams of the given size, the last one of another, each with its number in front.
func run(n, size, last int) []byte {
	b := make([]byte, (n-1)*size+last)
	for i := range b {
		b[i] = byte(i * 7 / 3)
	}
	for i := range n {
		binary.BigEndian.PutUint16(b[i*size:], uint16(i))
	}
	return b
}

func wantRun(t *testing.T, in *inbox, want []byte, size int) {
	t.Helper()
	for i := 0; len(want) > 0; i++ {
		n := min(size, len(want))
		if d := in.mustNext(t); !bytes.Equal(d.b, want[:n]) {
			t.Fatalf("datagram %d: got %d bytes %x…, want %d bytes %x…", i, len(d.b), d.b[:min(8, len(d.b))], n, want[:min(8, n)])
		}
		want = want[n:]
	}
}

func TestRunArrives(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		for _, local := range []netip.AddrPort{loop4, loop6} {
			t.Run(local.Addr().String(), func(t *testing.T) {
				a, b := listen(t, local, Config{ReadBuffer: 1 << 20}), listen(t, local, Config{ReadBuffer: 1 << 20})
				in := newInbox(b, 4)
				for _, c := range []struct{ n, size, last int }{
					{44, 1472, 700}, {44, 1472, 1472}, {2, 1472, 2}, {1, 1472, 1472}, {200, 16, 5}, {3, 30000, 4},
				} {
					want := run(c.n, c.size, c.last)
					sent := bytes.Clone(want)
					if err := a.WriteBatch([]Message{{Addr: b.LocalAddr(), Buf: sent, Segment: c.size}}); err != nil {
						t.Fatal(err)
					}
					clear(sent) // it must not be looked at any more
					wantRun(t, in, want, c.size)
				}
				if i := a.Info(); i.SendErrors != 0 {
					t.Errorf("send errors: %+v", i)
				}
				if i := b.Info(); i.Drops != 0 {
					t.Errorf("drops: %+v", i)
				}
			})
		}
	})
}

func TestBatchKeepsOrderAndAddresses(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		a, b, c := listen(t, loop4, Config{}), listen(t, loop4, Config{}), listen(t, loop4, Config{})
		var ms []Message
		for i := range 100 {
			to := b
			if i%2 == 1 {
				to = c
			}
			ms = append(ms, Message{Addr: to.LocalAddr(), Buf: []byte{byte(i)}})
		}
		if err := a.WriteBatch(ms); err != nil {
			t.Fatal(err)
		}
		inB, inC := newInbox(b, 8), newInbox(c, 8)
		for i := range 100 {
			in := inB
			if i%2 == 1 {
				in = inC
			}
			d := in.mustNext(t)
			if d.b[0] != byte(i) || d.from != a.LocalAddr() {
				t.Fatalf("message %d: got %d from %v, want from %v", i, d.b[0], d.from, a.LocalAddr())
			}
		}
	})
}

func TestFamilies(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		at := func(host string, s Socket) netip.AddrPort {
			return netip.AddrPortFrom(netip.MustParseAddr(host), s.LocalAddr().Port())
		}
		for _, c := range []struct {
			name       string
			bind       netip.AddrPort
			dial, from netip.AddrPort
		}{
			{"IPv4 to dual stack", any6, loop4, loop4},
			{"IPv6 to dual stack", any6, loop6, loop6},
			{"zero address is dual stack", netip.AddrPort{}, loop6, loop6},
			{"IPv4 to any IPv4", any4, loop4, loop4},
			{"mapped local address is IPv4", netip.MustParseAddrPort("[::ffff:127.0.0.1]:0"), loop4, loop4},
		} {
			t.Run(c.name, func(t *testing.T) {
				server, client := listen(t, c.bind, Config{}), listen(t, c.from, Config{})
				to := at(c.dial.Addr().String(), server)
				if err := client.WriteBatch([]Message{{Addr: to, Buf: []byte("ping")}}); err != nil {
					t.Fatal(err)
				}
				d := newInbox(server, 1).mustNext(t)
				if string(d.b) != "ping" || d.from != client.LocalAddr() {
					t.Fatalf("got %q from %v, want from %v", d.b, d.from, client.LocalAddr())
				}
				if err := server.WriteBatch([]Message{{Addr: d.from, Buf: []byte("pong")}}); err != nil {
					t.Fatal(err)
				}
				if d := newInbox(client, 1).mustNext(t); string(d.b) != "pong" || d.from != to {
					t.Fatalf("got %q from %v, want from %v", d.b, d.from, to)
				}
			})
		}
	})
}

func TestLocalAddr(t *testing.T) {
	for _, a := range []netip.AddrPort{loop4, loop6, any4, any6} {
		got := listen(t, a, Config{}).LocalAddr()
		if got.Addr() != a.Addr() || got.Port() == 0 {
			t.Errorf("listening on %v: local address %v", a, got)
		}
	}
}

// A link-local address means nothing without its zone, on the way in and on the way out.
func TestZone(t *testing.T) {
	local := linkLocal(t)
	eachMode(t, func(t *testing.T) {
		a, b := listen(t, netip.AddrPortFrom(local, 0), Config{}), listen(t, netip.AddrPortFrom(local, 0), Config{})
		if err := a.WriteBatch([]Message{{Addr: b.LocalAddr(), Buf: []byte("ping")}}); err != nil {
			t.Fatal(err)
		}
		d := newInbox(b, 1).mustNext(t)
		if d.from != a.LocalAddr() {
			t.Fatalf("from %v, want %v", d.from, a.LocalAddr())
		}
		if err := b.WriteBatch([]Message{{Addr: d.from, Buf: []byte("pong")}}); err != nil {
			t.Fatal(err)
		}
		newInbox(a, 1).mustNext(t)
	})
}

func linkLocal(t *testing.T) netip.Addr {
	t.Helper()
	ifs, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, ifi := range ifs {
		addrs, err := ifi.Addrs()
		if err != nil || ifi.Flags&net.FlagUp == 0 {
			continue
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() {
				return p.Addr().WithZone(ifi.Name)
			}
		}
	}
	t.Skip("no interface with a link-local address")
	return netip.Addr{}
}

func TestConcurrentWriters(t *testing.T) {
	const writers, rounds, segments, size = 4, 50, 8, 500
	eachMode(t, func(t *testing.T) {
		a, b := listen(t, loop4, Config{}), listen(t, loop4, Config{ReadBuffer: 1 << 20})
		room := make(chan struct{}, 64) // datagrams under way: nothing is dropped, everything is counted
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				buf := make([]byte, segments*size)
				for r := range rounds {
					for s := range segments {
						room <- struct{}{}
						binary.BigEndian.PutUint32(buf[s*size:], uint32(w<<16|r*segments+s))
					}
					if err := a.WriteBatch([]Message{{Addr: b.LocalAddr(), Buf: buf, Segment: size}}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		in := newInbox(b, 16)
		var next [writers]int
		for range writers * rounds * segments {
			d := in.mustNext(t)
			<-room
			v := binary.BigEndian.Uint32(d.b)
			if w, n := v>>16, int(v&0xffff); len(d.b) != size || n != next[w] {
				t.Fatalf("writer %d: got number %d with %d bytes, want %d with %d", w, n, len(d.b), next[w], size)
			}
			next[v>>16]++
		}
		wg.Wait()
	})
}

func TestCloseUnblocks(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		s := listen(t, loop4, Config{})
		errs := make(chan error)
		for range 2 {
			go func() {
				_, err := newInbox(s, 4).next()
				errs <- err
			}()
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-errs; err != net.ErrClosed {
				t.Errorf("ReadBatch: %v", err)
			}
		}
		if err := s.WriteBatch([]Message{{Addr: s.LocalAddr(), Buf: []byte{1}}}); err != net.ErrClosed {
			t.Errorf("WriteBatch: %v", err)
		}
		if err := s.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}
	})
}

func TestUnsendableIsCounted(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		a, b := listen(t, loop4, Config{}), listen(t, loop4, Config{})
		bad := []Message{
			{Addr: netip.AddrPort{}, Buf: []byte{1}},
			{Addr: netip.AddrPortFrom(loop4.Addr(), 0), Buf: []byte{1}},
			{Addr: netip.MustParseAddrPort("[::1]:9"), Buf: make([]byte, 30), Segment: 10},
			{Addr: b.LocalAddr(), Buf: make([]byte, 65508)}, // EMSGSIZE
		}
		good := Message{Addr: b.LocalAddr(), Buf: []byte("good")}
		ms := []Message{good}
		for _, m := range bad {
			ms = append(ms, m, good)
		}
		if err := a.WriteBatch(ms); err != nil {
			t.Fatal(err)
		}
		if got := a.Info().SendErrors; got != 6 {
			t.Errorf("%d send errors, want 6", got)
		}
		in := newInbox(b, 4)
		for range len(bad) + 1 {
			if d := in.mustNext(t); string(d.b) != "good" {
				t.Fatalf("got %d bytes", len(d.b))
			}
		}
	})
}

func TestEmptyDatagram(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		a, b := listen(t, loop4, Config{}), listen(t, loop4, Config{})
		ms := []Message{{Addr: b.LocalAddr()}, {Addr: b.LocalAddr(), Buf: []byte("x")}}
		if err := a.WriteBatch(ms); err != nil {
			t.Fatal(err)
		}
		in := newInbox(b, 1)
		if first, second := in.mustNext(t), in.mustNext(t); len(first.b) != 0 || string(second.b) != "x" {
			t.Errorf("got %q and %q", first.b, second.b)
		}
	})
}

// A connected socket hears of closed ports through ICMP; neither half may stumble over it.
func TestConnectedSocketSurvivesRefusal(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		gone := listen(t, loop4, Config{})
		c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(gone.LocalAddr()))
		if err != nil {
			t.Fatal(err)
		}
		s, err := FromConn(c, Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		addr := gone.LocalAddr()
		if err := gone.Close(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := s.WriteBatch([]Message{{Addr: addr, Buf: []byte{1}}, {Addr: addr, Buf: []byte{2}}}); err != nil {
				t.Fatal(err)
			}
		}
		back, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr))
		if err != nil {
			t.Skipf("someone else took the port: %v", err)
		}
		defer back.Close()
		if _, err := back.WriteToUDPAddrPort([]byte("here"), s.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		if d := newInbox(s, 2).mustNext(t); string(d.b) != "here" {
			t.Errorf("got %q", d.b)
		}
		if err := s.WriteBatch([]Message{{Addr: addr, Buf: []byte("there")}}); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 10)
		if n, _, err := back.ReadFromUDPAddrPort(buf); err != nil || string(buf[:n]) != "there" {
			t.Errorf("got %q, %v", buf[:n], err)
		}
	})
}

func TestBuffers(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		i := listen(t, loop4, Config{ReadBuffer: 100_000, WriteBuffer: 50_000}).Info()
		if i.ReadBuffer != 100_000 || i.WriteBuffer != 50_000 {
			t.Errorf("granted %d and %d", i.ReadBuffer, i.WriteBuffer)
		}
	})
}

func TestNoAllocation(t *testing.T) {
	eachMode(t, func(t *testing.T) {
		for _, local := range []netip.AddrPort{loop4, loop6} {
			a, b := listen(t, local, Config{}), listen(t, local, Config{ReadBuffer: 1 << 20})
			const messages, segments, size = 4, 8, 1000
			out, in := make([]Message, messages), make([]Message, messages)
			for i := range out {
				out[i] = Message{Addr: b.LocalAddr(), Buf: make([]byte, segments*size), Segment: size}
				in[i].Buf = make([]byte, MaxRead)
			}
			got := testing.AllocsPerRun(100, func() {
				if err := a.WriteBatch(out); err != nil {
					t.Fatal(err)
				}
				for left := messages * segments; left > 0; {
					n, err := b.ReadBatch(in)
					if err != nil {
						t.Fatal(err)
					}
					for i := range in[:n] {
						left -= in[i].Datagrams()
					}
				}
			})
			if got != 0 {
				t.Errorf("%v: %v allocations a batch", local.Addr(), got)
			}
		}
	})
}
