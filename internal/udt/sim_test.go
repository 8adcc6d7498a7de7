package udt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/simnet"
	"github.com/udtcp/udtcp/internal/udt/udpio"
)

const serverPort = 9000

var (
	clientIP = netip.MustParseAddr("10.0.0.1")
	serverIP = netip.MustParseAddr("10.0.0.2")
)

// lan is a link without faults.
var lan = simnet.Params{Rate: 200e6, Delay: 5 * time.Millisecond, Queue: 1 << 20}

// A sim is a network in memory with a client and a server, each with one
// endpoint, and a listener on the server.
type sim struct {
	t              *testing.T
	net            *simnet.Network
	client, server *site
	listener       *udt.Listener
}

// A site is a host with a socket and an endpoint on it.
type site struct {
	*udt.Endpoint
	host *simnet.Host
	sock *tap
	addr netip.AddrPort
}

// simConfig is what a sim is made of. The zero value is a lan with defaults.
type simConfig struct {
	link           simnet.Params // both ways
	client, server udt.Config
	offloads       bool // GSO and GRO on both hosts
	seed           uint64
}

// simulate runs a test on a sim in a bubble of its own.
func simulate(t *testing.T, c simConfig, run func(t *testing.T, s *sim)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, c)
		defer s.close()
		run(t, s)
	})
}

func newSim(t *testing.T, c simConfig) *sim {
	t.Helper()
	if c.link.Rate == 0 && c.link.Delay == 0 {
		c.link = lan
	}
	s := &sim{t: t, net: simnet.New(c.seed + 1)}
	s.client = s.site(clientIP, 0, c.client, c.offloads)
	s.server = s.site(serverIP, serverPort, c.server, c.offloads)
	s.net.Connect(s.client.host, s.server.host, c.link, c.link)
	l, err := s.server.Listen()
	if err != nil {
		t.Fatal(err)
	}
	s.listener = l
	return s
}

func (s *sim) site(ip netip.Addr, port uint16, cfg udt.Config, offloads bool) *site {
	s.t.Helper()
	h := s.net.Host(ip).Configure(simnet.HostConfig{GSO: offloads, GRO: offloads})
	sock, err := h.Listen(port)
	if err != nil {
		s.t.Fatal(err)
	}
	wire := &tap{Socket: sock}
	return &site{
		Endpoint: udt.NewEndpoint(wire, cfg), host: h, sock: wire,
		addr: netip.AddrPortFrom(ip, sock.LocalAddr().Port()),
	}
}

func (s *sim) close() {
	s.client.Close()
	s.server.Close()
	s.net.Close()
}

// cut ends all traffic between the hosts.
func (s *sim) cut() { s.net.Disconnect(s.client.host, s.server.host) }

// mend joins the hosts again by links without faults.
func (s *sim) mend() { s.net.Connect(s.client.host, s.server.host, lan, lan) }

