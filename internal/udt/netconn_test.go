package udt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

var (
	_ net.Conn     = (*udt.Conn)(nil)
	_ net.Listener = (*udt.Listener)(nil)
	_ net.Error    = (*udt.Error)(nil)
)

// Writers at the same time: each Write arrives in one piece.
func TestConcurrentWriters(t *testing.T) {
	link := lan
	link.Loss = 0.01
	connected(t, simConfig{link: link}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		const writers, each, size = 8, 40, 3000 // each Write is longer than a packet
		var tasks []func() error
		for w := range writers {
			tasks = append(tasks, func() error {
				for range each {
					if err := write(client, bytes.Repeat([]byte{byte('a' + w)}, size)); err != nil {
						return err
					}
				}
				return nil
			})
		}
		count := map[byte]int{}
		tasks = append(tasks, func() error {
			buf := make([]byte, size)
			for range writers * each {
				if _, err := io.ReadFull(server, buf); err != nil {
					return err
				}
				if !bytes.Equal(buf, bytes.Repeat(buf[:1], size)) {
					return errors.New("two Writes are mixed")
				}
				count[buf[0]]++
			}
			return nil
		})
		meanwhile(t, tasks...)
		for w := range writers {
			if n := count[byte('a'+w)]; n != each {
				t.Errorf("writer %d: %d pieces of %d", w, n, each)
			}
		}
	})
}

// Readers at the same time: each byte goes to one of them, and all see the end.
func TestConcurrentReaders(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		const size = 256 * 400
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(i)
		}
		var mu sync.Mutex
		var got []byte
		reader := func() error {
			buf := make([]byte, 700)
			for {
				n, err := server.Read(buf)
				mu.Lock()
				got = append(got, buf[:n]...)
				mu.Unlock()
				if isBareEOF(err) {
					return nil
				}
				if err != nil {
					return err
				}
			}
		}
		meanwhile(t, reader, reader, reader, reader, func() error {
			return errors.Join(write(client, data), client.Close())
		})
		slices.Sort(data)
		slices.Sort(got)
		if !bytes.Equal(got, data) {
			t.Errorf("got %d bytes, want each of %d once", len(got), size)
		}
	})
}

// Everything at once, with an end at a random moment: nothing hangs, nothing
// arrives that was not sent, and nothing is left behind.
func TestEverythingAtOnce(t *testing.T) {
	for seed := range uint64(15) {
		link := lan
		link.Loss, link.Reorder, link.ReorderBy = 0.01, 0.01, 2*time.Millisecond
		c := simConfig{seed: seed, link: link, client: smallWindow, server: smallWindow, offloads: seed%2 == 0}
		c.client.Linger, c.server.Linger = time.Second, time.Second
		connected(t, c, func(t *testing.T, s *sim, client, server *udt.Conn) {
			fine := func(err error) error {
				for _, ok := range []error{io.EOF, net.ErrClosed, udt.ErrConnLost, udt.ErrPeerClosed, udt.ErrUndelivered} {
					if errors.Is(err, ok) {
						return nil
					}
				}
				var ne net.Error
				if errors.As(err, &ne) && ne.Timeout() {
					return nil
				}
				return err
			}
			var over atomic.Bool
			var tasks []func() error
			for _, c := range []*udt.Conn{client, server} {
				for i := range uint64(3) {
					random := func(task uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 3*i+task)) }
					tasks = append(tasks,
						func() error {
							r := random(0)
							for !over.Load() {
								if _, err := c.Write(make([]byte, r.IntN(20_000))); err != nil && fine(err) != nil {
									return err
								} else if err != nil {
									<-time.After(time.Millisecond)
								}
							}
							return nil
						},
						func() error {
							r := random(1)
							for !over.Load() {
								n, err := c.Read(make([]byte, 1+r.IntN(20_000)))
								if n > 0 && err != nil {
									return fmt.Errorf("%d bytes and %w", n, err)
								}
								if err != nil && fine(err) != nil {
									return err
								} else if err != nil {
									<-time.After(time.Millisecond)
								}
							}
							return nil
						},
						func() error {
							r := random(2)
							for !over.Load() {
								c.Stats(r.IntN(2) == 0)
								_, _, _ = c.MSS(), c.LocalAddr(), c.RemoteAddr()
								limit := time.Now().Add(time.Duration(r.IntN(20)-2) * time.Millisecond)
								if err := c.SetDeadline(limit); err != nil && fine(err) != nil {
									return err
								}
								<-time.After(3 * time.Millisecond)
							}
							return nil
						},
					)
				}
			}
			wait := time.Duration(37*seed) * time.Millisecond
			tasks = append(tasks, func() error {
				defer over.Store(true)
				<-time.After(wait)
				switch seed % 4 {
				case 0:
					return errors.Join(fine(client.Close()), fine(server.Close()))
				case 1:
					return errors.Join(client.Abort(), fine(server.Close()))
				case 2:
					return errors.Join(s.server.Close(), fine(client.Close()))
				default:
					s.cut()
					return errors.Join(fine(client.Close()), server.Abort())
				}
			})
			meanwhile(t, tasks...)
		})
	}
}

