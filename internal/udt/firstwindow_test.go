package udt_test

import (
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/proto"
)

// floodWithGaps opens a connection to the server and sends single bytes, each so far
// behind the one before that it needs another chunk of the receive buffer.
func (g *guest) floodWithGaps(packets int) {
	g.s.t.Helper()
	const isn = proto.Seq(1000)
	h := g.ask(g.request(1, isn))
	for i := range packets {
		g.write(g.s.server.addr, proto.Data{Seq: isn.Add(1 + 60*i), Dst: h.ID, Payload: []byte{1}}.Append(nil))
		if i%100 == 99 {
			<-time.After(time.Millisecond)
		}
	}
	g.flush()
}

// Peers that nobody knows yet have a small window, however they fill it: with gaps each packet would take the memory of
// many.
func TestFloodWithGaps(t *testing.T) {
	const (
		peers = 20
		most  = peers * 256 << 10 // bytes of memory; without the limit it is 12 MB a peer for 6 KB sent
	)
	cfg := udt.Config{FirstWindow: 64 << 10}
	simulate(t, simConfig{server: cfg}, func(t *testing.T, s *sim) {
		var guests [peers]*guest
		for i := range guests {
			guests[i] = s.guest(7001 + uint16(i))
		}
		defer func() {
			for _, g := range guests {
				g.close()
			}
		}()
		before := memory()
		for _, g := range guests {
			g.floodWithGaps(130 * attackScale())
		}
		grown := int64(memory()) - int64(before)
		t.Logf("%d peers, %d packets each: memory grew by %d KiB", peers, 130*attackScale(), grown>>10)
		if grown > most {
			t.Errorf("memory grew by %d bytes, want at most %d", grown, most)
		}
		for range peers { // all of them are there
			_ = s.accept().Abort()
		}
	})
}

// Once a peer is known it has the whole window, at once, and not before.
func TestOpenWindow(t *testing.T) {
	narrow := udt.Config{FirstWindow: 1} // 8 packets
	for name, up := range map[string]bool{"of the listener's end": true, "of the dialler's end": false} {
		t.Run(name, func(t *testing.T) {
			connected(t, simConfig{client: narrow, server: narrow}, func(t *testing.T, _ *sim, from, to *udt.Conn) {
				if !up {
					from, to = to, from
				}
				const whole = 1 << 20
				data := noise(3, whole)
				written := start(func() (int, error) { return from.Write(data) })
				<-time.After(10 * time.Second) // nobody reads
				if n := to.Unread(); n > 8 || n == 0 {
					t.Errorf("%d packets are kept", n)
				}
				to.OpenWindow()
				<-time.After(15 * time.Millisecond) // the peer is 5 away
				if n := from.Stats(false).PktFlowWindow; n < 8192 {
					t.Errorf("the peer was not told: it sees a window of %d packets", n)
				}
				if o := <-written; o.err != nil {
					t.Error(o.err)
				}
				if err := wantBytes(to, data); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
