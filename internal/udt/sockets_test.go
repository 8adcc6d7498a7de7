package udt_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/proto"
)

// bound opens an endpoint on the loopback interface.
func bound(t *testing.T, cfg *udt.Config) *udt.Endpoint {
	t.Helper()
	e, err := udt.Bind("udp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// talks checks that a connection from one endpoint to another's listener
// carries data each way.
func talks(t *testing.T, from, to *udt.Endpoint, l *udt.Listener) (client, server *udt.Conn) {
	t.Helper()
	client, err := from.Dial(testContext(t), addrPort(to.LocalAddr()))
	if err != nil {
		t.Fatal(err)
	}
	server = accept(t, l)
	limited(t, client)
	meanwhile(t,
		func() error { return write(client, []byte("there")) },
		func() error { return write(server, []byte("back again")) },
		func() error { return wantBytes(client, []byte("back again")) },
		func() error { return wantBytes(server, []byte("there")) },
	)
	return client, server
}

// A listener and several connections, dialled and accepted, have one port.
func TestBindSharesAPort(t *testing.T) {
	a, b := bound(t, nil), bound(t, nil)
	la, err := a.Listen()
	if err != nil {
		t.Fatal(err)
	}
	lb, err := b.Listen()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for _, ends := range []struct {
			from, to *udt.Endpoint
			l        *udt.Listener
		}{{a, b, lb}, {b, a, la}, {a, a, la}} {
			client, server := talks(t, ends.from, ends.to, ends.l)
			if client.LocalAddr().String() != ends.from.LocalAddr().String() || client.RemoteAddr().String() != ends.to.LocalAddr().String() ||
				server.LocalAddr().String() != ends.to.LocalAddr().String() || server.RemoteAddr().String() != ends.from.LocalAddr().String() {
				t.Errorf("from %v to %v: %v to %v, there %v from %v", ends.from.LocalAddr(), ends.to.LocalAddr(),
					client.LocalAddr(), client.RemoteAddr(), server.LocalAddr(), server.RemoteAddr())
			}
		}
	}
	_, err = udt.Bind("udp", a.LocalAddr().String(), nil)
	wantError(t, err, udt.ESOCKFAIL)
	_, err = udt.Bind("tcp", "127.0.0.1:0", nil)
	wantError(t, err, udt.EINVPARAM, net.UnknownNetworkError("tcp"))
	_, err = udt.Bind("udp", "127.0.0.1:0", &udt.Config{MSS: 1})
	wantError(t, err, udt.EINVPARAM)
}

// udpSocket opens a UDP socket that knows nothing of UDT.
func udpSocket(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// A UDP socket that exists already is taken over, as it is or as a descriptor.
func TestTakeOver(t *testing.T) {
	for name, take := range map[string]func(*testing.T, *net.UDPConn) (*udt.Endpoint, error){
		"socket": func(_ *testing.T, c *net.UDPConn) (*udt.Endpoint, error) { return udt.TakeOver(c, nil) },
		"descriptor": func(t *testing.T, c *net.UDPConn) (*udt.Endpoint, error) {
			f, err := c.File()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Close(); err != nil { // the descriptor alone keeps the socket
				t.Fatal(err)
			}
			e, err := udt.TakeOverFile(f, nil)
			if f.Close() == nil {
				t.Error("the descriptor was left open")
			}
			return e, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			socket := udpSocket(t)
			at := socket.LocalAddr().String()
			e, err := take(t, socket)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = e.Close() })
			if e.LocalAddr().String() != at {
				t.Errorf("at %v, the socket was at %s", e.LocalAddr(), at)
			}
			l, err := e.Listen()
			if err != nil {
				t.Fatal(err)
			}
			other := bound(t, nil)
			talks(t, other, e, l)
			lo, err := other.Listen()
			if err != nil {
				t.Fatal(err)
			}
			talks(t, e, other, lo)
		})
	}
}

// What can't be taken over stays the caller's.
func TestTakeOverRefuses(t *testing.T) {
	_, err := udt.TakeOver(nil, nil)
	wantError(t, err, udt.EINVPARAM)
	socket := udpSocket(t)
	_, err = udt.TakeOver(socket, &udt.Config{MSS: 1})
	wantError(t, err, udt.EINVPARAM)
	if _, err := socket.WriteTo([]byte("x"), socket.LocalAddr()); err != nil {
		t.Errorf("the socket is no longer ours: %v", err)
	}
	if err := socket.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = udt.TakeOver(socket, nil)
	wantError(t, err, udt.ESOCKFAIL, net.ErrClosed)

	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	_, err = udt.TakeOverFile(r, nil)
	wantError(t, err, udt.EINVPARAM)
	if err := r.Close(); err != nil {
		t.Errorf("the pipe is no longer ours: %v", err)
	}
}

