package udt_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/udtcp/udtcp/internal/udt"
)

// PyUDT's examples pair every end with every other; here ours meets libudt's.
func testPyUDT(t *testing.T, l *lab) {
	for _, c := range conversations {
		for _, loss := range []float64{0, 0.02} {
			t.Run(fmt.Sprintf("%s,%g%%", c.name, loss*100), func(t *testing.T) {
				eachRole(t, func(t *testing.T, r role) {
					var p path
					if loss > 0 {
						p.rule = lossy(loss)
					}
					c.holdWith(t, l, r, p)
				})
			})
		}
	}
}

// holdWith holds our part of a conversation over p, libudt the other.
func (c conversation) holdWith(t *testing.T, l *lab, r role, p path) {
	t.Helper()
	isServer := r == asListener
	p.cfg, p.flags = c.client, c.flags
	if isServer {
		p.cfg = c.server
	}
	conn, remote := p.connect(t, l, r, c.talk(!isServer))
	if err := c.hold(conn, isServer); err != nil {
		t.Fatal(err)
	}
	// libudt may close before its last ACK is out; its report has what arrived.
	if err := conn.Close(); err != nil && !errors.Is(err, udt.ErrUndelivered) {
		t.Error(err)
	}
	if got := remote.good(); got.badAt >= 0 {
		t.Errorf("libudt heard other bytes: %+v", got)
	}
}

// talk is the mode in which a peer holds its part.
func (c conversation) talk(isServer bool) string {
	var turns []string
	seed, rseed := clientSeed, serverSeed
	if isServer {
		seed, rseed = rseed, seed
	}
	for _, n := range c.turns {
		if !isServer {
			n = -n
		}
		turns = append(turns, fmt.Sprint(n))
	}
	return fmt.Sprintf("talk --turns=%s --seed %d --rseed %d", strings.Join(turns, ","), seed, rseed)
}

// Much each way at once in calls of 1 KiB, in both roles.
func testPyUDTPerfmon(t *testing.T, l *lab) {
	eachRole(t, func(t *testing.T, r role) {
		size := duplexSize() / 32
		conn, remote := path{}.connect(t, l, r, fmt.Sprintf("both --bytes %d --block %d --seed %d --rseed %d",
			size, duplexPiece, serverSeed, clientSeed))
		meanwhile(t,
			func() error { return pour(conn, clientSeed, size) },
			func() error { return receiveExactly(conn, serverSeed, size) },
		)
		if got := remote.good(); got.sent != size || got.received != size {
			t.Errorf("libudt sent %d and received %d bytes, want %d", got.sent, got.received, size)
		}
		if st := conn.Stats(false); st.PktRecvTotal < size/duplexPiece {
			t.Errorf("%d packets of libudt's, which sends one for each call, of %d", st.PktRecvTotal, size/duplexPiece)
		}
	})
}
