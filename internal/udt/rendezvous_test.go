package udt_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/proto"
	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// halves is simulate for two ends of which neither listens.
func halves(t *testing.T, c simConfig, run func(t *testing.T, s *sim)) {
	t.Helper()
	simulate(t, c, func(t *testing.T, s *sim) {
		s.listener.Close()
		run(t, s)
	})
}

// half dials to from at in a goroutine.
func half(ctx context.Context, at *site, to netip.AddrPort) <-chan met {
	ch := make(chan met, 1)
	go func() {
		c, err := at.Rendezvous(ctx, to)
		ch <- met{c, err, time.Now()}
	}()
	return ch
}

type met struct {
	conn *udt.Conn
	err  error
	at   time.Time
}

// meet connects both ends in a rendezvous, of which the server starts late.
func (s *sim) meet(late time.Duration) (client, server *udt.Conn) {
	s.t.Helper()
	first := half(s.t.Context(), s.client, s.server.addr)
	<-time.After(late)
	second := half(s.t.Context(), s.server, s.client.addr)
	a, b := <-first, <-second
	if a.err != nil || b.err != nil {
		s.t.Fatal(a.err, b.err)
	}
	return a.conn, b.conn
}

func TestRendezvous(t *testing.T) {
	for _, late := range []time.Duration{0, 3 * time.Millisecond, time.Second, 20 * time.Second, 29 * time.Second} {
		for name, link := range map[string]simnet.Params{
			"lan":  lan,
			"poor": {Rate: 50e6, Delay: 20 * time.Millisecond, Queue: 1 << 18, Loss: 0.05, Reorder: 0.05, ReorderBy: 10 * time.Millisecond, Duplicate: 0.02},
		} {
			t.Run(name+" "+late.String(), func(t *testing.T) {
				halves(t, simConfig{link: link, server: udt.Config{MSS: 1000}}, func(t *testing.T, s *sim) {
					client, server := s.meet(late)
					if client.MSS() != 1000 || server.MSS() != 1000 {
						t.Errorf("packets of %d and %d bytes", client.MSS(), server.MSS())
					}
					exchange(t, client, server, 300_000, 1)
				})
			})
		}
	}
}

// Nobody else dials: an answer never comes, for as long as is asked for.
func TestRendezvousAlone(t *testing.T) {
	for limit, want := range map[time.Duration]time.Duration{0: udt.DefaultMeetingTimeout, 2 * time.Second: 2 * time.Second} {
		halves(t, simConfig{client: udt.Config{ConnectTimeout: limit}}, func(t *testing.T, s *sim) {
			begin := time.Now()
			_, err := s.client.Rendezvous(t.Context(), s.server.addr)
			wantError(t, err, udt.ENOSERVER, udt.ErrNoServer, os.ErrDeadlineExceeded)
			wantTook(t, begin, want, want)
		})
	}
}

