package udt_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// TestInterop runs this package against the C++ library UDT 4.11 over
// loopback, in both roles. Each case is a process of its own; see
// testdata/peers for what it can be told.
func TestInterop(t *testing.T) {
	l := newLab(t)
	for _, c := range []struct {
		name string
		run  func(*testing.T, *lab)
	}{
		{"Errors", testErrorTexts},
		{"Sizes", testSizes},
		{"Duplex", testDuplex},
		{"IPv6", testIPv6},
		{"MSS", testMSS},
		{"SmallBuffers", testSmallBuffers},
		{"SequenceWrap", testSequenceWrap},
		{"Loss", testLoss},
		{"EarlyLoss", testEarlyLoss},
		{"LateFirstACK", testLateFirstACK},
		{"Jumble", testJumble},
		{"Reordered", testReordered},
		{"StalledReader", testStalledReader},
		{"SlowReader", testSlowReader},
		{"NonBlockingPeer", testNonBlockingPeer},
		{"Sendfile", testSendfile},
		{"FileRegions", testFileRegions},
		{"FileErrors", testFileErrors},
		{"UserPackets", testUserPackets},
		{"Messages", testMessages},
		{"MessagesInAnyOrder", testMessagesInAnyOrder},
		{"MessagesExpire", testMessagesExpire},
		{"MessageTooLarge", testMessageTooLarge},
		{"PyUDT", testPyUDT},
		{"PyUDTMessages", testPyUDTMessages},
		{"PyUDTPerfmon", testPyUDTPerfmon},
		{"Poller", testPoller},

		{"ServerSpeaksFirst", testServerSpeaksFirst},
		{"LostFinalResponse", testLostFinalResponse},
		{"StaleCookie", testStaleCookie},
		{"Rejection", testRejection},
		{"Backlog", testBacklog},
		{"NoServer", testNoServer},
		{"ManyConnections", testManyConnections},

		{"Rendezvous", testRendezvous},
		{"RendezvousMSS", testRendezvousMSS},
		{"RendezvousFaults", testRendezvousFaults},
		{"RendezvousLostHandshake", testRendezvousLostHandshake},
		{"RendezvousWrap", testRendezvousWrap},
		{"RendezvousMismatch", testRendezvousMismatch},

		{"PeerDiesWhileWeSend", testPeerDiesWhileWeSend},
		{"PeerDiesWhileWeReceive", testPeerDiesWhileWeReceive},
		{"PeerClosesEarly", testPeerClosesEarly},
		{"WeAbort", testWeAbort},
		{"WeCloseEarly", testWeCloseEarly},
		{"SilentPeer", testSilentPeer},
		{"IdlePeer", testIdlePeer},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !slices.Contains(timed, c.name) {
				t.Parallel() // mostly it waits for libudt's timers
			}
			c.run(t, l)
		})
	}
}

// timed are the cases that judge by the clock: none runs beside another.
var timed = []string{
	"EarlyLoss", "LateFirstACK", "Reordered", "ServerSpeaksFirst", "StaleCookie", "NoServer", "RendezvousMismatch",
	"PeerDiesWhileWeSend", "PeerDiesWhileWeReceive", "PeerClosesEarly", "WeAbort", "WeCloseEarly", "SilentPeer", "IdlePeer",
}

// role is what we are; libudt is the other.
type role string

const (
	asListener role = "listener"
	asClient   role = "client"
)

// ours is the way our packets take through a relay.
func (r role) ours() way {
	if r == asClient {
		return toServer
	}
	return toClient
}

// path is how we and a peer are joined. The zero value is plain IPv4 loopback
// with defaults at both ends.
type path struct {
	cfg   udt.Config
	flags string           // more flags for the peer
	rule  func(role) rule  // nil: no relay, unless tap asks for one
	tap   func(role) tapFn // nil: none
	ipv6  bool
}

type tapFn func(way, []byte, fate)

// connect starts a peer in this mode and joins it. Everything ends with the
// test.
func (p path) connect(t *testing.T, l *lab, r role, mode string) (*udt.Conn, *peer) {
	t.Helper()
	flags := "--mode " + mode + " " + p.flags
	if r == asListener {
		ln := p.listen(t)
		remote := l.dial(t, p.relayed(t, r, addrPort(ln.Addr())), flags)
		return accept(t, ln), remote
	}
	remote := l.serve(t, p.bind()+flags)
	at := remote.loopback()
	if p.ipv6 {
		at = remote.loopback6()
	}
	return p.dial(t, p.relayed(t, r, at)), remote
}

func (p path) bind() string {
	if p.ipv6 {
		return "--bind ::1 "
	}
	return ""
}

func (p path) relayed(t *testing.T, r role, server netip.AddrPort) netip.AddrPort {
	t.Helper()
	if p.rule == nil && p.tap == nil {
		return server
	}
	var decide rule
	if p.rule != nil {
		decide = p.rule(r)
	}
	var tap tapFn
	if p.tap != nil {
		tap = p.tap(r)
	}
	return newRelay(t, server, decide, tap).addr()
}

