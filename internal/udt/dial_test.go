package udt_test

import (
	"context"
	"errors"
	"math"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/proto"
)

func TestDialNoServer(t *testing.T) {
	for name, silence := range map[string]func(s *sim){
		"no route":    (*sim).cut,
		"no listener": func(s *sim) { s.listener.Close() },
		"no endpoint": func(s *sim) { s.server.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			c := simConfig{client: udt.Config{ConnectTimeout: 3 * time.Second}}
			simulate(t, c, func(t *testing.T, s *sim) {
				silence(s)
				begin := time.Now()
				_, err := s.client.Dial(t.Context(), s.server.addr)
				wantError(t, err, udt.ENOSERVER, udt.ErrNoServer, os.ErrDeadlineExceeded)
				wantTook(t, begin, 3*time.Second, 3*time.Second)
				var ne net.Error
				if !errors.As(err, &ne) || !ne.Timeout() {
					t.Errorf("%v is not a timeout", err)
				}
			})
		})
	}
}

// A request is repeated every 250 ms, as libudt does, until an answer comes.
func TestDialRepeatsItsRequest(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		begin := time.Now()
		var sent []time.Duration
		s.client.sock.filter(func(_ netip.AddrPort, b []byte) bool {
			if len(sent) < 5 {
				sent = append(sent, time.Since(begin))
			}
			return len(sent) == 5
		})
		if err := s.dial().Close(); err != nil {
			t.Error(err)
		}
		for i, at := range sent {
			if want := time.Duration(i) * 250 * time.Millisecond; at != want {
				t.Errorf("request %d after %v, want %v", i, at, want)
			}
		}
	})
}

func TestDialIsCancelled(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		s.cut()
		for _, wait := range []time.Duration{0, time.Millisecond, 2 * time.Second} {
			begin := time.Now()
			ctx := cancelledAfter(t, wait)
			_, err := s.client.Dial(ctx, s.server.addr)
			wantError(t, err, udt.ECONNSETUP, context.Canceled)
			wantTook(t, begin, wait, wait)
		}
		// Nothing is left of them: the endpoint closes without waiting.
		begin := time.Now()
		s.client.Close()
		wantTook(t, begin, 0, 0)
	})
}

func TestDialWithDeadline(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		s.cut()
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.client.Dial(ctx, s.server.addr)
		wantError(t, err, udt.ECONNSETUP, context.DeadlineExceeded)
		wantTook(t, begin, time.Second, time.Second)
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("%v is not a timeout", err)
		}
	})
}

// Cancelling races the answer; whichever wins, nothing is left behind.
func TestCancelRacesConnect(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		accepted := make(chan struct{})
		go func() {
			defer close(accepted)
			for {
				c, err := s.listener.AcceptUDT()
				if err != nil {
					return
				}
				c.Abort()
			}
		}()
		connects := 0
		for wait := 10 * time.Millisecond; wait < 30*time.Millisecond; wait += 250 * time.Microsecond {
			c, err := s.client.Dial(cancelledAfter(t, wait), s.server.addr)
			if err == nil {
				connects++
				c.Abort()
			} else {
				wantError(t, err, udt.ECONNSETUP, context.Canceled)
			}
		}
		if connects == 0 || connects == 80 {
			t.Errorf("%d of 80 connected", connects)
		}
		s.listener.Close()
		<-accepted
	})
}

func TestDialRejected(t *testing.T) {
	simulate(t, simConfig{server: udt.Config{Backlog: 2}}, func(t *testing.T, s *sim) {
		for range 2 {
			s.dial()
		}
		begin := time.Now()
		_, err := s.client.Dial(t.Context(), s.server.addr)
		wantError(t, err, udt.ECONNREJ, udt.ErrRejected, syscall.ECONNREFUSED)
		wantTook(t, begin, 0, 100*time.Millisecond)
		var ne net.Error
		if errors.As(err, &ne) && ne.Timeout() {
			t.Errorf("%v is a timeout", err)
		}
		s.accept() // makes room
		s.dial()
	})
}

// Endpoints of other socket types or versions are refused.
func TestForeignRequestsAreRejected(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		for name, change := range map[string]func(*proto.Handshake){
			"type":    func(h *proto.Handshake) { h.SocketType = proto.Datagram },
			"version": func(h *proto.Handshake) { h.Version = 5 },
			"MSS":     func(h *proto.Handshake) { h.MSS = 40 },
		} {
			g := s.guest(7001)
			h := g.request(1, 100)
			change(&h)
			if answer := g.ask(h); !answer.Request.Rejected() {
				t.Errorf("%s: answered with request type %d", name, answer.Request)
			}
			g.close()
		}
	})
}

func TestDialOnAClosedEndpoint(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		s.client.Close()
		_, err := s.client.Dial(t.Context(), s.server.addr)
		wantError(t, err, udt.EINVSOCK, net.ErrClosed)
		_, err = s.client.Listen()
		wantError(t, err, udt.EINVSOCK, net.ErrClosed)
	})
}

func TestEndpointRefusesABadConfig(t *testing.T) {
	for _, cfg := range []udt.Config{
		{MSS: 64}, {MSS: 1 << 17}, {Window: 1}, {Window: 1 << 40}, {Backlog: -1}, {ReadBuffer: -1}, {WriteBuffer: -1},
		{ConnectTimeout: -1}, {PeerTimeout: -1}, {MaxBandwidth: math.NaN()},
	} {
		simulate(t, simConfig{}, func(t *testing.T, s *sim) {
			e := s.site(netip.MustParseAddr("10.0.0.3"), 0, cfg, false)
			defer e.Close()
			_, err := e.Dial(t.Context(), s.server.addr)
			wantError(t, err, udt.EINVPARAM)
			_, err = e.Listen()
			wantError(t, err, udt.EINVPARAM)
		})
	}
}

// slowContext holds up who asks for its Done.
type slowContext struct {
	context.Context
	by time.Duration
}

func (c slowContext) Done() <-chan struct{} {
	<-time.After(c.by)
	return c.Context.Done()
}

// The server has written, closed and gone before Dial could so much as return.
func TestDialReturnsAfterTheEnd(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		for _, greeting := range []string{"", "hello and goodbye"} {
			served := start(func() (int, error) {
				c, err := s.listener.AcceptUDT()
				if err != nil {
					return 0, err
				}
				return 0, errors.Join(write(c, []byte(greeting)), c.Close())
			})
			c, err := s.client.Dial(slowContext{t.Context(), 5 * time.Second}, s.server.addr)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(wantEOF(c, []byte(greeting)), c.Close(), (<-served).err); err != nil {
				t.Error(err)
			}
		}
	})
}
