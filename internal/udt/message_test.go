package udt_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/proto"
	"github.com/udtcp/udtcp/internal/udt/simnet"
)

var messages = udt.Config{Type: udt.Datagram}

// smallMessages have room for a message of 44 packets.
var smallMessages = udt.Config{Type: udt.Datagram, Window: 64 << 10}

// lossy is a lan that loses packets and lets them overtake each other.
var lossyLan = simnet.Params{
	Rate: 200e6, Delay: 5 * time.Millisecond, Queue: 1 << 20,
	Loss: 0.03, Reorder: 0.05, ReorderBy: 3 * time.Millisecond, Duplicate: 0.02,
}

// send is c.WriteMessage for use with meanwhile.
func send(c *udt.Conn, ms ...[]byte) error {
	for i, m := range ms {
		if err := c.WriteMessage(m, udt.MessageOptions{InOrder: true}); err != nil {
			return fmt.Errorf("message %d of %d bytes: %w", i, len(m), err)
		}
	}
	return nil
}

// wantMessage reads one message and compares it.
func wantMessage(c *udt.Conn, want []byte) error {
	got, err := c.AppendMessage(nil)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("got a message of %d bytes, not the one of %d that was sent", len(got), len(want))
	}
	return nil
}

func TestMessages(t *testing.T) {
	for name, link := range map[string]simnet.Params{"clean": lan, "lossy": lossyLan} {
		for _, cfg := range []udt.Config{messages, smallMessages} {
			t.Run(fmt.Sprint(name, " window ", cfg.Window), func(t *testing.T) {
				connected(t, simConfig{link: link, client: cfg, server: cfg, offloads: true}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
					most := client.MaxMessage()
					if want := 44 * 1456; cfg.Window != 0 && most != want {
						t.Errorf("a message may have %d bytes, want %d", most, want)
					}
					var ms [][]byte
					for i, n := range []int{0, 1, 0, 10, 1456, 1457, 2912, 10_000, 1456 * 44, 100_000, 1 << 20} {
						if n <= most {
							ms = append(ms, noise(uint64(i), n))
						}
					}
					read := func(c *udt.Conn) error {
						for i, m := range ms {
							if err := wantMessage(c, m); err != nil {
								return fmt.Errorf("message %d: %w", i, err)
							}
						}
						return nil
					}
					meanwhile(t,
						func() error { return send(client, ms...) },
						func() error { return send(server, ms...) },
						func() error { return read(client) },
						func() error { return read(server) },
					)
					if err := client.Close(); err != nil {
						t.Error(err)
					}
					if _, err := server.ReadMessage(nil); !isBareEOF(err) {
						t.Errorf("at the end: %v", err)
					}
				})
			})
		}
	}
}

// Several goroutines write and read at once: each message stays whole.
func TestMessagesOfManyGoroutines(t *testing.T) {
	const writers, each = 8, 50
	connected(t, simConfig{link: lossyLan, client: smallMessages, server: smallMessages}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		var (
			mu   sync.Mutex
			seen = map[string]int{}
		)
		text := func(w, i int) []byte {
			return append(fmt.Appendf(nil, "%d/%d:", w, i), noise(uint64(w*1000+i), 10+(w*i*97)%20_000)...)
		}
		var tasks []func() error
		for w := range writers {
			tasks = append(tasks, func() error {
				for i := range each {
					if err := client.WriteMessage(text(w, i), udt.MessageOptions{InOrder: i%2 == 0}); err != nil {
						return err
					}
				}
				return nil
			})
		}
		for range 3 {
			tasks = append(tasks, func() error {
				for {
					m, err := server.AppendMessage(nil)
					if isBareEOF(err) {
						return nil
					}
					if err != nil {
						return err
					}
					mu.Lock()
					seen[string(m)]++
					mu.Unlock()
				}
			})
		}
		writing := tasks[:writers]
		reading := tasks[writers:]
		meanwhile(t, append(reading, func() error {
			meanwhile(t, writing...)
			return client.Close()
		})...)
		for w := range writers {
			for i := range each {
				if seen[string(text(w, i))] != 1 {
					t.Errorf("message %d of writer %d was read %d times", i, w, seen[string(text(w, i))])
				}
			}
		}
		if len(seen) != writers*each {
			t.Errorf("%d messages were read, %d written", len(seen), writers*each)
		}
		server.Close()
	})
}

