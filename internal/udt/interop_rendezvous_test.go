package udt_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/proto"
)

// A tryst is a rendezvous with libudt through a relay, which sees who dials
// first. Its client is libudt.
type tryst struct {
	ours   *udt.Endpoint
	theirs *peer
	at     netip.AddrPort // where we find libudt
	heard  map[way]chan struct{}
}

// tryst starts libudt's end in this mode, which dials once it is released, and
// leaves ours to be dialled from.
func (p path) tryst(t *testing.T, l *lab, mode string) *tryst {
	t.Helper()
	host := "127.0.0.1:0"
	if p.ipv6 {
		host = "[::1]:0"
	}
	e, err := udt.Bind("udp", host, &p.cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	tr := &tryst{ours: e, heard: map[way]chan struct{}{toServer: make(chan struct{}), toClient: make(chan struct{})}}
	var first [2]sync.Once
	var decide rule
	if p.rule != nil {
		decide = p.rule(asListener)
	}
	r := newRelay(t, addrPort(e.LocalAddr()), decide, func(w way, _ []byte, _ fate) {
		first[w].Do(func() { close(tr.heard[w]) })
	})
	to := r.addr()
	tr.theirs = l.dial(t, to, "--rendezvous --wait --mode "+mode+" "+p.flags)
	tr.at = r.wayTo(t, tr.theirs)
	return tr
}

// wayTo is the relay's address for packets to a peer that dials it in a
// rendezvous.
func (r *relay) wayTo(t *testing.T, p *peer) netip.AddrPort {
	t.Helper()
	port, err := strconv.ParseUint(strings.TrimPrefix(p.await("bound "), "bound "), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	back := r.backFor(netip.AddrPortFrom(r.addr().Addr(), uint16(port)))
	if back == nil {
		t.Fatal("the relay is closed")
	}
	return addrPort(back.LocalAddr())
}

// order is who dials first.
type order string

const (
	weFirst    order = "we first"
	theyFirst  order = "libudt first"
	bothAtOnce order = "at once"
)

// meet dials from both ends.
func (tr *tryst) meet(t *testing.T, first order) (*udt.Conn, error) {
	t.Helper()
	ctx := testContext(t)
	dial := func() <-chan met {
		ch := make(chan met, 1)
		go func() {
			c, err := tr.ours.Rendezvous(ctx, tr.at)
			ch <- met{c, err, time.Now()}
		}()
		return ch
	}
	if first == theyFirst {
		tr.theirs.release()
		<-tr.heard[toServer]
	}
	m := dial()
	if first != theyFirst {
		if first == weFirst {
			<-tr.heard[toClient]
		}
		tr.theirs.release()
	}
	got := <-m
	if got.err != nil {
		return nil, got.err
	}
	return limited(t, got.conn), nil
}

// swap moves size bytes each way at the same time, in a rendezvous.
func (p path) swap(t *testing.T, l *lab, first order, size int64) *udt.Conn {
	t.Helper()
	tr := p.tryst(t, l, fmt.Sprintf("both --bytes %d --seed 2 --rseed 1", size))
	conn, err := tr.meet(t, first)
	if err != nil {
		t.Fatal(err)
	}
	if err := together(
		func() error { return sendPattern(conn, 1, size) },
		func() error { return receiveExactly(conn, 2, size) },
	); err != nil {
		t.Fatal(err)
	}
	tr.theirs.good()
	return conn
}

func testRendezvous(t *testing.T, l *lab) {
	for _, first := range []order{weFirst, theyFirst, bothAtOnce} {
		for _, flags := range []string{"", "--nonblock"} {
			t.Run(string(first)+flags, func(t *testing.T) {
				path{flags: flags}.swap(t, l, first, 2_000_000)
			})
		}
	}
	t.Run("ipv6", func(t *testing.T) { path{ipv6: true}.swap(t, l, theyFirst, 300_000) })
	t.Run("small flight", func(t *testing.T) { path{flags: "--fc 64"}.swap(t, l, weFirst, 500_000) })
}

// Each end sends by the smaller MSS.
func testRendezvousMSS(t *testing.T, l *lab) {
	for _, c := range []struct{ ours, theirs, want int }{{1500, 1000, 1000}, {576, 1500, 576}, {9000, 1500, 1500}, {9000, 9000, 9000}} {
		t.Run(fmt.Sprint(c.ours, c.theirs), func(t *testing.T) {
			for _, first := range []order{weFirst, theyFirst} {
				p := path{cfg: udt.Config{MSS: c.ours}, flags: fmt.Sprintf("--mss %d", c.theirs)}
				if got := p.swap(t, l, first, 300_000).MSS(); got != c.want {
					t.Errorf("%s: packets of %d bytes, want %d", first, got, c.want)
				}
			}
		})
	}
}

// Any packet may be lost, late or doubled, those of the handshake too.
func testRendezvousFaults(t *testing.T, l *lab) {
	for seed := range uint64(4) {
		for name, decide := range map[string]rule{
			"2%":     lose(0.02, seed),
			"5%":     lose(0.05, seed),
			"jumble": jumble(10, 3*time.Millisecond, seed),
		} {
			t.Run(fmt.Sprint(name, " ", seed), func(t *testing.T) {
				first := []order{weFirst, theyFirst, bothAtOnce}[seed%3]
				p := path{rule: func(role) rule { return decide }, flags: []string{"", "--nonblock"}[seed%2]}
				p.swap(t, l, first, 300_000)
			})
		}
	}
}

// Each of the handshakes is lost in turn, in each direction.
func testRendezvousLostHandshake(t *testing.T, l *lab) {
	for _, w := range []way{toServer, toClient} {
		for _, request := range []int32{0, -1, -2} {
			t.Run(fmt.Sprint(map[way]string{toServer: "libudt's ", toClient: "our "}[w], request), func(t *testing.T) {
				drop := dropFirst(func(v way, b []byte) bool { return v == w && isHandshake(b) && handshakeRequest(b) == request })
				path{rule: func(role) rule { return drop }}.swap(t, l, theyFirst, 100_000)
			})
		}
	}
}

// Sequence numbers pass 0x7fffffff in one direction of the two.
func testRendezvousWrap(t *testing.T, l *lab) {
	path{rule: func(role) rule { return both(lose(0.01, 5), shiftISN(proto.SeqMask-50)) }}.swap(t, l, theyFirst, 500_000)
}

// Libudt would take any socket for one of its own kind.
func testRendezvousMismatch(t *testing.T, l *lab) {
	for _, first := range []order{weFirst, theyFirst} {
		start := time.Now()
		_, err := path{}.tryst(t, l, "sink --dgram").meet(t, first)
		var e *udt.Error
		if !errors.As(err, &e) || e.Code != udt.ESECFAIL || !errors.Is(err, udt.ErrMismatch) {
			t.Errorf("%s: error %v, want %v", first, err, udt.ErrMismatch)
		}
		within(t, start, 10*time.Second)
	}
}
