package udt_test

import (
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/proto"
)

func isShutdown(b []byte) bool {
	ctl, ok := proto.ParseControl(b)
	return ok && ctl.Type == proto.TypeShutdown
}

// deafen drops the next shutdowns that a site sends.
func (w *site) deafen(n int) {
	w.sock.filter(func(_ netip.AddrPort, b []byte) bool {
		if isShutdown(b) && n > 0 {
			n--
			return false
		}
		return true
	})
}

// A peer that missed all copies of the shutdown is told when it speaks next,
// and told the truth.
func TestPeerMissedTheShutdown(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*udt.Conn) error
		want error
	}{
		"close": {(*udt.Conn).Close, io.EOF},
		"abort": {(*udt.Conn).Abort, udt.ErrConnLost},
	} {
		t.Run(name, func(t *testing.T) {
			connected(t, simConfig{}, func(t *testing.T, s *sim, client, server *udt.Conn) {
				if err := errors.Join(write(client, []byte("data")), wantBytes(server, []byte("data"))); err != nil {
					t.Fatal(err)
				}
				s.client.deafen(3)
				begin := time.Now()
				if err := c.end(client); err != nil {
					t.Error(err)
				}
				// The server's keep-alive finds the grave.
				if _, err := server.Read(make([]byte, 1)); !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
				wantTook(t, begin, 0, 2*time.Second)
				if err := server.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A peer that missed the last ACK too, in an outage at the end, is told that
// everything had arrived.
func TestPeerMissedTheLastACK(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, s *sim, client, server *udt.Conn) {
		s.client.sock.filter(func(_ netip.AddrPort, b []byte) bool {
			ctl, ok := proto.ParseControl(b)
			return !ok || ctl.Type != proto.TypeACK && ctl.Type != proto.TypeShutdown
		})
		data := noise(1, 5000)
		meanwhile(t,
			func() error { return write(server, data) },
			func() error { return wantBytes(client, data) },
		)
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		s.client.sock.filter(nil)
		if err := wantEOF(server, nil); err != nil {
			t.Error(err)
		}
		if err := server.Close(); err != nil {
			t.Errorf("%v, though the client has everything", err)
		}
	})
}

// A sender whose receiver has gone learns it from the first packet it sends.
func TestGraveStopsASender(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, s *sim, client, server *udt.Conn) {
		s.server.deafen(3)
		server.Abort()
		begin := time.Now()
		var err error
		for err == nil {
			_, err = client.Write(make([]byte, 10_000))
			<-time.After(time.Millisecond)
		}
		wantError(t, err, udt.ECONNLOST, udt.ErrConnLost)
		wantTook(t, begin, 0, time.Second)
	})
}

// An endpoint that lost its peer, and hears from it again later, says so.
func TestPeerComesBackTooLate(t *testing.T) {
	c := simConfig{client: udt.Config{PeerTimeout: 2 * time.Second}, server: udt.Config{PeerTimeout: time.Minute}}
	connected(t, c, func(t *testing.T, s *sim, client, server *udt.Conn) {
		<-time.After(time.Second)
		s.cut()
		_, err := client.Read(make([]byte, 1))
		wantError(t, err, udt.ECONNLOST, udt.ErrConnLost)
		s.mend()
		begin := time.Now()
		_, err = server.Read(make([]byte, 1))
		wantError(t, err, udt.ECONNLOST, udt.ErrConnLost)
		wantTook(t, begin, 0, 2*time.Second)
	})
}

// Graves answer their own peer only, not too often, not to a shutdown, and not
// for ever.
func TestGraveManners(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		g := s.guest(7001)
		defer g.close()
		id := g.ask(g.request(5, 100)).ID
		s.accept().Abort()
		g.flush()
		<-time.After(time.Second)
		g.flush()

		knock := func(g *guest, typ proto.Type) int {
			g.flush()
			g.write(s.server.addr, proto.Control{Type: typ, Dst: id}.Append(nil))
			n := 0
			for {
				b := g.next(100 * time.Millisecond)
				if b == nil {
					return n
				}
				if dst, _ := proto.Destination(b); !isShutdown(b) || dst != 5 {
					t.Errorf("answered %x", b)
				}
				n++
			}
		}
		if n := knock(g, proto.TypeKeepAlive); n != 1 {
			t.Errorf("%d answers to a keep-alive", n)
		}
		if n := knock(g, proto.TypeShutdown); n != 0 {
			t.Errorf("%d answers to a shutdown", n)
		}
		other := s.guest(7002)
		defer other.close()
		if n := knock(other, proto.TypeKeepAlive); n != 0 {
			t.Errorf("%d answers to a stranger", n)
		}
		for range 1000 {
			g.write(s.server.addr, proto.Control{Type: proto.TypeKeepAlive, Dst: id}.Append(nil))
			<-time.After(100 * time.Microsecond)
		}
		answers := 0
		for g.next(100*time.Millisecond) != nil {
			answers++
		}
		if answers < 1 || answers > 11 {
			t.Errorf("%d answers to 1000 packets in 100 ms", answers)
		}
		// After a minute, another burial clears it away.
		<-time.After(time.Minute)
		client, server := s.pair()
		client.Abort()
		server.Abort()
		if n := knock(g, proto.TypeKeepAlive); n != 0 {
			t.Errorf("%d answers long after", n)
		}
		if answer := g.ask(g.request(5, 100)); answer.Request != proto.RequestConclusion {
			t.Errorf("the same request long after: answered with %+v", answer)
		}
	})
}
