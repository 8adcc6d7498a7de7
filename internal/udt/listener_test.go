package udt_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

func TestSecondListenerOnAnEndpoint(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		_, err := s.server.Listen()
		wantError(t, err, udt.EDUPLISTEN, udt.ErrDuplicateListen, syscall.EADDRINUSE)
		s.listener.Close()
		if s.listener, err = s.server.Listen(); err != nil {
			t.Fatalf("after the first was closed: %v", err)
		}
		s.pair()
	})
}

func TestListenerCloseWakesAccept(t *testing.T) {
	for name, end := range map[string]func(*sim) error{
		"listener": func(s *sim) error { return s.listener.Close() },
		"endpoint": func(s *sim) error { return s.server.Close() },
		"socket":   func(s *sim) error { return s.server.sock.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, simConfig{}, func(t *testing.T, s *sim) {
				var calls []<-chan outcome
				for range 4 {
					calls = append(calls, start(func() (int, error) {
						_, err := s.listener.Accept()
						return 0, err
					}))
				}
				<-time.After(time.Second)
				begin := time.Now()
				if err := end(s); err != nil {
					t.Error(err)
				}
				for _, call := range calls {
					o := <-call
					wantError(t, o.err, udt.ENOLISTEN, net.ErrClosed)
					if took := o.at.Sub(begin); took != 0 {
						t.Errorf("woken after %v", took)
					}
				}
				_, err := s.listener.Accept()
				wantError(t, err, udt.ENOLISTEN, net.ErrClosed)
				if err := s.listener.Close(); err != nil {
					t.Errorf("closing again: %v", err)
				}
			})
		})
	}
}

// What was accepted lives on; who waits in the backlog is told at once.
func TestListenerCloseAndItsConnections(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		client, server := s.pair()
		var waiting []*udt.Conn
		for range 20 {
			waiting = append(waiting, s.dial())
		}
		begin := time.Now()
		s.listener.Close()
		wantTook(t, begin, 0, 50*time.Millisecond)
		for _, c := range waiting {
			_, err := c.Read(make([]byte, 1))
			wantError(t, err, udt.ECONNLOST, udt.ErrConnLost)
		}
		wantTook(t, begin, 0, time.Second)
		exchange(t, client, server, 10_000, 1)
	})
}

func TestBacklogIsFirstComeFirstServed(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		const n = 50
		for i := range uint32(n) {
			if err := write(s.dial(), binary.BigEndian.AppendUint32(nil, i)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range uint32(n) {
			if err := wantBytes(s.accept(), binary.BigEndian.AppendUint32(nil, i)); err != nil {
				t.Errorf("connection %d: %v", i, err)
			}
		}
	})
}

// A full backlog refuses; it neither breaks who waits nor counts who has gone
// from it.
func TestBacklogFillsAgainAndAgain(t *testing.T) {
	simulate(t, simConfig{server: udt.Config{Backlog: 3}}, func(t *testing.T, s *sim) {
		for range 5 {
			var in []*udt.Conn
			for range 3 {
				in = append(in, s.dial())
			}
			for range 3 {
				_, err := s.client.Dial(t.Context(), s.server.addr)
				wantError(t, err, udt.ECONNREJ, udt.ErrRejected)
			}
			for _, c := range in {
				exchange(t, c, s.accept(), 1000, 1)
			}
		}
	})
}

// Several goroutines accept; each connection goes to one of them.
func TestAcceptRace(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		const n = 60
		served := make(chan error, n)
		for range 4 {
			go func() {
				for {
					c, err := s.listener.Accept()
					if err != nil {
						return
					}
					go func() { served <- errors.Join(wantEOF(c, []byte("hello")), c.Close()) }()
				}
			}()
		}
		var tasks []func() error
		for range n {
			tasks = append(tasks, func() error {
				c, err := s.client.Dial(t.Context(), s.server.addr)
				if err != nil {
					return err
				}
				return errors.Join(write(c, []byte("hello")), c.Close())
			})
		}
		meanwhile(t, tasks...)
		for range n {
			if err := <-served; err != nil {
				t.Error(err)
			}
		}
	})
}

// One socket dials, listens and is dialled, all to and from one other.
func TestBothRolesOnOneSocket(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		back, err := s.client.Listen()
		if err != nil {
			t.Fatal(err)
		}
		var tasks []func() error
		for i := range 10 {
			there := s.dial()
			here := s.accept()
			again, err := s.server.Dial(t.Context(), s.client.addr)
			if err != nil {
				t.Fatal(err)
			}
			last, err := back.AcceptUDT()
			if err != nil {
				t.Fatal(err)
			}
			data := noise(uint64(i), 30_000)
			for _, c := range []*udt.Conn{there, here, again, last} {
				tasks = append(tasks,
					func() error { return write(c, data) },
					func() error { return wantBytes(c, data) },
				)
			}
		}
		meanwhile(t, tasks...)
	})
}