func (p path) listen(t *testing.T) *udt.Listener {
	t.Helper()
	host := "127.0.0.1:0"
	if p.ipv6 {
		host = "[::1]:0"
	}
	ln, err := udt.Listen("udp", host, &p.cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// accept takes one connection; the test's time limit ends a vain wait.
func accept(t *testing.T, ln *udt.Listener) *udt.Conn {
	t.Helper()
	tooLong := time.AfterFunc(testTimeout, func() { _ = ln.Close() })
	defer tooLong.Stop()
	conn, err := ln.AcceptUDT()
	if err != nil {
		t.Fatalf("accept: %v", err)
	}
	return limited(t, conn)
}

func (p path) dial(t *testing.T, at netip.AddrPort) *udt.Conn {
	t.Helper()
	conn, err := udt.Dial(testContext(t), "udp", at.String(), &p.cfg)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	return limited(t, conn)
}

// limited makes sure that conn neither outlives the test nor hangs it.
func limited(t *testing.T, conn *udt.Conn) *udt.Conn {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(testTimeout)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Abort() })
	return conn
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

// eachRole runs a case as listener and as client.
func eachRole(t *testing.T, run func(*testing.T, role)) {
	t.Helper()
	for _, r := range []role{asListener, asClient} {
		t.Run(string(r), func(t *testing.T) { run(t, r) })
	}
}

// everyWay moves size bytes to libudt and from it, in both roles.
func (p path) everyWay(t *testing.T, l *lab, size int64) {
	t.Helper()
	eachRole(t, func(t *testing.T, r role) {
		t.Run("send", func(t *testing.T) { p.send(t, l, r, size) })
		t.Run("receive", func(t *testing.T) { p.receive(t, l, r, size) })
	})
}

// send moves size bytes to a peer, closes, and checks what the peer got.
func (p path) send(t *testing.T, l *lab, r role, size int64) {
	t.Helper()
	const seed = 77
	conn, remote := p.connect(t, l, r, "sink")
	if err := sendPattern(conn, seed, size); err != nil {
		t.Fatalf("send: %v", err)
	}
	if err := conn.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if got := remote.good(); got.received != size || got.digestGiven != patternDigest(seed, size) {
		t.Fatalf("libudt received %d bytes with digest %x, want %d with %x", got.received, got.digestGiven, size, patternDigest(seed, size))
	}
}

// receive takes size bytes from a peer and checks that they are what it sent,
// up to a clean end.
func (p path) receive(t *testing.T, l *lab, r role, size int64) {
	t.Helper()
	conn, remote := p.connect(t, l, r, fmt.Sprintf("source --bytes %d", size))
	n, sum, err := receiveAll(conn)
	if err != nil {
		t.Fatalf("receive: %v after %d of %d bytes", err, n, size)
	}
	if err := conn.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	sent := remote.good()
	if n != size || sent.sent != size || sum != sent.digestSent {
		t.Fatalf("received %d bytes with digest %x, libudt sent %d with %x, want %d", n, sum, sent.sent, sent.digestSent, size)
	}
}

// pattern is the endless stream of bytes peers make from a seed: xorshift64*
// over a state spread by splitmix64. It mirrors testdata/peers/pattern.h.
type pattern struct {
	state, word uint64
	left        int
}

func newPattern(seed uint64) *pattern {
	z := seed + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	if z == 0 {
		z = 1
	}
	return &pattern{state: z}
}

func (p *pattern) Read(b []byte) (int, error) {
	for i := 0; i < len(b); {
		if p.left == 0 {
			p.state ^= p.state >> 12
			p.state ^= p.state << 25
			p.state ^= p.state >> 27
			p.word, p.left = p.state*0x2545f4914f6cdd1d, 8
		}
		if p.left == 8 && len(b)-i >= 8 {
			binary.LittleEndian.PutUint64(b[i:], p.word)
			p.left = 0
			i += 8
			continue
		}
		b[i] = byte(p.word)
		p.word >>= 8
		p.left--
		i++
	}
	return len(b), nil
}

func patternDigest(seed uint64, n int64) uint64 {
	h := fnv.New64a()
	_, _ = io.CopyN(h, newPattern(seed), n) // neither end can fail
	return h.Sum64()
}

func sendPattern(w io.Writer, seed uint64, n int64) error {
	_, err := io.CopyN(w, newPattern(seed), n)
	return err
}

// receiveAll reads to the end and gives the count and digest of what came.
func receiveAll(r io.Reader) (int64, uint64, error) {
	h := fnv.New64a()
	n, err := io.Copy(h, r)
	return n, h.Sum64(), err
}

// receiveExactly reads n bytes and compares their digest with the seed's.
func receiveExactly(r io.Reader, seed uint64, n int64) error {
	h := fnv.New64a()
	got, err := io.CopyN(h, r, n)
	if err != nil {
		return fmt.Errorf("after %d of %d bytes: %w", got, n, err)
	}
	if h.Sum64() != patternDigest(seed, n) {
		return fmt.Errorf("digest %x, want %x", h.Sum64(), patternDigest(seed, n))
	}
	return nil
}

// together runs all at once, waits for all and joins their errors.
func together(fs ...func() error) error {
	errs := make([]error, len(fs))
	var wg sync.WaitGroup
	for i, f := range fs {
		wg.Go(func() { errs[i] = f() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// echo sends back what comes until the other side closes.
func echo(c net.Conn) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		if errors.Is(err, io.EOF) {
			// libudt wakes its reader before it sends the ACK; a peer that
			// then closes never sends it. What arrived is in its report.
			if err := c.Close(); err != nil && !errors.Is(err, udt.ErrUndelivered) {
				return err
			}
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return err
		}
	}
}

// within fails the test unless d has not passed since start.
func within(t *testing.T, start time.Time, d time.Duration) {
	t.Helper()
	if took := time.Since(start); took > d {
		t.Errorf("took %v, want at most %v", took, d)
	}
}

// wantLost fails the test unless err says that the connection broke.
func wantLost(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, udt.ErrConnLost) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, io.EOF) {
		t.Errorf("error %v, want %v", err, udt.ErrConnLost)
	}
}