// Where a socket is bound to all addresses, a connection knows its own.
func TestLocalAddrOfAnUnspecifiedSocket(t *testing.T) {
	for network, host := range map[string]string{"udp4": "127.0.0.1", "udp": "::1"} {
		l, err := udt.Listen(network, ":0", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		if !addrPort(l.Addr()).Addr().IsUnspecified() {
			t.Fatalf("bound to %v", l.Addr())
		}
		at := netip.AddrPortFrom(netip.MustParseAddr(host), addrPort(l.Addr()).Port())
		client, err := udt.Dial(testContext(t), "udp", at.String(), nil)
		if err != nil && host == "::1" {
			t.Skip("no IPv6: ", err)
		} else if err != nil {
			t.Fatal(err)
		}
		server := accept(t, l)
		limited(t, client)
		if got := addrPort(server.LocalAddr()); got != at {
			t.Errorf("the server is at %v, want %v", got, at)
		}
		if got := addrPort(client.LocalAddr()); got != addrPort(server.RemoteAddr()) {
			t.Errorf("the client is at %v, the server says %v", got, server.RemoteAddr())
		}
	}
}

// All of UDT's states but the two that Go has nothing for.
func TestStates(t *testing.T) {
	want := func(t *testing.T, what string, got, want udt.State) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	connected(t, simConfig{client: smallWindow, server: smallWindow}, func(t *testing.T, s *sim, client, server *udt.Conn) {
		want(t, "endpoint", s.client.State(), udt.OPENED)
		want(t, "its peer", s.server.State(), udt.LISTENING)
		want(t, "listener", s.listener.State(), udt.LISTENING)
		want(t, "client", client.State(), udt.CONNECTED)
		want(t, "server", server.State(), udt.CONNECTED)
		fillUp(t, client)
		closing := start(func() (int, error) { return 0, client.Close() })
		<-time.After(time.Second)
		want(t, "closing", client.State(), udt.CLOSING)
		want(t, "peer of closing", server.State(), udt.CONNECTED)
		discard(server)
		if err := (<-closing).err; err != nil {
			t.Error(err)
		}
		want(t, "closed", client.State(), udt.CLOSED)
		want(t, "peer of closed", server.State(), udt.BROKEN)
		server.Close()
		want(t, "both closed", server.State(), udt.CLOSED)

		client, server = s.pair()
		s.cut()
		<-time.After(2 * udt.DefaultPeerTimeout)
		want(t, "lost", client.State(), udt.BROKEN)
		server.Abort()
		want(t, "aborted", server.State(), udt.CLOSED)

		s.listener.Close()
		want(t, "listener closed", s.listener.State(), udt.CLOSED)
		want(t, "its endpoint", s.server.State(), udt.OPENED)
		s.client.sock.Close()
		<-time.After(time.Second)
		want(t, "endpoint of a broken socket", s.client.State(), udt.BROKEN)
		s.client.Close()
		want(t, "endpoint closed", s.client.State(), udt.CLOSED)
	})
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		s.listener.Close()
		dialled := start(func() (int, error) { _, err := s.client.Dial(t.Context(), s.server.addr); return 0, err })
		<-time.After(time.Second)
		want(t, "dialling", s.client.Connections()[0].State(), udt.CONNECTING)
		wantError(t, (<-dialled).err, udt.ENOSERVER)
	})
	want(t, "no connection", (*udt.Conn)(nil).State(), udt.NONEXIST)
	want(t, "no listener", (*udt.Listener)(nil).State(), udt.NONEXIST)
	want(t, "no endpoint", (*udt.Endpoint)(nil).State(), udt.NONEXIST)
	if udt.INIT != 1 || udt.NONEXIST != 9 || udt.BROKEN.String() != "BROKEN" || udt.State(0).String() != "unknown" || udt.State(10).String() != "unknown" {
		t.Error("states are not numbered or named as libudt's")
	}
}

