package udt_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/udpio"
)

// A conversation is one of those that PyUDT's examples and tests hold: the two
// ends speak by turns.
type conversation struct {
	name           string
	turns          []int // bytes the server says; negative: the client
	client, server udt.Config
	flags          string // what a libudt peer is told to be the same
}

var (
	smallBuffers = udt.Config{Window: 64 << 10}
	settings     = udt.Config{MSS: 1400, Window: 2096416, ReadBuffer: 1 << 20, WriteBuffer: 1 << 20}
)

var conversations = []conversation{
	// example/udt4/mixed_python_c: the server speaks first, a length and a text
	// each ("message in a bottle", "no bottle found").
	{name: "mixed_python_c", turns: []int{4, 19, -4, -15}},
	// example/udt4/socket: a length and a text, then 64 bytes, through buffers
	// of 64 KiB.
	{
		name: "socket", turns: []int{-4, -40, 4, 40, -64, 64}, client: smallBuffers, server: smallBuffers,
		flags: "--sndbuf 65536 --rcvbuf 65536",
	},
	// example/pyudt/settings: packets and buffers other than usual, 100 KiB
	// there and back.
	{
		name: "settings", turns: []int{-100 << 10, 100 << 10}, client: settings, server: settings,
		flags: "--mss 1400 --sndbuf 2096416 --rcvbuf 2096416 --udpsnd 1048576 --udprcv 1048576",
	},
	// test/test_udt4/test_socket.py: by turns, each as long as it was said.
	{name: "test_socket", turns: []int{10, -100, 1000}},
}

const serverSeed, clientSeed = 1, 2

// hold speaks one end's part and checks the other's: as many bytes as were
// said, and no more before it is our turn again.
func (c conversation) hold(conn *udt.Conn, isServer bool) error {
	said, heard := newPattern(serverSeed), newPattern(clientSeed)
	if !isServer {
		said, heard = heard, said
	}
	buf := make([]byte, 200<<10)
	for i, n := range c.turns {
		mine := n > 0 == isServer
		n = max(n, -n)
		if mine {
			if err := sendFrom(conn, said, n); err != nil {
				return fmt.Errorf("turn %d: %w", i, err)
			}
			continue
		}
		// What one end says in several turns may come together.
		room := n
		if i+1 == len(c.turns) || (c.turns[i+1] > 0) != (c.turns[i] > 0) {
			room = len(buf)
		}
		got := 0
		for got < n {
			m, err := conn.Read(buf[got:room])
			if err != nil {
				return fmt.Errorf("turn %d: after %d of %d bytes: %w", i, got, n, err)
			}
			got += m
		}
		want := make([]byte, n)
		if _, err := heard.Read(want); err != nil {
			return err
		}
		if !bytes.Equal(buf[:got], want) {
			return fmt.Errorf("turn %d: %d bytes, want %d, or others", i, got, n)
		}
	}
	return nil
}

func sendFrom(w io.Writer, said *pattern, n int) error {
	b := make([]byte, n)
	if _, err := said.Read(b); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}

func TestPyUDTConversations(t *testing.T) {
	for _, c := range conversations {
		t.Run(c.name, func(t *testing.T) {
			connected(t, simConfig{client: c.client, server: c.server}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
				meanwhile(t,
					func() error { return c.hold(client, false) },
					func() error { return c.hold(server, true) },
				)
				if c.client.MSS != 0 && (client.MSS() != c.client.MSS || server.MSS() != c.client.MSS) {
					t.Errorf("packets of %d and %d bytes, want %d", client.MSS(), server.MSS(), c.client.MSS)
				}
				meanwhile(t, client.Close, server.Close)
			})
		})
	}
}

// example/pyudt/settings limits the rate to 54 KiB/s (UDT_MAXBW).
func TestPyUDTMaxBandwidth(t *testing.T) {
	const limit, size = 54 << 10, 100 << 10
	slow := settings
	slow.MaxBandwidth = limit
	connected(t, simConfig{client: slow, server: slow}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		start := time.Now()
		data := noise(1, size)
		meanwhile(t,
			func() error { return write(client, data) },
			func() error { return wantBytes(server, data) },
		)
		if took := time.Since(start); took < 17*time.Second/10 || took > 3*time.Second {
			t.Errorf("%d bytes took %v at %d bytes/s", size, took, limit)
		}
	})
}

// example/pyudt/fail0: the identity of a socket can be asked for before it is
// connected.
func TestPyUDTFreshSocket(t *testing.T) {
	sock, err := udpio.Listen(netip.MustParseAddrPort("127.0.0.1:0"), udpio.Config{})
	if err != nil {
		t.Fatal(err)
	}
	e := udt.NewEndpoint(sock, udt.Config{})
	if at := addrPort(e.LocalAddr()); at.Port() == 0 || !at.Addr().IsLoopback() {
		t.Errorf("it is at %v", at)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// example/pyudt/rendezvous, which is a plain client and server: the client says
// nothing for 190 s, then five bytes.
func TestPyUDTIdle(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		<-time.After(190 * time.Second)
		for _, c := range []*udt.Conn{client, server} {
			if c.State() != udt.CONNECTED || c.Silence() > 2*time.Second {
				t.Errorf("%v, and nothing heard for %v", c.State(), c.Silence())
			}
		}
		meanwhile(t,
			func() error { return errors.Join(write(client, []byte("hello")), client.Close()) },
			func() error { return wantEOF(server, []byte("hello")) },
		)
	})
}

// example/pyudt/perfmon: 128 MiB each way at once in pieces of 1 KiB, with a
// look at the counters before and after.
const duplexPiece = 1 << 10

// duplexSize is what goes each way.
func duplexSize() int64 {
	if testing.Short() || raceEnabled {
		return 8 << 20
	}
	return 128 << 20
}

// pour sends the pattern of a seed in small pieces.
func pour(conn *udt.Conn, seed uint64, size int64) error {
	said := newPattern(seed)
	for ; size > 0; size -= duplexPiece {
		if err := sendFrom(conn, said, duplexPiece); err != nil {
			return fmt.Errorf("with %d bytes to go: %w", size, err)
		}
	}
	return nil
}

func TestPyUDTPerfmon(t *testing.T) {
	size := duplexSize()
	connected(t, simConfig{offloads: true}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		for _, c := range []*udt.Conn{client, server} {
			if st := c.Stats(true); st.PktSentTotal != 0 || st.PktRecvTotal != 0 {
				t.Errorf("before: %+v", st)
			}
		}
		meanwhile(t,
			func() error { return pour(client, clientSeed, size) },
			func() error { return pour(server, serverSeed, size) },
			func() error { return receiveExactly(client, serverSeed, size) },
			func() error { return receiveExactly(server, clientSeed, size) },
		)
		least := size / (1500 - 44)
		for name, c := range map[string]*udt.Conn{"client": client, "server": server} {
			st := c.Stats(false)
			if st.PktSentTotal < least || st.PktRecvTotal < least || st.PktSentTotal-st.PktRetransTotal > size/duplexPiece ||
				st.PktSent != st.PktSentTotal || st.PktRecvACKTotal == 0 || st.PktSentACKTotal == 0 || st.MbpsSendRate <= 0 || st.MsRTT < 10 {
				t.Errorf("%s after %d packets at least: %+v", name, least, st)
			}
		}
		meanwhile(t, client.Close, server.Close)
	})
}