// A question and its answer take a round trip: nothing waits for a timer.
func TestPingPong(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		const rounds = 200
		begin := time.Now()
		side := func(c *udt.Conn, first bool) error {
			buf := []byte("8 bytes.")
			for range rounds {
				if first {
					if err := write(c, buf); err != nil {
						return err
					}
				}
				if err := wantBytes(c, []byte("8 bytes.")); err != nil {
					return err
				}
				if !first {
					if err := write(c, buf); err != nil {
						return err
					}
				}
			}
			return nil
		}
		meanwhile(t,
			func() error { return side(client, true) },
			func() error { return side(server, false) },
		)
		wantTook(t, begin, rounds*10*time.Millisecond, rounds*12*time.Millisecond)
	})
}

// Zero bytes are read and written at once, and say nothing.
func TestEmptyReadAndWrite(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		begin := time.Now()
		for _, call := range []func([]byte) (int, error){client.Read, client.Write} {
			if n, err := call(nil); n != 0 || err != nil {
				t.Errorf("got %d, %v", n, err)
			}
		}
		wantTook(t, begin, 0, 0)
		meanwhile(t, client.Close, func() error { return wantEOF(server, nil) })
	})
}

func TestAddresses(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, s *sim, client, server *udt.Conn) {
		for what, got := range map[string][2]net.Addr{
			"client": {client.LocalAddr(), server.RemoteAddr()},
			"server": {server.LocalAddr(), client.RemoteAddr()},
			"socket": {s.server.LocalAddr(), s.listener.Addr()},
		} {
			if got[0].String() != got[1].String() || got[0].Network() != "udp" {
				t.Errorf("%s: %v and %v", what, got[0], got[1])
			}
		}
		if got := client.RemoteAddr().String(); got != "10.0.0.2:9000" {
			t.Errorf("the server is %v", got)
		}
		if client.CongestionControl() != "bbr" {
			t.Errorf("congestion control %q", client.CongestionControl())
		}
	})
}

// Trace is told of both ends' lives, and never with a lock held: it may use
// what it is told about.
func TestTrace(t *testing.T) {
	var mu sync.Mutex
	var events []string
	var s *sim
	trace := func(event string) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, event)
		if s != nil {
			s.server.LocalAddr()
			s.server.SocketInfo()
		}
	}
	c := simConfig{client: udt.Config{Trace: trace}, server: udt.Config{Trace: trace, Backlog: 1}}
	simulate(t, c, func(t *testing.T, in *sim) {
		s = in
		client, _ := s.pair()
		s.dial()
		if _, err := s.client.Dial(context.Background(), s.server.addr); err == nil {
			t.Error("the backlog is full")
		}
		client.Abort()
		s.close()
	})
	all := fmt.Sprint(events)
	for _, want := range []string{"GSO off, GRO off, batched calls on", "connecting", "connected", "accepted", "rejected", "over"} {
		if !bytes.Contains([]byte(all), []byte(want)) {
			t.Errorf("nothing said of %q in %s", want, all)
		}
	}
}