// Every option: when it may be set, and what is said when it may not.
func TestOptionsByTime(t *testing.T) {
	controller := func() proto.Controller { return proto.NewFixed(1e9) }
	const ok = udt.SUCCESS
	for name, o := range map[string]struct {
		set                udt.Config
		onBound, onConnect udt.Code
	}{
		"nothing":          {udt.Config{}, ok, ok},
		"MSS":              {udt.Config{MSS: 1400}, udt.EBOUNDSOCK, udt.EBOUNDSOCK},
		"same MSS":         {udt.Config{MSS: udt.DefaultMSS}, ok, ok},
		"ReadBuffer":       {udt.Config{ReadBuffer: 1 << 20}, udt.EBOUNDSOCK, udt.EBOUNDSOCK},
		"WriteBuffer":      {udt.Config{WriteBuffer: 1 << 20}, udt.EBOUNDSOCK, udt.EBOUNDSOCK},
		"Window":           {udt.Config{Window: 1 << 20}, ok, udt.ECONNSOCK},
		"same Window":      {udt.Config{Window: udt.DefaultWindow}, ok, ok},
		"SendBuffer":       {udt.Config{SendBuffer: 1 << 20}, ok, udt.ECONNSOCK},
		"ReceiveBuffer":    {udt.Config{ReceiveBuffer: 1 << 20}, ok, udt.ECONNSOCK},
		"FlowWindow":       {udt.Config{FlowWindow: 64}, ok, udt.ECONNSOCK},
		"FirstWindow":      {udt.Config{FirstWindow: 64}, ok, udt.ECONNSOCK},
		"NewController":    {udt.Config{NewController: controller}, ok, udt.ECONNSOCK},
		"Trace":            {udt.Config{Trace: func(string) {}}, ok, udt.ECONNSOCK},
		"ConnectTimeout":   {udt.Config{ConnectTimeout: time.Second}, ok, udt.ECONNSOCK},
		"PeerTimeout":      {udt.Config{PeerTimeout: time.Second}, ok, udt.ECONNSOCK},
		"UserPackets":      {udt.Config{UserPackets: 3}, ok, udt.ECONNSOCK},
		"IgnorePeerErrors": {udt.Config{IgnorePeerErrors: true}, ok, udt.ECONNSOCK},
		"bad queue":        {udt.Config{UserPackets: -1}, udt.EINVPARAM, udt.EINVPARAM},
		"Backlog":          {udt.Config{Backlog: 3}, ok, udt.ECONNSOCK},
		"same Type":        {udt.Config{Type: udt.Stream}, ok, ok},
		"bad Type":         {udt.Config{Type: 7}, udt.EINVPARAM, udt.EINVPARAM},
		"Linger":           {udt.Config{Linger: time.Second}, ok, ok},
		"MaxBandwidth":     {udt.Config{MaxBandwidth: 1e6}, ok, ok},
		"bad":              {udt.Config{Window: 1}, udt.EINVPARAM, udt.EINVPARAM},
		"bad flight":       {udt.Config{FlowWindow: -1}, udt.EINVPARAM, udt.EINVPARAM},
		"bad first window": {udt.Config{FirstWindow: -1}, udt.EINVPARAM, udt.EINVPARAM},
		"bad buffer":       {udt.Config{SendBuffer: 1}, udt.EINVPARAM, udt.EINVPARAM},
	} {
		t.Run(name, func(t *testing.T) {
			connected(t, simConfig{}, func(t *testing.T, s *sim, client, server *udt.Conn) {
				check := func(what string, err error, code udt.Code) {
					t.Helper()
					if code == ok && err != nil {
						t.Errorf("%s: %v", what, err)
					} else if code != ok {
						wantError(t, err, code)
					}
				}
				before := client.Config()
				check("configure", client.Configure(o.set), o.onConnect)
				after, changed := client.Config(), before
				if o.onConnect == ok {
					if o.set.Linger != 0 {
						changed.Linger = o.set.Linger
					}
					if o.set.MaxBandwidth != 0 {
						changed.MaxBandwidth = o.set.MaxBandwidth
					}
				}
				if !sameOptions(after, changed) {
					t.Errorf("now %+v, want %+v", after, changed)
				}
				check("configure with all there is", client.Configure(after), ok)
				c, err := s.client.DialWith(t.Context(), s.server.addr, o.set)
				check("dial", err, o.onBound)
				if err == nil {
					s.accept().Abort()
					c.Abort()
				}
				_, err = s.client.ListenWith(o.set)
				check("listen", err, o.onBound)
				server.Close()
				check("closed by the peer", client.Configure(udt.Config{Linger: time.Second}), ok)
				client.Close()
				check("closed", client.Configure(o.set), udt.EINVSOCK)
			})
		})
	}
}

