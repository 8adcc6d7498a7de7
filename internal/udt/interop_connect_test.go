package udt_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// Codes of libudt's errors.
const (
	codeRejected = 1002
	codeLost     = 2001
)

// A blocking libudt client loses data that arrive right behind the answer to
// its handshake. The sender has to know, or the first bytes take an age.
func testServerSpeaksFirst(t *testing.T, l *lab) {
	const rounds, size = 5, 100_000
	for _, flags := range []string{"", "--nonblock"} {
		t.Run("ours"+flags, func(t *testing.T) {
			for range rounds {
				start := time.Now()
				conn, remote := path{flags: flags}.connect(t, l, asListener, fmt.Sprintf("listenfirst --bytes %d --seed 2 --rseed 1", size))
				if err := sendPattern(conn, 1, size); err != nil {
					t.Fatal(err)
				}
				if err := receiveExactly(conn, 2, size); err != nil {
					t.Fatal(err)
				}
				remote.good()
				within(t, start, 5*time.Second)
			}
		})
		t.Run("libudt's"+flags, func(t *testing.T) {
			for range rounds {
				conn, remote := path{flags: flags}.connect(t, l, asClient, fmt.Sprintf("speakfirst --bytes %d --seed 1 --rseed 2", size))
				if err := receiveExactly(conn, 1, size); err != nil {
					t.Fatal(err)
				}
				if err := sendPattern(conn, 2, size); err != nil {
					t.Fatal(err)
				}
				remote.good()
			}
		})
	}
}

// When the last answer of the handshake is lost, whatever comes in its place
// leaves a blocking libudt client connecting for ever.
func testLostFinalResponse(t *testing.T, l *lab) {
	p := path{rule: func(role) rule { return dropFirst(finalResponse) }}
	p.everyWay(t, l, 100_000)
}

// A libudt listener stays silent on a cookie of an earlier minute; a wrong
// cookie looks the same to it. Our client must ask for a new one, and our
// listener must offer one.
func testStaleCookie(t *testing.T, l *lab) {
	start := time.Now()
	path{rule: spoilFirstCookie}.everyWay(t, l, 10_000)
	within(t, start, 20*time.Second)
}

func testRejection(t *testing.T, l *lab) {
	t.Run("of libudt", func(t *testing.T) {
		ln := path{}.listen(t)
		got := l.dial(t, addrPort(ln.Addr()), "--mode source --dgram --bytes 10").report()
		if got.ok || got.code != codeRejected {
			t.Errorf("a message socket met our stream listener: %+v, want code %d", got, codeRejected)
		}
	})
	t.Run("of us", func(t *testing.T) {
		remote := l.serve(t, "--mode sink --dgram")
		conn, err := udt.Dial(testContext(t), "udp", remote.loopback().String(), nil)
		if err == nil {
			_ = conn.Abort()
		}
		if !errors.Is(err, udt.ErrRejected) || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("error %v, want %v", err, udt.ErrRejected)
		}
	})
}

// Connections beyond the backlog are refused, not left to time out.
func testBacklog(t *testing.T, l *lab) {
	const backlog, callers = 2, 5
	p := path{cfg: udt.Config{Backlog: backlog}}
	ln := p.listen(t)
	remote := l.dial(t, addrPort(ln.Addr()), fmt.Sprintf("--mode hold --conns %d", callers))
	for range backlog {
		remote.await("connected ")
	}
	remote.release()
	rs, _ := remote.reports()
	refused := 0
	for _, r := range rs {
		if r.code == codeRejected {
			refused++
		}
	}
	if refused != callers-backlog {
		t.Errorf("%d of %d connections were refused with a backlog of %d", refused, callers, backlog)
	}
}

func testNoServer(t *testing.T, _ *lab) {
	silent, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	t.Run("timeout", func(t *testing.T) {
		const limit = 700 * time.Millisecond
		start := time.Now()
		conn, err := udt.Dial(testContext(t), "udp", silent.LocalAddr().String(), &udt.Config{ConnectTimeout: limit})
		if err == nil {
			_ = conn.Abort()
		}
		if !errors.Is(err, udt.ErrNoServer) || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("error %v, want %v", err, udt.ErrNoServer)
		}
		if took := time.Since(start); took < limit {
			t.Errorf("gave up after %v, before the %v it was given", took, limit)
		}
		within(t, start, limit+2*time.Second)
	})
	t.Run("cancel", func(t *testing.T) {
		ctx, cancel := context.WithCancel(testContext(t))
		heard := make(chan struct{})
		go func() { // the first request is out: Dial is waiting
			defer close(heard)
			_, _, _ = silent.ReadFromUDPAddrPort(make([]byte, 2048))
			cancel()
		}()
		start := time.Now()
		conn, err := udt.Dial(ctx, "udp", silent.LocalAddr().String(), nil)
		if err == nil {
			_ = conn.Abort()
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want %v", err, context.Canceled)
		}
		within(t, start, 2*time.Second)
		<-heard
	})
}

// Each connection carries a stream of its own there and back, so a packet
// given to the wrong one is seen.
func testManyConnections(t *testing.T, l *lab) {
	const conns, size = 20, 300_000
	for _, flags := range []string{"", "--share"} {
		t.Run("listener"+flags, func(t *testing.T) {
			ln := path{}.listen(t)
			remote := l.dial(t, addrPort(ln.Addr()), fmt.Sprintf("--mode both --conns %d --bytes %d --seed 100 --rseed 100 %s", conns, size, flags))
			echoes := make([]func() error, conns)
			for i := range echoes {
				conn := accept(t, ln)
				echoes[i] = func() error { return echo(conn) }
			}
			if err := together(echoes...); err != nil {
				t.Error(err)
			}
			wantAllGood(t, remote, conns)
		})
	}
	t.Run("client", func(t *testing.T) {
		remote := l.serve(t, fmt.Sprintf("--mode echo --conns %d", conns))
		e := bound(t, nil)
		callers := make([]func() error, conns)
		for i := range callers {
			callers[i] = func() error { return callEcho(t, e, remote.loopback(), uint64(i), size) }
		}
		if err := together(callers...); err != nil {
			t.Error(err)
		}
		wantAllGood(t, remote, conns)
	})
}

// callEcho sends size bytes from e to a peer that sends them back, and compares
// them.
func callEcho(t *testing.T, e *udt.Endpoint, at netip.AddrPort, seed uint64, size int64) error {
	conn, err := e.Dial(testContext(t), at)
	if err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Now().Add(testTimeout)); err != nil {
		return err
	}
	err = together(
		func() error { return sendPattern(conn, seed, size) },
		func() error { return receiveExactly(conn, seed, size) },
	)
	return errors.Join(err, conn.Close())
}

func wantAllGood(t *testing.T, remote *peer, conns int) {
	t.Helper()
	rs, status := remote.reports()
	if len(rs) != conns || status != 0 {
		t.Errorf("%d connections reported, want %d; exit status %d", len(rs), conns, status)
	}
	for _, r := range rs {
		if !r.ok {
			t.Errorf("libudt's end failed: %+v", r)
		}
	}
}
