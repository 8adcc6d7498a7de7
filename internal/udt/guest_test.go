package udt_test

import (
	"net/netip"
	"testing/synctest"
	"time"

	"github.com/udtcp/udtcp/internal/udt/proto"
	"github.com/udtcp/udtcp/internal/udt/udpio"
)

// A guest is a peer that speaks single packets, made by hand, on a host of its
// own.
type guest struct {
	s    *sim
	sock udpio.Socket
	got  chan []byte
}

// guest opens a socket for single packets.
func (s *sim) guest(port uint16) *guest {
	s.t.Helper()
	h := s.net.Host(netip.MustParseAddr("10.0.0.9"))
	s.net.Connect(h, s.server.host, lan, lan)
	s.net.Connect(h, s.client.host, lan, lan)
	sock, err := h.Listen(port)
	if err != nil {
		s.t.Fatal(err)
	}
	g := &guest{s: s, sock: sock, got: make(chan []byte, 1000)}
	go func() {
		defer close(g.got)
		ms := []udpio.Message{{Buf: make([]byte, 2048)}}
		for {
			if _, err := sock.ReadBatch(ms); err != nil {
				return
			}
			g.got <- append([]byte(nil), ms[0].Buf...)
		}
	}()
	return g
}

func (g *guest) close() {
	g.sock.Close()
	for range g.got {
	}
}

func (g *guest) write(to netip.AddrPort, b []byte) {
	g.s.t.Helper()
	if err := g.sock.WriteBatch([]udpio.Message{{Addr: to, Buf: b}}); err != nil {
		g.s.t.Error(err)
	}
}

// request is a connection request with a good cookie.
func (g *guest) request(id uint32, isn proto.Seq) proto.Handshake {
	g.s.t.Helper()
	h := g.ask(proto.Handshake{
		Version: proto.Version, SocketType: proto.Stream, ISN: isn,
		MSS: 1500, FlightFlag: 8192, Request: proto.RequestInduction, ID: id,
	})
	h.Request = proto.RequestConclusion
	return h
}

func (g *guest) send(h proto.Handshake) {
	g.s.t.Helper()
	g.write(g.s.server.addr, h.Append(proto.Control{Type: proto.TypeHandshake}.Append(nil)))
}

// ask sends a request and returns the handshake that comes back.
func (g *guest) ask(h proto.Handshake) proto.Handshake {
	g.s.t.Helper()
	g.flush()
	g.send(h)
	for {
		b := g.next(time.Second)
		if b == nil {
			g.s.t.Fatalf("no answer to %+v", h)
		}
		if answer := handshakeOf(b); answer != nil {
			return *answer
		}
	}
}

// next returns the next packet, nil if none comes for a time.
func (g *guest) next(wait time.Duration) []byte {
	select {
	case b := <-g.got:
		return b
	case <-time.After(wait):
		return nil
	}
}

// flush drops what has come.
func (g *guest) flush() {
	synctest.Wait()
	for len(g.got) > 0 {
		<-g.got
	}
}
