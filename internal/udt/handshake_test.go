package udt_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/proto"
)

// handshakeOf reads a handshake packet; nil for all others.
func handshakeOf(b []byte) *proto.Handshake {
	ctl, ok := proto.ParseControl(b)
	if !ok || ctl.Type != proto.TypeHandshake {
		return nil
	}
	hs, ok := proto.ParseHandshake(ctl.Body)
	if !ok {
		return nil
	}
	return &hs
}

// The answer that says "accepted" is lost again and again. The client repeats
// its request, the listener its answer, and there is one connection.
func TestLostFinalAnswer(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		lost := 0
		s.server.sock.filter(func(_ netip.AddrPort, b []byte) bool {
			if h := handshakeOf(b); h != nil && h.Request == proto.RequestConclusion && lost < 9 {
				lost++
				return false
			}
			return true
		})
		client := start(func() (int, error) {
			c, err := s.client.Dial(t.Context(), s.server.addr)
			if err != nil {
				return 0, err
			}
			return 0, errors.Join(wantBytes(c, []byte("welcome")), write(c, []byte("thanks")), c.Close())
		})
		server := s.accept()
		if err := errors.Join(write(server, []byte("welcome")), wantEOF(server, []byte("thanks"))); err != nil {
			t.Error(err)
		}
		if o := <-client; o.err != nil {
			t.Error(o.err)
		}
		if lost != 9 {
			t.Errorf("lost %d answers", lost)
		}
		s.wantNoAccept()
	})
}

// Data overtakes the answer, with a gap in it.
func TestEarlyDataWithAGap(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		answers, data := 0, 0
		s.server.sock.filter(func(_ netip.AddrPort, b []byte) bool {
			if h := handshakeOf(b); h != nil && h.Request == proto.RequestConclusion {
				answers++
				return answers > 4
			}
			if !proto.IsControl(b) {
				data++
				return data != 2
			}
			return true
		})
		greeting := noise(1, 10_000)
		client := start(func() (int, error) {
			c, err := s.client.Dial(t.Context(), s.server.addr)
			if err != nil {
				return 0, err
			}
			return 0, wantBytes(c, greeting)
		})
		if err := write(s.accept(), greeting); err != nil {
			t.Error(err)
		}
		if o := <-client; o.err != nil {
			t.Error(o.err)
		}
	})
}

// A cookie from another time, or another listener, is answered by a new one.
func TestStaleCookie(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		g := s.guest(7001)
		defer g.close()
		h := g.request(1, 100)
		for range 2 {
			<-time.After(3 * proto.CookieEpoch)
			answer := g.ask(h)
			if answer.Request != proto.RequestInduction || answer.Cookie == 0 || answer.Cookie == h.Cookie {
				t.Fatalf("stale cookie %#x: answered with %+v", h.Cookie, answer)
			}
			h.Cookie = answer.Cookie
		}
		// Another client's cookie is as bad.
		other := s.guest(7002)
		defer other.close()
		if answer := other.ask(h); answer.Request != proto.RequestInduction || answer.Cookie == h.Cookie {
			t.Errorf("other client's cookie: answered with %+v", answer)
		}
		s.wantNoAccept()
		// It is good up to the end of the next epoch.
		<-time.After(proto.CookieEpoch)
		if answer := g.ask(h); answer.Request != proto.RequestConclusion || answer.ID == 0 {
			t.Errorf("good cookie: answered with %+v", answer)
		}
		s.accept().Abort()
	})
}

// The listener's cookie expires between the client's requests.
func TestCookieExpiresDuringDial(t *testing.T) {
	c := simConfig{client: udt.Config{ConnectTimeout: time.Hour}}
	simulate(t, c, func(t *testing.T, s *sim) {
		begin := time.Now()
		s.client.sock.filter(func(_ netip.AddrPort, b []byte) bool {
			h := handshakeOf(b)
			return h == nil || h.Request != proto.RequestConclusion || time.Since(begin) > 3*proto.CookieEpoch
		})
		if err := s.dial().Close(); err != nil {
			t.Error(err)
		}
	})
}

// Repeated requests, also late ones, give one connection, the same answer, and
// one accept.
func TestRepeatedRequests(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		g := s.guest(7001)
		defer g.close()
		h := g.request(5, 100)
		first := g.ask(h)
		for range 10 {
			if again := g.ask(h); again != first {
				t.Errorf("answered %+v, then %+v", first, again)
			}
		}
		c := s.accept()
		if again := g.ask(h); again != first {
			t.Errorf("answered %+v, once accepted %+v", first, again)
		}
		s.wantNoAccept()
		// Another connection from the same address is another connection.
		for _, other := range []proto.Handshake{g.request(6, 100), g.request(5, 101)} {
			if answer := g.ask(other); answer.ID == first.ID || answer.Request != proto.RequestConclusion {
				t.Errorf("second connection: answered %+v", answer)
			}
			s.accept().Abort()
		}
		// A copy that the network held back until all is over raises no ghost.
		c.Abort()
		g.send(h)
		s.wantNoAccept()
	})
}

// A connection that its server ends before the client has heard of it.
func TestAcceptAndCloseAtOnce(t *testing.T) {
	for name, end := range map[string]func(*udt.Conn) error{"close": (*udt.Conn).Close, "abort": (*udt.Conn).Abort} {
		for _, lost := range []int{0, 1, 100} {
			t.Run(fmt.Sprint(name, " answers lost ", lost), func(t *testing.T) {
				simulate(t, simConfig{client: udt.Config{PeerTimeout: 5 * time.Second}}, func(t *testing.T, s *sim) {
					left := lost
					s.server.sock.filter(func(_ netip.AddrPort, b []byte) bool {
						if h := handshakeOf(b); h != nil && h.Request == proto.RequestConclusion && left > 0 {
							left--
							return false
						}
						return true
					})
					dialled := start(func() (int, error) {
						c, err := s.client.Dial(t.Context(), s.server.addr)
						if err != nil {
							return 0, err
						}
						defer c.Close()
						_, err = c.Read(make([]byte, 1))
						return 1, err
					})
					begin := time.Now()
					if err := end(s.accept()); err != nil {
						t.Error(err)
					}
					o := <-dialled
					t.Logf("client: connected %d, %v after %v", o.n, o.err, o.at.Sub(begin))
					switch {
					case o.n == 0:
						wantError(t, o.err, udt.ECONNREJ, udt.ErrRejected)
					case name == "close" && !isBareEOF(o.err):
						t.Errorf("read: %v", o.err)
					case name == "abort":
						wantError(t, o.err, udt.ECONNLOST, udt.ErrConnLost)
					}
					wantTook(t, begin, 0, time.Second)
					s.wantNoAccept()
				})
			})
		}
	}
}

// wantNoAccept checks that no connection waits to be accepted, now or soon:
// the next is one made here.
func (s *sim) wantNoAccept() {
	s.t.Helper()
	<-time.After(2 * time.Second)
	s.client.sock.filter(nil)
	s.server.sock.filter(nil)
	probe := noise(99, 100)
	client, server := s.pair()
	server.SetReadDeadline(time.Now().Add(time.Second))
	if err := errors.Join(write(client, probe), wantBytes(server, probe)); err != nil {
		s.t.Errorf("the next connection accepted is another one: %v", err)
	}
	client.Abort()
	server.Abort()
}