// An endpoint may even talk to itself.
func TestSelfConnection(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		c, err := s.server.Dial(t.Context(), s.server.addr)
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, c, s.accept(), 100_000, 1)
	})
}

func TestManyConnectionsAtOnce(t *testing.T) {
	const n, size = 200, 64 << 10
	c := simConfig{server: udt.Config{Backlog: n}, offloads: true}
	c.link = lan
	c.link.Rate, c.link.Loss = 1e9, 0.001
	simulate(t, c, func(t *testing.T, s *sim) {
		up, down := noise(1, size), noise(2, size)
		served := make(chan error, n)
		go func() {
			for range n {
				c, err := s.listener.Accept()
				if err != nil {
					served <- err
					return
				}
				go func() {
					served <- errors.Join(wantBytes(c, up), write(c, down), wantEOF(c, nil), c.Close())
				}()
			}
		}()
		var tasks []func() error
		for i := range n {
			tasks = append(tasks, func() error {
				c, err := s.client.Dial(t.Context(), s.server.addr)
				if err != nil {
					return fmt.Errorf("connection %d: %w", i, err)
				}
				return errors.Join(write(c, up), wantBytes(c, down), c.Close())
			})
		}
		meanwhile(t, tasks...)
		for range n {
			if err := <-served; err != nil {
				t.Error(err)
			}
		}
	})
}

// An application that reads nothing stops its own connection only.
func TestSlowApplicationStopsNobodyElse(t *testing.T) {
	simulate(t, simConfig{client: smallWindow, server: smallWindow}, func(t *testing.T, s *sim) {
		var stuck []<-chan outcome
		for range 5 {
			client, _ := s.pair()
			stuck = append(stuck, start(func() (int, error) { return writeCall(client) }))
		}
		<-time.After(time.Second)
		begin := time.Now()
		client, server := s.pair()
		exchange(t, client, server, 500_000, 1)
		wantTook(t, begin, 0, 5*time.Second)
		for _, call := range stuck {
			select {
			case o := <-call:
				t.Errorf("the peer reads nothing: wrote %d, %v", o.n, o.err)
			default:
			}
		}
		s.client.Close()
		for _, call := range stuck {
			<-call
		}
	})
}

func TestEndpointCloseEndsEverything(t *testing.T) {
	simulate(t, simConfig{client: smallWindow, server: smallWindow}, func(t *testing.T, s *sim) {
		client, server := s.pair()
		dialled, err := s.server.Dial(t.Context(), s.server.addr)
		if err != nil {
			t.Fatal(err)
		}
		accepted := s.accept()
		calls := []<-chan outcome{
			start(func() (int, error) { return readCall(server) }),
			start(func() (int, error) { return writeCall(server) }),
			start(func() (int, error) { return readCall(dialled) }),
			start(func() (int, error) { return readCall(accepted) }),
			start(func() (int, error) {
				_, err := s.server.Dial(t.Context(), netip.MustParseAddrPort("10.9.9.9:1"))
				return 0, err
			}),
		}
		accepting := start(func() (int, error) {
			_, err := s.listener.Accept()
			return 0, err
		})
		<-time.After(time.Second)
		begin := time.Now()
		if err := s.server.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		wantTook(t, begin, 0, atOnce)
		for i, call := range append(calls, accepting) {
			if o := <-call; !errors.Is(o.err, net.ErrClosed) {
				t.Errorf("call %d: %v, want %v", i, o.err, net.ErrClosed)
			}
		}
		// The peer is told.
		_, err = io.Copy(io.Discard, client)
		wantError(t, err, udt.ECONNLOST, udt.ErrConnLost)
		wantTook(t, begin, 0, time.Second)
		if err := s.server.Close(); err != nil {
			t.Errorf("closing again: %v", err)
		}
		if err := s.server.sock.inject(s.client.addr, []byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the socket is still open: %v", err)
		}
	})
}

// The socket goes bad below the endpoint, for reading or for writing.
func TestSocketBreaks(t *testing.T) {
	for name, breaks := range map[string]func(s *tap){
		"closed":       func(s *tap) { s.Close() },
		"write errors": func(s *tap) { s.breakWrites(syscall.ENETDOWN) },
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, simConfig{}, func(t *testing.T, s *sim) {
				_, server := s.pair()
				calls := []<-chan outcome{
					start(func() (int, error) { return readCall(server) }),
					start(func() (int, error) {
						for {
							if n, err := server.Write(make([]byte, 1000)); err != nil {
								return n, err
							}
							<-time.After(time.Millisecond)
						}
					}),
				}
				<-time.After(time.Second)
				begin := time.Now()
				breaks(s.server.sock)
				for _, call := range calls {
					o := <-call
					wantError(t, o.err, udt.ECONNLOST, udt.ErrConnLost)
					if took := o.at.Sub(begin); took > 20*time.Millisecond {
						t.Errorf("woken after %v", took)
					}
				}
				if err := server.Abort(); err != nil && !errors.Is(err, udt.ErrConnLost) {
					t.Error(err)
				}
			})
		})
	}
}
