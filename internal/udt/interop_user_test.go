package udt_test

import (
	"slices"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// User packets go to a CCC of libudt's and come from it, in both roles.
func testUserPackets(t *testing.T, l *lab) {
	eachRole(t, func(t *testing.T, r role) {
		p := path{cfg: udt.Config{UserPackets: 10}, flags: "--custom"}
		conn, remote := p.connect(t, l, r, "hold")
		for _, c := range []struct {
			sent   udt.UserPacket
			line   string
			answer []uint32
		}{
			{udt.UserPacket{Kind: 7, Words: []uint32{1, 0xdeadbeef, 0x80000000}}, "custom kind=7 words=3 00000001 deadbeef 80000000", []uint32{1, 0xdeadbeef, 0x80000000}},
			{udt.UserPacket{Kind: 0xfffe}, "custom kind=65534 words=1 00000000", []uint32{0}},
		} {
			if got := exchangeUser(t, conn, c.sent); got.Kind != c.sent.Kind+1 || !slices.Equal(got.Words, c.answer) {
				t.Errorf("to %+v came %+v", c.sent, got)
			}
			if line := remote.await("custom "); line != c.line {
				t.Errorf("libudt got %q, want %q", line, c.line)
			}
		}
		remote.release()
		remote.good()
	})
}

// exchangeUser sends a user packet until an answer comes: it may get lost.
func exchangeUser(t *testing.T, conn *udt.Conn, p udt.UserPacket) udt.UserPacket {
	t.Helper()
	again := time.NewTicker(5 * time.Second)
	defer again.Stop()
	ctx := testContext(t)
	for {
		if err := conn.SendUser(p); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-conn.UserPackets():
			return got
		case <-again.C:
		case <-ctx.Done():
			t.Fatal("no answer")
		}
	}
}