// Whatever ends the wait leaves nothing behind: the endpoint can be used for the
// same at once.
func TestRendezvousIsCancelled(t *testing.T) {
	halves(t, simConfig{}, func(t *testing.T, s *sim) {
		for _, wait := range []time.Duration{0, time.Millisecond, 2 * time.Second} {
			begin := time.Now()
			_, err := s.client.Rendezvous(cancelledAfter(t, wait), s.server.addr)
			wantError(t, err, udt.ECONNSETUP, context.Canceled)
			wantTook(t, begin, wait, wait)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.client.Rendezvous(ctx, s.server.addr)
		wantError(t, err, udt.ECONNSETUP, context.DeadlineExceeded)

		l, err := s.client.Listen()
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		client, server := s.meet(0)
		meanwhile(t, client.Close, func() error { return wantEOF(server, nil) })
		server.Close()
		begin := time.Now()
		s.client.Close()
		wantTook(t, begin, 0, 0)
	})
}

// Cancelling races the peer's answer; whichever wins, nothing is left behind.
func TestCancelRacesRendezvous(t *testing.T) {
	halves(t, simConfig{}, func(t *testing.T, s *sim) {
		connects, rounds := 0, 0
		for wait := 5 * time.Millisecond; wait < 25*time.Millisecond; wait += 250 * time.Microsecond {
			rounds++
			ctx, cancel := context.WithCancel(t.Context())
			other := half(ctx, s.server, s.client.addr)
			c, err := s.client.Rendezvous(cancelledAfter(t, wait), s.server.addr)
			if err == nil {
				connects++
				c.Abort()
			} else {
				wantError(t, err, udt.ECONNSETUP, context.Canceled)
			}
			synctest.Wait()
			cancel()
			if o := <-other; o.conn != nil {
				o.conn.Abort()
			}
		}
		if connects == 0 || connects == rounds {
			t.Errorf("%d of %d connected", connects, rounds)
		}
	})
}

func TestEndpointClosesDuringRendezvous(t *testing.T) {
	halves(t, simConfig{}, func(t *testing.T, s *sim) {
		m := half(t.Context(), s.client, s.server.addr)
		<-time.After(300 * time.Millisecond)
		begin := time.Now()
		s.client.Close()
		wantTook(t, begin, 0, 0)
		wantError(t, (<-m).err, udt.ECONNSETUP, net.ErrClosed)
		_, err := s.client.Rendezvous(t.Context(), s.server.addr)
		wantError(t, err, udt.EINVSOCK, net.ErrClosed)
	})
}

// A listener on the port would get the peer's requests.
func TestRendezvousAndListener(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		_, err := s.server.Rendezvous(t.Context(), s.client.addr)
		wantError(t, err, udt.ERDVNOSERV, udt.ErrMeetingPort, syscall.EADDRINUSE)

		ctx, cancel := context.WithCancel(t.Context())
		m := half(ctx, s.client, netip.MustParseAddrPort("10.0.0.9:7"))
		synctest.Wait()
		_, err = s.client.Listen()
		wantError(t, err, udt.ERDVNOSERV, udt.ErrMeetingPort)
		cancel()
		wantError(t, (<-m).err, udt.ECONNSETUP, context.Canceled)

		// The other end's listener can be told from nobody.
		begin := time.Now()
		_, err = s.client.Rendezvous(t.Context(), s.server.addr)
		wantError(t, err, udt.ERDVNOSERV, udt.ErrPeerListens, syscall.ECONNREFUSED)
		wantTook(t, begin, 0, 100*time.Millisecond)
	})
}

// Connected ends are in no listener's way, and several rendezvous share a port.
func TestRendezvousSharePort(t *testing.T) {
	halves(t, simConfig{}, func(t *testing.T, s *sim) {
		third := s.site(netip.MustParseAddr("10.0.0.3"), 7000, udt.Config{}, false)
		defer third.Close()
		s.net.Connect(third.host, s.server.host, lan, lan)
		ctx := t.Context()
		halves := []<-chan met{
			half(ctx, s.server, s.client.addr), half(ctx, s.client, s.server.addr),
			half(ctx, s.server, third.addr), half(ctx, third, s.server.addr),
		}
		synctest.Wait()
		_, err := s.server.Rendezvous(ctx, third.addr)
		wantError(t, err, udt.EINVPARAM, udt.ErrDuplicateRendezvous, syscall.EALREADY)
		var conns []*udt.Conn
		for _, h := range halves {
			m := <-h
			if m.err != nil {
				t.Fatal(m.err)
			}
			conns = append(conns, m.conn)
		}
		exchange(t, conns[3], conns[2], 50_000, 1)

		l, err := s.server.Listen()
		if err != nil {
			t.Fatal(err)
		}
		s.listener = l
		dialled, accepted := s.pair()
		exchange(t, dialled, accepted, 50_000, 2)
		l.Close()

		// The same two ends once more.
		client, server := s.meet(0)
		exchange(t, client, server, 50_000, 3)
		exchange(t, conns[1], conns[0], 50_000, 4)
	})
}

// What the wrong sort of peer gets is clear to both.
func TestRendezvousMismatch(t *testing.T) {
	halves(t, simConfig{}, func(t *testing.T, s *sim) {
		for name, change := range map[string]func(*proto.Handshake){
			"type":    func(h *proto.Handshake) { h.SocketType = proto.Datagram },
			"version": func(h *proto.Handshake) { h.Version = 5 },
		} {
			g := s.guest(7001)
			m := half(t.Context(), s.client, netip.AddrPortFrom(netip.MustParseAddr("10.0.0.9"), 7001))
			first := handshakeOf(<-g.got)
			h := proto.Handshake{
				Version: proto.Version, SocketType: proto.Stream, ISN: 5, MSS: 1500, FlightFlag: 100,
				Request: proto.RequestConclusion, ID: 77,
			}
			change(&h)
			g.write(s.client.addr, h.Append(proto.Control{Type: proto.TypeHandshake, Dst: first.ID}.Append(nil)))
			wantError(t, (<-m).err, udt.ESECFAIL, udt.ErrMismatch)
			if last := handshakeOf(<-g.got); last == nil || last.Request != proto.RequestRendezvous || last.Version != proto.Version {
				t.Errorf("%s: the peer was told %+v", name, last)
			}
			g.close()
		}
	})
}