// No option is passed over where options are given for one connection.
func TestEveryOptionIsTaken(t *testing.T) {
	for i := range reflect.TypeFor[udt.Config]().NumField() {
		field := reflect.TypeFor[udt.Config]().Field(i)
		if !field.IsExported() {
			continue
		}
		var o udt.Config
		switch v := reflect.ValueOf(&o).Elem().Field(i); v.Kind() {
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Float64:
			v.SetFloat(7)
		case reflect.Func:
			v.Set(reflect.MakeFunc(v.Type(), func([]reflect.Value) []reflect.Value { return nil }))
		case reflect.Uint32:
			v.SetUint(7)
		default:
			v.SetInt(7)
		}
		if taken := reflect.ValueOf(udt.Config{}.Over(o)).Field(i); taken.IsZero() {
			t.Errorf("%s is passed over", field.Name)
		}
	}
}

// sameOptions compares all but the functions, which Config.Config leaves out.
func sameOptions(a, b udt.Config) bool {
	list := func(c udt.Config) []any {
		if c.NewController != nil || c.Trace != nil {
			return nil
		}
		return []any{
			c.Type, c.MSS, c.Window, c.SendBuffer, c.ReceiveBuffer, c.FlowWindow, c.FirstWindow, c.MaxBandwidth, c.ConnectTimeout,
			c.PeerTimeout, c.IgnorePeerErrors, c.Linger, c.UserPackets, c.Backlog, c.ReadBuffer, c.WriteBuffer,
		}
	}
	return list(a) != nil && slices.Equal(list(a), list(b))
}

// Connections inherit their listener's options; one that is dialled has its
// own.
func TestOptionsAreInherited(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		s.listener.Close()
		l, err := s.server.ListenWith(udt.Config{Linger: time.Second, ReceiveBuffer: 1 << 20, Backlog: 1})
		if err != nil {
			t.Fatal(err)
		}
		client, err := s.client.DialWith(t.Context(), s.server.addr, udt.Config{
			MaxBandwidth: 5e6, NewController: func() proto.Controller { return proto.NewNative() },
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.client.Dial(t.Context(), s.server.addr)
		wantError(t, err, udt.ECONNREJ, udt.ErrRejected)
		wantError(t, client.Configure(udt.Config{Type: udt.Datagram}), udt.ECONNSOCK)
		server, err := l.AcceptUDT()
		if err != nil {
			t.Fatal(err)
		}
		if c := server.Config(); c.Linger != time.Second || c.ReceiveBuffer != 1<<20 || c.SendBuffer != udt.DefaultWindow || c.Backlog != 1 {
			t.Errorf("accepted with %+v", c)
		}
		if c := client.Config(); c.MaxBandwidth != 5e6 || c.Linger != udt.DefaultLinger || client.CongestionControl() != "native" {
			t.Errorf("dialled with %+v and %s", c, client.CongestionControl())
		}
	})
}

// Each buffer and the flow window bound what they are for, and nothing else.
func TestBuffersAreBounded(t *testing.T) {
	const packets = 100
	for name, c := range map[string]struct {
		client, server         udt.Config
		unacknowledged, unread int // when the reader stands still
	}{
		"small send buffer":    {udt.Config{SendBuffer: packets * payload}, udt.Config{ReceiveBuffer: packets / 2 * payload}, packets, packets / 2},
		"small receive buffer": {udt.Config{}, udt.Config{ReceiveBuffer: packets * payload}, -1, packets},
		"small flow window":    {udt.Config{}, udt.Config{FlowWindow: packets}, -1, packets},
		"least of all":         {udt.Config{SendBuffer: 4096}, udt.Config{FlowWindow: 1}, 32, 32},
		"large other ways":     {udt.Config{ReceiveBuffer: 4096, SendBuffer: packets * payload}, udt.Config{SendBuffer: 4096, FlowWindow: 50}, packets, 50},
	} {
		t.Run(name, func(t *testing.T) {
			connected(t, simConfig{client: c.client, server: c.server}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
				client.SetWriteDeadline(time.Now().Add(10 * time.Second))
				n, err := client.Write(make([]byte, 8*mib))
				wantDeadline(t, err)
				if got := client.Unacknowledged(); c.unacknowledged >= 0 && got != c.unacknowledged {
					t.Errorf("%d packets wait to be acknowledged, want %d", got, c.unacknowledged)
				}
				// A packet more than there is room for may have been asked for.
				if got := server.Unread(); got < c.unread-2 || got > c.unread {
					t.Errorf("%d packets wait to be read, want %d", got, c.unread)
				}
				if err := wantBytes(server, make([]byte, n)); err != nil {
					t.Error(err)
				}
				<-time.After(time.Second)
				if client.Unacknowledged() != 0 || server.Unread() != 0 {
					t.Errorf("%d packets to be acknowledged, %d to be read", client.Unacknowledged(), server.Unread())
				}
			})
		})
	}
}