// dial connects the client to the server.
func (s *sim) dial() *udt.Conn {
	s.t.Helper()
	c, err := s.client.Dial(s.t.Context(), s.server.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *sim) accept() *udt.Conn {
	s.t.Helper()
	c, err := s.listener.AcceptUDT()
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// pair returns both ends of a new connection.
func (s *sim) pair() (client, server *udt.Conn) {
	s.t.Helper()
	client = s.dial()
	return client, s.accept()
}

// connected is simulate for tests of one connection.
func connected(t *testing.T, c simConfig, run func(t *testing.T, s *sim, client, server *udt.Conn)) {
	t.Helper()
	simulate(t, c, func(t *testing.T, s *sim) {
		client, server := s.pair()
		run(t, s, client, server)
	})
}

// A tap is a socket whose outgoing datagrams a test sees and may drop.
type tap struct {
	udpio.Socket
	mu   sync.Mutex
	keep func(to netip.AddrPort, b []byte) bool
	fail error

	drops atomic.Uint64 // to be told on top of the socket's own
}

func (s *tap) Info() udpio.Info {
	i := s.Socket.Info()
	i.Drops += s.drops.Load()
	return i
}

// breakWrites makes all sending fail from now on.
func (s *tap) breakWrites(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// filter makes keep decide which datagrams go out; nil lets all go.
func (s *tap) filter(keep func(to netip.AddrPort, b []byte) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep = keep
}

func (s *tap) WriteBatch(ms []udpio.Message) error {
	s.mu.Lock()
	keep, fail := s.keep, s.fail
	s.mu.Unlock()
	if fail != nil {
		return fail
	}
	if keep == nil {
		return s.Socket.WriteBatch(ms)
	}
	for _, m := range ms {
		for b := m.Buf; ; {
			n := len(b)
			if m.Segment > 0 {
				n = min(n, m.Segment)
			}
			if keep(m.Addr, b[:n]) {
				if err := s.inject(m.Addr, b[:n]); err != nil {
					return err
				}
			}
			if b = b[n:]; len(b) == 0 {
				break
			}
		}
	}
	return nil
}

// inject sends a datagram from this socket's address, past the filter.
func (s *tap) inject(to netip.AddrPort, b []byte) error {
	return s.Socket.WriteBatch([]udpio.Message{{Addr: to, Buf: b}})
}

// noise returns n bytes that depend on seed.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	key := [32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return b
}

// wantBytes reads as much as is wanted from r and compares it.
func wantBytes(r io.Reader, want []byte) error {
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil {
		return fmt.Errorf("after %d of %d bytes: %w", n, len(want), err)
	}
	if !bytes.Equal(got, want) {
		return errors.New("got other bytes than were sent")
	}
	return nil
}

// wantEOF reads r to its end, which must be in good order, and compares it.
func wantEOF(r io.Reader, want []byte) error {
	got, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("after %d of %d bytes: %w", len(got), len(want), err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("got %d bytes, not the %d that were sent", len(got), len(want))
	}
	return nil
}

// isBareEOF tells whether err is io.EOF as readers must return it, not wrapped.
func isBareEOF(err error) bool {
	return err == io.EOF //nolint:errorlint // that is the point
}

// discard reads r to its end, whatever that is.
func discard(r io.Reader) {
	_, _ = io.Copy(io.Discard, r)
}

// write is c.Write for use with meanwhile.
func write(c net.Conn, b []byte) error {
	n, err := c.Write(b)
	if err == nil && n != len(b) {
		err = fmt.Errorf("wrote %d of %d bytes without an error", n, len(b))
	}
	return err
}

// meanwhile runs all functions at once and reports their errors.
func meanwhile(t *testing.T, fs ...func() error) {
	t.Helper()
	errs := make([]error, len(fs))
	var wg sync.WaitGroup
	for i, f := range fs {
		wg.Go(func() { errs[i] = f() })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("task %d: %v", i, err)
		}
	}
}

// outcome is what a call that may block has returned, and when.
type outcome struct {
	n   int
	err error
	at  time.Time
}

// start runs a call that may block.
func start(f func() (int, error)) <-chan outcome {
	ch := make(chan outcome, 1)
	go func() {
		n, err := f()
		ch <- outcome{n, err, time.Now()}
	}()
	return ch
}

// wantTook checks how long something took: from least to most.
func wantTook(t *testing.T, since time.Time, least, most time.Duration) {
	t.Helper()
	if took := time.Since(since); took < least || took > most {
		t.Errorf("took %v, want %v to %v", took, least, most)
	}
}

// wantError checks that err is the driver's error type with this code, and is
// all of the targets.
func wantError(t *testing.T, err error, code udt.Code, targets ...error) {
	t.Helper()
	var e *udt.Error
	if !errors.As(err, &e) {
		t.Errorf("got %v (%T), want a *udt.Error", err, err)
		return
	}
	if e.Code != code {
		t.Errorf("%v has code %d, want %d", err, e.Code, code)
	}
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("%v is not %v", err, target)
		}
	}
	var ne net.Error
	if !errors.As(err, &ne) {
		t.Errorf("%v is not a net.Error", err)
	}
}

// cancelledAfter returns a context that is cancelled after d.
func cancelledAfter(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	timer := time.AfterFunc(d, cancel)
	t.Cleanup(func() { timer.Stop(); cancel() })
	return ctx
}
