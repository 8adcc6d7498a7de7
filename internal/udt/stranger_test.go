package udt_test

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/proto"
)

// spyID lets a test know the socket ID that a site's packets go to.
func (w *site) spyID() *atomic.Uint32 {
	id := new(atomic.Uint32)
	w.sock.filter(func(_ netip.AddrPort, b []byte) bool {
		if dst, ok := proto.Destination(b); ok && dst != 0 {
			id.Store(dst)
		}
		return true
	})
	return id
}

// Packets for a known socket ID from any other address are nobody's: they
// neither end the connection, nor change its data, nor count.
func TestPacketsFromAStranger(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, s *sim, client, server *udt.Conn) {
		id := s.client.spyID()
		data := noise(1, 50_000)
		meanwhile(t,
			func() error { return write(client, data) },
			func() error { return wantBytes(server, data) },
		)
		before := server.Stats(false)
		for _, port := range []uint16{s.client.addr.Port(), 7001} {
			g := s.guest(port)
			for i := range uint32(2000) {
				for _, b := range [][]byte{
					proto.AppendShutdown(nil, id.Load(), false),
					proto.Data{Seq: proto.Seq(i << 20 & proto.SeqMask), Dst: id.Load(), Payload: []byte("forged")}.Append(nil),
					proto.Control{Type: proto.TypePeerError, Info: 1, Dst: id.Load()}.Append(nil),
				} {
					g.write(s.server.addr, b)
				}
				if i%100 == 0 {
					<-time.After(time.Millisecond)
				}
			}
			if b := g.next(time.Second); b != nil {
				t.Errorf("a stranger was answered: %x", b)
			}
			g.close()
		}
		meanwhile(t,
			func() error { return write(client, data) },
			func() error { return wantBytes(server, data) },
			func() error { return write(server, data) },
			func() error { return wantBytes(client, data) },
		)
		after := server.Stats(false)
		if got := after.PktRecvTotal - before.PktRecvTotal; got > 100 {
			t.Errorf("%d data packets counted", got)
		}
	})
}

// A shutdown that somebody forged, address and ID included, ends nothing.
func TestForgedShutdown(t *testing.T) {
	for name, info := range map[string]uint32{"orderly": 0, "abort": 1} {
		t.Run(name, func(t *testing.T) {
			connected(t, simConfig{}, func(t *testing.T, s *sim, client, server *udt.Conn) {
				id := s.client.spyID()
				data := noise(9, 200_000)
				meanwhile(t,
					func() error { return write(client, data) },
					func() error { return wantBytes(server, data[:100_000]) },
				)
				for range 5 {
					forged := proto.Control{Type: proto.TypeShutdown, Info: info, Dst: id.Load()}.Append(nil)
					if err := s.client.sock.inject(s.server.addr, forged); err != nil {
						t.Fatal(err)
					}
					<-time.After(300 * time.Millisecond)
				}
				meanwhile(t,
					func() error { return wantBytes(server, data[100_000:]) },
					func() error { return write(server, data) },
					func() error { return wantBytes(client, data) },
				)
			})
		})
	}
}

// Junk for socket ID 0 and for unknown IDs gets no answer.
func TestJunkIsNotAnswered(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		g := s.guest(7001)
		defer g.close()
		for n := range 70 {
			g.write(s.server.addr, make([]byte, n))
			g.write(s.server.addr, append([]byte{0x80}, make([]byte, n)...))
			if b := noise(uint64(n), n); n < 16 || handshakeOf(b) == nil {
				g.write(s.server.addr, b)
			}
		}
		h := proto.Handshake{Version: 4, SocketType: proto.Stream, MSS: 1500, FlightFlag: 100, Request: proto.RequestInduction, ID: 1}
		whole := h.Append(proto.Control{Type: proto.TypeHandshake}.Append(nil))
		g.write(s.server.addr, whole[:len(whole)-1])
		g.write(s.server.addr, append(whole, 0))
		if b := g.next(time.Second); b != nil {
			t.Errorf("answered %x", b)
		}
		s.pair()
	})
}

// A peer error report wakes a Write that waits and fails it, once.
func TestPeerErrorReport(t *testing.T) {
	connected(t, simConfig{client: smallWindow, server: smallWindow}, func(t *testing.T, s *sim, client, server *udt.Conn) {
		id := s.server.spyID()
		if err := write(server, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := wantBytes(client, []byte("x")); err != nil {
			t.Fatal(err)
		}
		call := start(func() (int, error) { return writeCall(client) })
		<-time.After(time.Second)
		report := proto.Control{Type: proto.TypePeerError, Info: 4000, Dst: id.Load()}.Append(nil)
		if err := s.server.sock.inject(s.client.addr, report); err != nil {
			t.Fatal(err)
		}
		select {
		case o := <-call:
			wantError(t, o.err, udt.EPEERERR)
		case <-time.After(time.Minute):
			t.Error("the Write still waits")
		}
		go discard(server)
		client.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if err := write(client, make([]byte, 100_000)); err != nil {
			t.Errorf("after the report: %v", err)
		}
	})
}