func TestMessageIsTruncated(t *testing.T) {
	connected(t, simConfig{client: messages, server: messages}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		long := noise(1, 5000)
		for _, room := range []int{0, 1, 1000, 1456, 1457, 4999, 5000, 6000} {
			if err := send(client, long, []byte("next")); err != nil {
				t.Fatal(err)
			}
			p := make([]byte, room)
			n, err := server.ReadMessage(p)
			if n != min(room, len(long)) || !bytes.Equal(p[:n], long[:n]) {
				t.Errorf("read %d bytes into %d", n, room)
			}
			if room < len(long) {
				wantError(t, err, udt.ELARGEMSG, udt.ErrTruncated)
			} else if err != nil {
				t.Error(err)
			}
			if err := wantMessage(server, []byte("next")); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestMessageTooLarge(t *testing.T) {
	for name, c := range map[string]simConfig{
		"our buffer":   {client: smallMessages, server: messages},
		"their buffer": {client: messages, server: smallMessages},
	} {
		t.Run(name, func(t *testing.T) {
			connected(t, c, func(t *testing.T, _ *sim, client, server *udt.Conn) {
				most := client.MaxMessage()
				if most > 64<<10 {
					t.Errorf("a message may have %d bytes", most)
				}
				err := client.WriteMessage(make([]byte, most+1), udt.MessageOptions{})
				wantError(t, err, udt.ELARGEMSG, udt.ErrTooLarge, syscall.EMSGSIZE)
				whole := noise(1, most)
				if err := errors.Join(send(client, whole), wantMessage(server, whole)); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Each kind of connection refuses the calls of the other.
func TestCallsForTheOtherType(t *testing.T) {
	connected(t, simConfig{client: messages, server: messages}, func(t *testing.T, _ *sim, client, _ *udt.Conn) {
		_, err := client.Read(make([]byte, 1))
		wantError(t, err, udt.EDGRAMILL, udt.ErrMessages, errors.ErrUnsupported)
		_, err = client.Write([]byte("x"))
		wantError(t, err, udt.EDGRAMILL, udt.ErrMessages)
		_, err = client.ReadFrom(bytes.NewReader([]byte("x")))
		wantError(t, err, udt.EDGRAMILL, udt.ErrMessages)
		_, err = client.WriteTo(io.Discard)
		wantError(t, err, udt.EDGRAMILL, udt.ErrMessages)
	})
	connected(t, simConfig{}, func(t *testing.T, _ *sim, client, _ *udt.Conn) {
		_, err := client.ReadMessage(make([]byte, 1))
		wantError(t, err, udt.ESTREAMILL, udt.ErrStream, errors.ErrUnsupported)
		_, err = client.AppendMessage(nil)
		wantError(t, err, udt.ESTREAMILL, udt.ErrStream)
		wantError(t, client.WriteMessage([]byte("x"), udt.MessageOptions{}), udt.ESTREAMILL, udt.ErrStream)
	})
}

// The listener of the other type says which it is.
func TestDialTheOtherType(t *testing.T) {
	for _, c := range []simConfig{{client: messages}, {server: messages}} {
		simulate(t, c, func(t *testing.T, s *sim) {
			begin := time.Now()
			_, err := s.client.Dial(t.Context(), s.server.addr)
			wantError(t, err, udt.ECONNREJ, udt.ErrOtherType, udt.ErrRejected, syscall.ECONNREFUSED)
			wantTook(t, begin, 0, 100*time.Millisecond)
		})
	}
}

// dropOnce drops the first data packet that matches.
func dropOnce(match func(d proto.Data) bool) func(netip.AddrPort, []byte) bool {
	done := false
	return func(_ netip.AddrPort, b []byte) bool {
		d, ok := proto.ParseData(b)
		if !ok || done || !match(d) {
			return true
		}
		done = true
		return false
	}
}

// A reader that waits is woken for a message that overtakes a lost one, where
// libudt's sleeps on; one that is to be in order waits.
func TestReaderIsWokenForAMessageBehindAGap(t *testing.T) {
	slow := simnet.Params{Rate: 200e6, Delay: 200 * time.Millisecond, Queue: 1 << 20}
	for _, inOrder := range []bool{false, true} {
		connected(t, simConfig{link: slow, client: messages, server: messages}, func(t *testing.T, s *sim, client, server *udt.Conn) {
			s.client.sock.filter(dropOnce(func(d proto.Data) bool { return d.Message == 1 }))
			begin := time.Now()
			got := start(func() (int, error) {
				m, err := server.AppendMessage(nil)
				return len(m), err
			})
			for _, m := range []string{"first", "second one"} {
				if err := client.WriteMessage([]byte(m), udt.MessageOptions{InOrder: inOrder}); err != nil {
					t.Fatal(err)
				}
			}
			o := <-got
			if o.err != nil {
				t.Fatal(o.err)
			}
			if overtook := o.n == len("second one"); overtook == inOrder {
				t.Errorf("in order %v: got the message of %d bytes first", inOrder, o.n)
			}
			// A lost one needs a round trip more.
			if took := o.at.Sub(begin); (took > 300*time.Millisecond) != inOrder {
				t.Errorf("in order %v: took %v", inOrder, took)
			}
		})
	}
}

// What has expired is not delivered, what has not is.
func TestMessageExpires(t *testing.T) {
	connected(t, simConfig{client: messages, server: messages}, func(t *testing.T, s *sim, client, server *udt.Conn) {
		s.cut()
		for _, m := range []struct {
			text string
			ttl  time.Duration
		}{{"for ever", 0}, {"short-lived", 20 * time.Millisecond}, {"long-lived", time.Minute}} {
			if err := client.WriteMessage([]byte(m.text), udt.MessageOptions{TTL: m.ttl, InOrder: true}); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(100 * time.Millisecond)
		s.mend()
		for _, want := range []string{"for ever", "long-lived"} {
			if err := wantMessage(server, []byte(want)); err != nil {
				t.Error(err)
			}
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		if _, err := server.ReadMessage(nil); !isBareEOF(err) {
			t.Errorf("at the end: %v", err)
		}
	})
}

// Messages that are there can be read after the end, and what is queued is
// returned at once, where libudt first waits for another (protocol trap A3).
func TestQueuedMessagesAreReadAtOnce(t *testing.T) {
	connected(t, simConfig{client: messages, server: messages}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		if err := send(client, []byte("one"), []byte("two"), []byte("three")); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		begin := time.Now()
		server.SetReadDeadline(begin.Add(700 * time.Millisecond))
		for _, want := range []string{"one", "two"} {
			if err := wantMessage(server, []byte(want)); err != nil {
				t.Error(err)
			}
		}
		wantTook(t, begin, 0, 0)
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		<-time.After(time.Second)
		server.SetReadDeadline(time.Time{})
		if err := wantMessage(server, []byte("three")); err != nil {
			t.Error(err)
		}
		if _, err := server.ReadMessage(nil); !isBareEOF(err) {
			t.Errorf("at the end: %v", err)
		}
		wantError(t, server.WriteMessage([]byte("x"), udt.MessageOptions{}), udt.ECONNLOST, udt.ErrPeerClosed)
	})
}

// A writer that has no room for all of a message waits, and has written all of
// it when it returns.
func TestWriterWaitsForRoomForAll(t *testing.T) {
	connected(t, simConfig{client: smallMessages, server: smallMessages}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		fillUpWithMessages(t, client)
		large := noise(1, client.MaxMessage())
		written := start(func() (int, error) { return 0, client.WriteMessage(large, udt.MessageOptions{}) })
		for {
			m, err := server.AppendMessage(nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(m) != 1000 {
				if !bytes.Equal(m, large) {
					t.Errorf("a message of %d bytes", len(m))
				}
				break
			}
		}
		if o := <-written; o.err != nil {
			t.Error(o.err)
		}
	})
}

// test/test_udt4/test_socket.py with messages: by turns, each one whole.
func TestPyUDTMessages(t *testing.T) {
	turns := [][]byte{bytes.Repeat([]byte("a"), 10), bytes.Repeat([]byte("b"), 100), bytes.Repeat([]byte("c"), 1000)}
	hold := func(c *udt.Conn, mine int) error {
		for i, m := range turns {
			act := wantMessage
			if i%2 == mine {
				act = func(c *udt.Conn, m []byte) error { return send(c, m) }
			}
			if err := act(c, m); err != nil {
				return fmt.Errorf("turn %d: %w", i, err)
			}
		}
		return nil
	}
	connected(t, simConfig{client: messages, server: messages}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		meanwhile(t,
			func() error { return hold(client, 1) },
			func() error { return hold(server, 0) },
		)
		meanwhile(t, client.Close, server.Close)
	})
}

func TestMessagesOverLoopback(t *testing.T) {
	client, server := loopback(t, &messages)
	const n = 300
	meanwhile(t,
		func() error {
			for i := range n {
				m := binary.BigEndian.AppendUint32(nil, uint32(i))
				if err := send(client, append(m, noise(uint64(i), i*i%50_000)...)); err != nil {
					return err
				}
			}
			return client.Close()
		},
		func() error {
			for i := range n {
				m := binary.BigEndian.AppendUint32(nil, uint32(i))
				if err := wantMessage(server, append(m, noise(uint64(i), i*i%50_000)...)); err != nil {
					return fmt.Errorf("message %d: %w", i, err)
				}
			}
			return server.Close()
		},
	)
}
