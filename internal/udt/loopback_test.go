package udt_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/udpio"
)

// These tests use real sockets on the loopback interface.

// joined dials address, which leads to l, and returns both ends.
func joined(t *testing.T, l *udt.Listener, network, address string, cfg *udt.Config) (client, server *udt.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	client, err := udt.Dial(ctx, network, address, cfg)
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.AcceptUDT()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Abort()
		server.Abort()
	})
	return client, server
}

func listening(t *testing.T, network, address string, cfg *udt.Config) *udt.Listener {
	t.Helper()
	l, err := udt.Listen(network, address, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func portOf(l *udt.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String()) // of an address it made itself
	return port
}

func needIPv6(t *testing.T) {
	t.Helper()
	c, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	c.Close()
}

func TestMSSNegotiation(t *testing.T) {
	for _, c := range []struct{ client, server, want int }{
		{0, 0, 1500},
		{576, 576, 576},
		{576, 1500, 576},
		{9000, 1500, 1500},
		{1500, 9000, 1500},
		{9000, 9000, 9000},
		{65535, 65535, 65535},
		{65535, 576, 576},
		{96, 96, 96},
	} {
		t.Run(fmt.Sprint(c.client, " and ", c.server), func(t *testing.T) {
			l := listening(t, "udp", "127.0.0.1:0", &udt.Config{MSS: c.server})
			client, server := joined(t, l, "udp", l.Addr().String(), &udt.Config{MSS: c.client})
			if client.MSS() != c.want || server.MSS() != c.want {
				t.Errorf("client %d, server %d, want %d", client.MSS(), server.MSS(), c.want)
			}
			exchange(t, client, server, 3*c.want*20, 1)
		})
	}
}

func TestIPv6(t *testing.T) {
	needIPv6(t)
	l := listening(t, "udp", "[::1]:0", nil)
	client, server := joined(t, l, "udp", l.Addr().String(), nil)
	if client.MSS() != 1480 || server.MSS() != 1480 {
		t.Errorf("packets of %d and %d bytes, want 1480", client.MSS(), server.MSS())
	}
	if got := server.RemoteAddr().String(); !strings.HasPrefix(got, "[::1]:") {
		t.Errorf("the client is %s", got)
	}
	exchange(t, client, server, 200_000, 1)
}

// A listener for all addresses takes IPv4 and IPv6, each with its own MSS.
func TestDualStack(t *testing.T) {
	needIPv6(t)
	l := listening(t, "udp", ":0", nil)
	for _, c := range []struct {
		host, from string
		mss        int
	}{{"127.0.0.1", "127.0.0.1", 1500}, {"[::1]", "::1", 1480}} {
		client, server := joined(t, l, "udp", c.host+":"+portOf(l), nil)
		if client.MSS() != c.mss || server.MSS() != c.mss {
			t.Errorf("%s: packets of %d and %d bytes, want %d", c.host, client.MSS(), server.MSS(), c.mss)
		}
		if from, ok := server.RemoteAddr().(*net.UDPAddr); !ok || from.IP.String() != c.from {
			t.Errorf("%s: the client is %v", c.host, server.RemoteAddr())
		}
		exchange(t, client, server, 100_000, 1)
	}
}

// As everywhere in Go, to dial the unspecified address is to dial this machine.
func TestDialUnspecified(t *testing.T) {
	l := listening(t, "udp", ":0", nil)
	for _, host := range []string{"", "0.0.0.0", "[::]"} {
		if host == "[::]" {
			needIPv6(t)
		}
		client, server := joined(t, l, "udp", host+":"+portOf(l), &udt.Config{ConnectTimeout: 2 * time.Second})
		exchange(t, client, server, 1000, 1)
	}
}

func TestDialFrom(t *testing.T) {
	l := listening(t, "udp", "127.0.0.1:0", nil)
	for _, local := range []string{"127.0.0.1:0", ":0", "0.0.0.0:0"} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		client, err := udt.DialFrom(ctx, "udp", local, l.Addr().String(), nil)
		cancel()
		if err != nil {
			t.Errorf("from %s: %v", local, err)
			continue
		}
		server, err := l.AcceptUDT()
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, client, server, 1000, 1)
	}
}

