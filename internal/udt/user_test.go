package udt_test

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/proto"
)

// User packets go both ways, as far as an end keeps them and takes them in
// time; the channel ends with the connection.
func TestUserPackets(t *testing.T) {
	c := simConfig{client: udt.Config{UserPackets: 2}, server: udt.Config{UserPackets: 10}}
	connected(t, c, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		for i := range 5 {
			for _, conn := range []*udt.Conn{client, server} {
				if err := conn.SendUser(udt.UserPacket{Kind: uint16(i), Words: []uint32{1, uint32(i)}}); err != nil {
					t.Error(err)
				}
			}
		}
		<-time.After(time.Second)
		for name, want := range map[string]struct {
			conn *udt.Conn
			n    int
		}{"client": {client, 2}, "server": {server, 5}} {
			for i := range want.n {
				if p := <-want.conn.UserPackets(); p.Kind != uint16(i) || !slices.Equal(p.Words, []uint32{1, uint32(i)}) {
					t.Errorf("%s: packet %d is %+v", name, i, p)
				}
			}
			select {
			case p := <-want.conn.UserPackets():
				t.Errorf("%s: %+v too many", name, p)
			default:
			}
		}
		waiting := start(func() (int, error) {
			n := 0
			for range server.UserPackets() {
				n++
			}
			return n, nil
		})
		meanwhile(t, client.Close, server.Close)
		if o := <-waiting; o.n != 0 {
			t.Errorf("%d packets after all were taken", o.n)
		}
	})
	connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		if client.UserPackets() != nil {
			t.Error("a channel for packets that are not kept")
		}
		if err := client.SendUser(udt.UserPacket{Kind: 1}); err != nil {
			t.Error(err)
		}
		meanwhile(t,
			func() error { return write(client, []byte("x")) },
			func() error { return wantBytes(server, []byte("x")) },
		)
	})
}

func TestUserPacketErrors(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, s *sim, client, server *udt.Conn) {
		wantError(t, client.SendUser(udt.UserPacket{Words: make([]uint32, 1456/4+1)}), udt.EINVPARAM)
		if err := client.SendUser(udt.UserPacket{Words: make([]uint32, 1456/4)}); err != nil {
			t.Error(err)
		}
		stuck := make(chan struct{})
		s.client.sock.filter(func(netip.AddrPort, []byte) bool { <-stuck; return true })
		var err error
		for n := 0; err == nil; n++ {
			if err = client.SendUser(udt.UserPacket{}); n > 10_000 {
				t.Fatal("there is no bound")
			}
		}
		wantError(t, err, udt.EASYNCSND)
		close(stuck)
		server.Close()
		<-time.After(time.Second)
		wantError(t, client.SendUser(udt.UserPacket{}), udt.ECONNLOST, udt.ErrPeerClosed)
		client.Close()
		wantError(t, client.SendUser(udt.UserPacket{}), udt.EINVSOCK, net.ErrClosed)
		wantError(t, client.ReportError(udt.EFILE), udt.EINVSOCK, net.ErrClosed)
	})
}

// A watcher is a controller made outside of package proto: it answers user
// packets and counts what else it is told.
type watcher struct {
	udt.Controller
	sent, received, closed int
}

func (w *watcher) OnSent(_ *udt.PathState, _ int64, n int, _ bool) { w.sent += n }
func (w *watcher) OnReceived(*udt.PathState, int64, int)           { w.received++ }
func (w *watcher) OnClose(*udt.PathState)                          { w.closed++ }
func (w *watcher) OnUser(s *udt.PathState, p udt.UserPacket) {
	s.SendUser(udt.UserPacket{Kind: p.Kind + 1, Words: p.Words})
}

// Config.NewController takes a controller of anybody's making.
func TestControllerPlugIn(t *testing.T) {
	var made []*watcher
	c := simConfig{client: udt.Config{UserPackets: 1}}
	c.server.NewController = func() udt.Controller {
		made = append(made, &watcher{Controller: proto.NewNative()})
		return made[len(made)-1]
	}
	connected(t, c, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		data := noise(1, 200_000)
		meanwhile(t,
			func() error { return errors.Join(write(client, data), write(server, data)) },
			func() error { return wantBytes(server, data) },
			func() error { return wantBytes(client, data) },
			func() error { return client.SendUser(udt.UserPacket{Kind: 7, Words: []uint32{8}}) },
		)
		if p := <-client.UserPackets(); p.Kind != 8 || !slices.Equal(p.Words, []uint32{8}) {
			t.Errorf("answered %+v", p)
		}
		st := server.Stats(false)
		meanwhile(t, client.Close, server.Close)
		if len(made) != 1 {
			t.Fatalf("%d controllers were made", len(made))
		}
		if w := made[0]; int64(w.sent) < st.PktSentTotal || int64(w.received) < st.PktRecvTotal || w.closed != 1 {
			t.Errorf("told %+v, counted %+v", w, st)
		}
	})
}