// Message sockets meet as streams do, and only each other.
func TestRendezvousMessages(t *testing.T) {
	halves(t, simConfig{client: messages, server: messages}, func(t *testing.T, s *sim) {
		client, server := s.meet(0)
		there, back := noise(1, 10_000), noise(2, 1)
		meanwhile(t,
			func() error { return send(client, there, back) },
			func() error { return send(server, back, there) },
			func() error { return errors.Join(wantMessage(client, back), wantMessage(client, there)) },
			func() error { return errors.Join(wantMessage(server, there), wantMessage(server, back)) },
		)
	})
	halves(t, simConfig{client: messages}, func(t *testing.T, s *sim) {
		first, second := half(t.Context(), s.client, s.server.addr), half(t.Context(), s.server, s.client.addr)
		for _, m := range []met{<-first, <-second} {
			wantError(t, m.err, udt.ESECFAIL, udt.ErrMismatch)
		}
	})
}

// Requests from elsewhere count for nothing.
func TestRendezvousStranger(t *testing.T) {
	halves(t, simConfig{}, func(t *testing.T, s *sim) {
		g := s.guest(7001)
		m := half(t.Context(), s.client, s.server.addr)
		h := proto.Handshake{
			Version: proto.Version, SocketType: proto.Stream, ISN: 5, MSS: 1500, FlightFlag: 100,
			Request: proto.RequestConclusion, ID: 77,
		}
		g.write(s.client.addr, h.Append(proto.Control{Type: proto.TypeHandshake}.Append(nil)))
		<-time.After(time.Second)
		g.close()
		for b := range g.got {
			t.Errorf("a stranger was answered with %x", b)
		}
		server := <-half(t.Context(), s.server, s.client.addr)
		client := <-m
		if err := errors.Join(server.err, client.err); err != nil {
			t.Fatal(err)
		}
		exchange(t, client.conn, server.conn, 10_000, 1)
	})
}

func TestDialRendezvous(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, local := range []string{"", "127.0.0.1", ":", ":0", "127.0.0.1:0", "[::1]:0"} {
		_, err := udt.DialRendezvous(ctx, "udp", local, "127.0.0.1:1", nil)
		wantError(t, err, udt.ERDVUNBOUND, udt.ErrUnbound)
	}
	_, err := udt.DialRendezvous(ctx, "udp", ":1", "127.0.0.1:1", &udt.Config{MSS: 1})
	wantError(t, err, udt.EINVPARAM)
	_, err = udt.DialRendezvous(ctx, "tcp", ":1", "127.0.0.1:1", nil)
	wantError(t, err, udt.EINVPARAM)

	a, b := freePorts(t)
	_, err = udt.DialRendezvous(ctx, "udp", a, b, &udt.Config{ConnectTimeout: 50 * time.Millisecond})
	wantError(t, err, udt.ENOSERVER, udt.ErrNoServer)
	var client, server *udt.Conn
	meanwhile(t,
		func() (err error) { client, err = udt.DialRendezvous(ctx, "udp", a, b, nil); return err },
		func() (err error) { server, err = udt.DialRendezvous(ctx, "udp4", b, a, nil); return err },
	)
	if t.Failed() {
		return
	}
	exchange(t, client, server, 100_000, 1)
	// The ports are free again.
	for _, addr := range []string{a, b} {
		l, err := udt.Listen("udp", addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
}

// freePorts returns two addresses of the loopback interface that nobody has.
func freePorts(t *testing.T) (a, b string) {
	t.Helper()
	var socks [2]net.PacketConn
	for i := range socks {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		socks[i] = c
	}
	for _, c := range socks { // both were held, so that they differ
		c.Close()
	}
	return socks[0].LocalAddr().String(), socks[1].LocalAddr().String()
}