// The switches of udpio give the same service.
func TestSwitchesOfTheSocket(t *testing.T) {
	for _, off := range [][]string{nil, {"GSO"}, {"GRO"}, {"GSO", "GRO"}, {"MMSG"}} {
		t.Run(strings.Join(off, "+"), func(t *testing.T) {
			for _, name := range off {
				t.Setenv("UDTCP_NO_"+name, "1")
			}
			var ends [2]*udt.Endpoint
			for i := range ends {
				s, err := udpio.Listen(netip.MustParseAddrPort("127.0.0.1:0"), udpio.Config{})
				if err != nil {
					t.Fatal(err)
				}
				ends[i] = udt.NewEndpoint(s, udt.Config{})
				t.Cleanup(func() { _ = ends[i].Close() })
				info := ends[i].SocketInfo()
				for _, name := range off {
					if name == "GSO" && info.GSO || name == "GRO" && info.GRO || name == "MMSG" && (info.Batch || info.GSO || info.GRO) {
						t.Errorf("%s is on: %+v", name, info)
					}
				}
			}
			l, err := ends[1].Listen()
			if err != nil {
				t.Fatal(err)
			}
			client, err := ends[0].Dial(t.Context(), addrPortOf(t, l.Addr()))
			if err != nil {
				t.Fatal(err)
			}
			server, err := l.AcceptUDT()
			if err != nil {
				t.Fatal(err)
			}
			exchange(t, client, server, 1_000_000, 1)
		})
	}
}

func addrPortOf(t *testing.T, a net.Addr) netip.AddrPort {
	t.Helper()
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		t.Fatal(err)
	}
	return ap
}

func TestDialErrors(t *testing.T) {
	silent, err := net.ListenPacket("udp4", "127.0.0.1:0") // takes packets, says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	quick := func() *udt.Config { return &udt.Config{ConnectTimeout: 300 * time.Millisecond} }
	dial := func(network, address string, cfg *udt.Config) error {
		c, err := udt.Dial(t.Context(), network, address, cfg)
		if err == nil {
			c.Abort()
			return errors.New("connected")
		}
		return err
	}

	begin := time.Now()
	err = dial("udp", silent.LocalAddr().String(), quick())
	wantError(t, err, udt.ENOSERVER, udt.ErrNoServer, os.ErrDeadlineExceeded)
	wantTook(t, begin, 300*time.Millisecond, 3*time.Second)
	if want := "udt dial " + silent.LocalAddr().String() + ": no answer within 300ms"; err == nil || err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = udt.Dial(ctx, "udp", silent.LocalAddr().String(), nil)
	wantError(t, err, udt.ECONNSETUP, context.Canceled)

	wantError(t, dial("tcp", "127.0.0.1:1", quick()), udt.EINVPARAM)
	wantError(t, dial("udp", "127.0.0.1", quick()), udt.EINVPARAM)
	wantError(t, dial("udp", "127.0.0.1:no-such-service", quick()), udt.ECONNSETUP)
	wantError(t, dial("udp6", "127.0.0.1:1", quick()), udt.EINVPARAM)
	wantError(t, dial("udp", "127.0.0.1:1", &udt.Config{MSS: 10}), udt.EINVPARAM)
	wantError(t, dial("udp", "127.0.0.1:1", &udt.Config{Window: 10}), udt.EINVPARAM)
	_, err = udt.DialFrom(t.Context(), "udp", silent.LocalAddr().String(), "127.0.0.1:1", quick())
	wantError(t, err, udt.ESOCKFAIL, syscall.EADDRINUSE)
	_, err = udt.DialFrom(t.Context(), "udp", "nowhere", "127.0.0.1:1", quick())
	wantError(t, err, udt.EINVPARAM)
}

func TestListenErrors(t *testing.T) {
	l := listening(t, "udp", "127.0.0.1:0", nil)
	for _, c := range []struct {
		network, address string
		cfg              *udt.Config
		code             udt.Code
		is               []error
	}{
		{"udp", l.Addr().String(), nil, udt.ESOCKFAIL, []error{syscall.EADDRINUSE}},
		{"tcp", "127.0.0.1:0", nil, udt.EINVPARAM, []error{net.UnknownNetworkError("tcp")}},
		{"udp", "127.0.0.1", nil, udt.EINVPARAM, nil},
		{"udp", "127.0.0.1:0", &udt.Config{MSS: 1}, udt.EINVPARAM, nil},
	} {
		_, err := udt.Listen(c.network, c.address, c.cfg)
		wantError(t, err, c.code, c.is...)
	}
}

// Deadlines and Close with real sockets and the real clock.
func TestBlockingCallsOnLoopback(t *testing.T) {
	l := listening(t, "udp", "127.0.0.1:0", nil)
	client, _ := joined(t, l, "udp", l.Addr().String(), nil)
	begin := time.Now()
	client.SetReadDeadline(begin.Add(20 * time.Millisecond))
	_, err := client.Read(make([]byte, 1))
	wantDeadline(t, err)
	wantTook(t, begin, 20*time.Millisecond, 5*time.Second)
	client.SetReadDeadline(time.Time{})
	reading := start(func() (int, error) { return readCall(client) })
	accepting := start(func() (int, error) { _, err := l.Accept(); return 0, err })
	client.Close()
	l.Close()
	wantError(t, (<-reading).err, udt.EINVSOCK, net.ErrClosed)
	wantError(t, (<-accepting).err, udt.ENOLISTEN, net.ErrClosed)
}
