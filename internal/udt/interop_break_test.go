package udt_test

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

const (
	// peerTimeout is after how long of silence we give a peer up in these
	// tests, and soon what is left for everything that needs no silence.
	peerTimeout = 1500 * time.Millisecond
	soon        = 5 * time.Second
)

// writeUntilError writes without end and gives the error that ends it.
func writeUntilError(w io.Writer) error {
	_, err := io.Copy(w, newPattern(1))
	return err
}

// A killed process says no goodbye; its port only stops answering.
func testPeerDiesWhileWeSend(t *testing.T, l *lab) {
	eachRole(t, func(t *testing.T, r role) {
		p := path{cfg: udt.Config{PeerTimeout: peerTimeout, Window: mebibyte}}
		conn, remote := p.connect(t, l, r, "sink --mark 1000000")
		failed := make(chan error, 1)
		go func() { failed <- writeUntilError(conn) }()
		remote.await("mark ")
		remote.kill()
		start := time.Now()
		wantLost(t, <-failed)
		within(t, start, peerTimeout+soon)
		_, err := conn.Read(make([]byte, 1))
		wantLost(t, err)
	})
}

func testPeerDiesWhileWeReceive(t *testing.T, l *lab) {
	eachRole(t, func(t *testing.T, r role) {
		p := path{cfg: udt.Config{PeerTimeout: peerTimeout}}
		conn, remote := p.connect(t, l, r, "source --bytes 100000000 --abort-after 30000000")
		start := time.Now()
		n, _, err := receiveAll(conn)
		wantLost(t, err)
		if n == 0 || n > 30_200_000 {
			t.Errorf("received %d bytes of a peer that died after 30000000", n)
		}
		_, status := remote.reports()
		if status != 3 {
			t.Errorf("exit status %d, want 3", status)
		}
		within(t, start, testTimeout/2)
	})
}

// A peer that closes in the middle of what we send does say goodbye.
func testPeerClosesEarly(t *testing.T, l *lab) {
	eachRole(t, func(t *testing.T, r role) {
		conn, remote := path{cfg: udt.Config{Window: mebibyte}}.connect(t, l, r, "take --bytes 1000000")
		err := writeUntilError(conn)
		start := time.Now()
		if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("error %v after the peer closed", err)
		}
		remote.good()
		within(t, start, soon)
	})
}

// libudt needs 46 s to notice a silent peer, so an abort must speak.
func testWeAbort(t *testing.T, l *lab) {
	eachRole(t, func(t *testing.T, r role) {
		t.Run("sending", func(t *testing.T) {
			conn, remote := path{}.connect(t, l, r, "sink --mark 1000000")
			failed := make(chan error, 1)
			go func() { failed <- writeUntilError(conn) }()
			remote.await("mark ")
			start := time.Now()
			if err := conn.Abort(); err != nil {
				t.Error(err)
			}
			if err := <-failed; err == nil {
				t.Error("a write outlived Abort without an error")
			}
			if got := remote.report(); got.code != codeLost {
				t.Errorf("libudt's end: %+v, want code %d", got, codeLost)
			}
			within(t, start, soon)
		})
		t.Run("receiving", func(t *testing.T) { stopReceiving(t, l, r, (*udt.Conn).Abort) })
	})
}

func testWeCloseEarly(t *testing.T, l *lab) {
	eachRole(t, func(t *testing.T, r role) { stopReceiving(t, l, r, (*udt.Conn).Close) })
}

// stopReceiving ends a connection by stop while a peer still sends.
func stopReceiving(t *testing.T, l *lab, r role, stop func(*udt.Conn) error) {
	t.Helper()
	conn, remote := path{}.connect(t, l, r, "source --seconds 50")
	if err := receiveExactly(conn, 1, 1_000_000); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := stop(conn); err != nil {
		t.Error(err)
	}
	if got := remote.report(); got.ok || got.code != codeLost {
		t.Errorf("libudt's end: %+v, want code %d", got, codeLost)
	}
	within(t, start, soon)
}

// A network that swallows everything: we notice without sending anything.
func testSilentPeer(t *testing.T, l *lab) {
	eachRole(t, func(t *testing.T, r role) {
		var cut atomic.Bool
		p := path{cfg: udt.Config{PeerTimeout: peerTimeout}}
		p.rule = func(role) rule {
			return func(way, []byte) fate { return fate{drop: cut.Load()} }
		}
		conn, remote := p.connect(t, l, r, "hold")
		remote.await("connected ")
		cut.Store(true)
		start := time.Now()
		_, err := conn.Read(make([]byte, 1))
		wantLost(t, err)
		if took := time.Since(start); took < peerTimeout/2 {
			t.Errorf("gave up after %v of silence, want about %v", took, peerTimeout)
		}
		within(t, start, peerTimeout+soon)
	})
}

// Two silent applications are no broken connection: keep-alives hold it.
func testIdlePeer(t *testing.T, l *lab) {
	eachRole(t, func(t *testing.T, r role) {
		const seed, size, idleFor = 4, 10_000, 2 * peerTimeout
		rested := make(chan struct{})
		var since time.Time
		p := path{cfg: udt.Config{PeerTimeout: peerTimeout}}
		p.tap = func(r role) tapFn {
			done := false
			return func(w way, b []byte, _ fate) {
				if since.IsZero() {
					since = time.Now()
				}
				// Only the peer's own keep-alives tell that it is awake.
				if w != r.ours() && !done && isControl(b) && controlType(b) == typeKeepAlive && time.Since(since) > idleFor {
					done = true
					close(rested)
				}
			}
		}
		conn, remote := p.connect(t, l, r, "sink")
		select {
		case <-rested:
		case <-testContext(t).Done():
			t.Fatal("no keep-alive from libudt")
		}
		if err := sendPattern(conn, seed, size); err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		if got := remote.good(); got.received != size || got.digestGiven != patternDigest(seed, size) {
			t.Errorf("libudt received %d bytes with digest %x", got.received, got.digestGiven)
		}
	})
}
