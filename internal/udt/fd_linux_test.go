package udt_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// openSockets counts the sockets this process has.
func openSockets(t *testing.T) int { return openFiles(t, "socket:") }

// openFiles counts the descriptors of this process for files whose name begins
// with kind.
func openFiles(t *testing.T, kind string) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	n := 0
	for _, e := range entries {
		if link, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(link, kind) {
			n++
		}
	}
	return n
}

// Sockets opened by Dial and Listen close with their last user, whatever the
// order and the outcome.
func TestSocketsAreClosed(t *testing.T) {
	quick := &udt.Config{ConnectTimeout: 50 * time.Millisecond, Linger: -1}
	before := openSockets(t)
	want := func(n int, what string) {
		t.Helper()
		if got := openSockets(t) - before; got != n {
			t.Errorf("%s: %d sockets, want %d", what, got, n)
		}
	}
	l, err := udt.Listen("udp", "127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	client, server := joined(t, l, "udp", address, nil)
	second, server2 := joined(t, l, "udp", address, nil)
	want(3, "a listener and two clients")

	second.Close()
	want(2, "a client less")
	l.Close()
	want(2, "the listener closed, two accepted connections left")
	server2.Abort()
	exchange(t, client, server, 10_000, 1)
	want(0, "all closed")

	if _, err := udt.Dial(t.Context(), "udp", address, quick); !errors.Is(err, udt.ErrNoServer) {
		t.Errorf("nobody listens: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := udt.Dial(ctx, "udp", address, quick); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	want(0, "dials that failed")

	full, err := udt.Listen("udp", "127.0.0.1:0", &udt.Config{Backlog: 1})
	if err != nil {
		t.Fatal(err)
	}
	waiting, err := udt.Dial(t.Context(), "udp", full.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := udt.Dial(t.Context(), "udp", full.Addr().String(), nil); !errors.Is(err, udt.ErrRejected) {
		t.Errorf("backlog full: %v", err)
	}
	want(2, "a dial that was rejected")
	full.Close()
	waiting.Abort()
	want(0, "a listener with a backlog closed")
}

// The timer that paces a connection goes when that falls silent.
func TestIdleConnectionHasNoAlarm(t *testing.T) {
	const timers = "anon_inode:[timerfd]"
	before := openFiles(t, timers)
	client, server := loopback(t, &udt.Config{MaxBandwidth: 10e6})
	transfer := func() { race(t, []*udt.Conn{client}, []*udt.Conn{server}, 1_000_000) }
	transfer()
	if openFiles(t, timers) == before {
		closeAll(t, client, server)
		t.Skip("the portable path has the runtime's timers only")
	}
	for end := time.Now().Add(10 * time.Second); openFiles(t, timers) > before; <-time.After(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d timers are left", openFiles(t, timers)-before)
		}
	}
	transfer() // on we go with another
	closeAll(t, client, server)
	if n := openFiles(t, timers); n > before {
		t.Errorf("%d timers are left of closed connections", n-before)
	}
}
