package udt_test

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"testing"

	"github.com/udtcp/udtcp/internal/udt"
)

// What a Poller tells of connections with libudt: that they were made, refused
// and accepted, that there is data, that the peer has closed or died.
func testPoller(t *testing.T, l *lab) {
	const size = 3_000_000
	t.Run("as client", func(t *testing.T) {
		remote := l.serve(t, fmt.Sprintf("--mode source --bytes %d", size))
		p := newPolled(t)
		defer p.Close()
		conn := startDial(t, remote.loopback())
		p.add(conn, udt.PollOut|udt.PollErr)
		p.want(testTimeout, udt.Event{Member: conn, Events: udt.PollOut})
		if err := p.Modify(conn, udt.PollIn); err != nil {
			t.Fatal(err)
		}
		n, sum, err := p.receive(conn)
		closeAfter(t, conn)
		if sent := remote.good(); !isBareEOF(err) || n != size || sum != sent.digestSent {
			t.Errorf("%d bytes with digest %x, %v; libudt sent %+v", n, sum, err, sent)
		}
	})
	t.Run("as listener", func(t *testing.T) {
		ln := path{}.listen(t)
		p := newPolled(t)
		defer p.Close()
		p.add(ln, udt.PollIn)
		remote := l.dial(t, addrPort(ln.Addr()), fmt.Sprintf("--mode source --bytes %d", size))
		p.want(testTimeout, udt.Event{Member: ln, Events: udt.PollIn})
		conn, err := ln.TryAccept()
		if err != nil {
			t.Fatal(err)
		}
		limited(t, conn)
		p.add(conn, udt.PollIn)
		n, sum, err := p.receive(conn)
		closeAfter(t, conn)
		if sent := remote.good(); !isBareEOF(err) || n != size || sum != sent.digestSent {
			t.Errorf("%d bytes with digest %x, %v; libudt sent %+v", n, sum, err, sent)
		}
	})
	t.Run("refused", func(t *testing.T) {
		remote := l.serve(t, "--mode sink --dgram")
		p := newPolled(t)
		defer p.Close()
		conn := startDial(t, remote.loopback())
		p.add(conn, anyEvent)
		p.want(testTimeout, udt.Event{Member: conn, Events: anyEvent})
		wantError(t, conn.Err(), udt.ECONNREJ, udt.ErrRejected)
	})
	t.Run("died", func(t *testing.T) {
		cfg := udt.Config{PeerTimeout: peerTimeout}
		conn, _ := path{cfg: cfg}.connect(t, l, asClient, "source --bytes 100000000 --abort-after 3000000")
		p := newPolled(t)
		defer p.Close()
		p.add(conn, udt.PollIn)
		if n, _, err := p.receive(conn); n == 0 || !errors.Is(err, udt.ErrConnLost) {
			t.Errorf("%d bytes, %v", n, err)
		}
		p.add(conn, anyEvent)
		p.want(testTimeout, udt.Event{Member: conn, Events: anyEvent})
	})
}

// startDial begins to connect from an endpoint of its own.
func startDial(t *testing.T, to netip.AddrPort) *udt.Conn {
	t.Helper()
	conn, err := bound(t, nil).StartDial(to, udt.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return limited(t, conn)
}

// closeAfter closes what has read everything. A libudt peer that has closed may
// not have acknowledged all it got.
func closeAfter(t *testing.T, conn *udt.Conn) {
	t.Helper()
	if err := conn.Close(); err != nil && !errors.Is(err, udt.ErrUndelivered) {
		t.Error(err)
	}
}

// receive reads what comes, never waiting but in p, and gives the count and
// digest of it and the error at its end.
func (p *polled) receive(conn *udt.Conn) (total int64, digest uint64, err error) {
	p.t.Helper()
	h, buf := fnv.New64a(), make([]byte, 64<<10)
	for {
		if n, err := p.WaitFor(testTimeout, p.events[:]); n != 1 || err != nil {
			p.t.Fatalf("after %d bytes: %d events, %v", total, n, err)
		}
		n, err := conn.TryRead(buf)
		_, _ = h.Write(buf[:n]) // never fails
		total += int64(n)
		if err != nil {
			if errors.Is(err, udt.ErrWouldBlock) {
				p.t.Errorf("after %d bytes: told to read where nothing was", total)
				continue
			}
			return total, h.Sum64(), err
		}
	}
}