// The limit is obeyed at once when it is set, changed and lifted in the middle
// of a transfer.
func TestMaxBandwidthChanges(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, s *sim, client, server *udt.Conn) {
		go discard(server)
		sending := start(func() (int, error) {
			for {
				if n, err := client.Write(make([]byte, mib)); err != nil {
					return n, err
				}
			}
		})
		for _, limit := range []float64{1e6, 4e6, 0.5e6, -1} {
			if err := client.Configure(udt.Config{MaxBandwidth: limit}); err != nil {
				t.Fatal(err)
			}
			<-time.After(2 * time.Second) // what was on its way is there, and bbr knows what it may take
			bytes := func() float64 { return float64(s.net.Stats(s.client.host, s.server.host).Bytes) }
			before := bytes()
			const span = 5
			<-time.After(span * time.Second)
			rate := (bytes() - before) / span
			if least, most := limit*0.95, limit*1.05; limit > 0 && (rate < least || rate > most) {
				t.Errorf("%.0f bytes/s at a limit of %.0f", rate, limit)
			}
			if limit < 0 && rate < 15e6 {
				t.Errorf("%.0f bytes/s without a limit over a link of 25e6", rate)
			}
		}
		client.Abort()
		wantError(t, (<-sending).err, udt.EINVSOCK)
	})
}

// The linger time that counts is the one set last.
func TestLingerChanges(t *testing.T) {
	connected(t, simConfig{client: smallWindow, server: smallWindow}, func(t *testing.T, _ *sim, client, _ *udt.Conn) {
		fillUp(t, client)
		if err := client.Configure(udt.Config{Linger: 3 * time.Second}); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if err := client.Close(); !errors.Is(err, udt.ErrUndelivered) {
			t.Errorf("got %v", err)
		}
		wantTook(t, begin, 3*time.Second, 3*time.Second+atOnce)
	})
}

// Streams and messages share the ports of both ends.
func TestMessagesAndStreamsShareAPort(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		stream, streamThere := s.pair()
		s.listener.Close()
		l, err := s.server.ListenWith(udt.Config{Type: udt.Datagram})
		if err != nil {
			t.Fatal(err)
		}
		messages, err := s.client.DialWith(t.Context(), s.server.addr, udt.Config{Type: udt.Datagram})
		if err != nil {
			t.Fatal(err)
		}
		messagesThere, err := l.AcceptUDT()
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.client.Dial(t.Context(), s.server.addr)
		wantError(t, err, udt.ECONNREJ)
		buf := make([]byte, 10)
		meanwhile(t,
			func() error { return write(stream, []byte("stream")) },
			func() error { return messages.WriteMessage([]byte("message"), udt.MessageOptions{}) },
			func() error { return wantBytes(streamThere, []byte("stream")) },
			func() error {
				n, err := messagesThere.ReadMessage(buf)
				if err == nil && string(buf[:n]) != "message" {
					err = errors.New("got " + string(buf[:n]))
				}
				return err
			},
		)
		f := fileOf(t, []byte("some"))
		_, err = messages.SendFile(f, 0, 4, 0)
		wantError(t, err, udt.EDGRAMILL)
		_, err = messages.ReceiveFile(f, 0, 4, 0)
		wantError(t, err, udt.EDGRAMILL)
	})
}

// What can be done at once, without a Poller.
func TestEvents(t *testing.T) {
	connected(t, simConfig{client: smallWindow, server: smallWindow}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		want := func(what string, c *udt.Conn, want udt.Events) {
			t.Helper()
			if got := c.Events(); got != want {
				t.Errorf("%s: %#x, want %#x", what, got, want)
			}
		}
		want("idle", client, udt.PollOut)
		fillUp(t, client)
		want("full", client, 0)
		want("its peer", server, udt.PollIn|udt.PollOut)
		go client.Close()
		discard(server)
		want("closed by the peer", server, udt.PollIn|udt.PollOut|udt.PollErr)
		if udt.PollIn != 1 || udt.PollOut != 4 || udt.PollErr != 8 {
			t.Error("events are not numbered as libudt's")
		}
	})
}
