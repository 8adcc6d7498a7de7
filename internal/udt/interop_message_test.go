package udt_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// mailing is a number of messages, pieces of a pattern, on their way between us
// and libudt.
type mailing struct {
	path
	size, count int
	o           udt.MessageOptions
	mayMiss     bool // messages may expire
}

const mailSeed = 9

func (m mailing) pieces() [][]byte {
	p := newPattern(mailSeed)
	out := make([][]byte, m.count)
	for i := range out {
		out[i] = make([]byte, m.size)
		_, _ = p.Read(out[i]) // never fails
	}
	return out
}

// order is the peer's flags for how messages are sent.
func (m mailing) order() string {
	flags := fmt.Sprintf("--dgram --msg %d --bytes %d ", m.size, m.size*m.count)
	if m.o.InOrder {
		flags += "--inorder "
	}
	if m.o.TTL > 0 {
		flags += fmt.Sprintf("--ttl %d ", m.o.TTL.Milliseconds())
	}
	return flags
}

// send mails to libudt, every other one without a time to live; empty messages
// in between do not disturb it.
func (m mailing) send(t *testing.T, l *lab, r role) {
	t.Helper()
	m.cfg.Type = udt.Datagram
	mode := "sink " + m.order() + fmt.Sprintf("--rseed %d ", mailSeed)
	if !m.o.InOrder || m.mayMiss {
		mode += "--any "
	}
	sure := m.count // so many arrive at least
	if m.mayMiss {
		sure = (m.count + 1) / 2
	}
	mode += fmt.Sprintf("--mark %d ", m.size*sure)
	conn, remote := m.connect(t, l, r, mode)
	for i, b := range m.pieces() {
		o := m.o
		if i%2 == 0 {
			o.TTL = 0
		}
		if err := conn.WriteMessage(b, o); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if i%7 == 3 {
			if err := conn.WriteMessage(nil, m.o); err != nil {
				t.Fatal(err)
			}
		}
	}
	// A libudt reader that is at work when the shutdown comes throws away the
	// message that it has just taken.
	remote.await("mark ")
	if err := conn.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	got := remote.good()
	if got.messages > int64(m.count) || got.messages < int64(sure) {
		t.Errorf("libudt received %d messages, want %d", got.messages, m.count)
	}
	if m.mayMiss {
		t.Logf("libudt received %d of %d messages", got.messages, m.count)
	}
}

// receive takes libudt's mail and checks that each message is whole, and comes
// once and in order where that is asked for.
func (m mailing) receive(t *testing.T, l *lab, r role) {
	t.Helper()
	m.cfg.Type = udt.Datagram
	conn, remote := m.connect(t, l, r, fmt.Sprintf("source --seed %d %s", mailSeed, m.order()))
	where := map[string][]int{}
	for i, b := range m.pieces() {
		where[string(b)] = append(where[string(b)], i)
	}
	seen, last := 0, -1
	var buf []byte
	for {
		b, err := conn.AppendMessage(buf[:0])
		if errors.Is(err, io.EOF) || m.mayMiss && errors.Is(err, udt.ErrConnLost) {
			break // libudt may close with numbers open that it has skipped
		}
		if err != nil {
			t.Fatalf("after %d messages: %v", seen, err)
		}
		buf = b
		at := where[string(b)]
		if len(at) == 0 {
			t.Fatalf("message %d, of %d bytes, was not sent, or comes again", seen, len(b))
		}
		i := at[0]
		where[string(b)] = at[1:]
		if m.o.InOrder && i <= last {
			t.Errorf("message %d comes behind %d", i, last)
		}
		seen, last = seen+1, i
	}
	if seen < m.count && !m.mayMiss {
		t.Errorf("%d of %d messages came", seen, m.count)
	}
	if m.mayMiss { // with long ones libudt's sender gets nothing across
		t.Logf("%d of %d messages came", seen, m.count)
	}
	if err := conn.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	remote.good()
}

func (m mailing) everyWay(t *testing.T, l *lab) {
	t.Helper()
	eachRole(t, func(t *testing.T, r role) {
		t.Run("send", func(t *testing.T) { m.send(t, l, r) })
		t.Run("receive", func(t *testing.T) { m.receive(t, l, r) })
	})
}

// losses are those a relay has on the way.
var losses = []float64{0, 0.05}

func (m mailing) lossy(p float64) mailing {
	if p > 0 {
		m.rule = lossy(p)
	}
	return m
}

func testMessages(t *testing.T, l *lab) {
	for _, c := range []struct{ size, count int }{{1, 100}, {1456, 100}, {1457, 100}, {100_000, 10}, {1_000_000, 2}} {
		for _, loss := range losses {
			t.Run(fmt.Sprintf("%d,%g%%", c.size, loss*100), func(t *testing.T) {
				mailing{size: c.size, count: c.count, o: udt.MessageOptions{InOrder: true}}.lossy(loss).everyWay(t, l)
			})
		}
	}
	t.Run("nonblocking peer", func(t *testing.T) {
		mailing{path: path{flags: "--nonblock"}, size: 5000, count: 100, o: udt.MessageOptions{InOrder: true}}.everyWay(t, l)
	})
	t.Run("jumble", func(t *testing.T) {
		m := mailing{size: 5000, count: 100, o: udt.MessageOptions{InOrder: true}}
		m.rule = func(role) rule { return jumble(10, 3*time.Millisecond, 3) }
		m.everyWay(t, l)
	})
}

func testMessagesInAnyOrder(t *testing.T, l *lab) {
	for _, c := range []struct{ size, count int }{{10, 200}, {5000, 100}, {100_000, 10}} {
		for _, loss := range losses {
			t.Run(fmt.Sprintf("%d,%g%%", c.size, loss*100), func(t *testing.T) {
				mailing{size: c.size, count: c.count}.lossy(loss).everyWay(t, l)
			})
		}
	}
}

// Messages that live so short that some expire: whatever arrives is whole, and
// ours without a time to live all arrive. Libudt's sender drops wrongly, and
// counts wrong from there on.
func testMessagesExpire(t *testing.T, l *lab) {
	for _, c := range []struct{ size, count int }{{10, 100}, {4000, 60}} {
		for _, inOrder := range []bool{false, true} {
			for _, loss := range losses {
				t.Run(fmt.Sprintf("%d,in order %v,%g%%", c.size, inOrder, loss*100), func(t *testing.T) {
					o := udt.MessageOptions{InOrder: inOrder, TTL: time.Millisecond}
					mailing{size: c.size, count: c.count, o: o, mayMiss: true}.lossy(loss).everyWay(t, l)
				})
			}
		}
	}
}

// Libudt's receiver would stand still for ever over a message that is larger
// than its buffer; and its sender sends us one.
func testMessageTooLarge(t *testing.T, l *lab) {
	const packets = 32
	eachRole(t, func(t *testing.T, r role) {
		t.Run("send", func(t *testing.T) {
			p := path{cfg: udt.Config{Type: udt.Datagram}, flags: fmt.Sprintf("--rcvbuf %d", packets*1472)}
			conn, remote := p.connect(t, l, r, fmt.Sprintf("sink --dgram --msg 50000 --mark %d", (packets-1)*1456+1))
			if most := conn.MaxMessage(); most != (packets-1)*1456 {
				t.Errorf("a message may have %d bytes", most)
			}
			if err := conn.WriteMessage(make([]byte, packets*1456), udt.MessageOptions{}); !errors.Is(err, udt.ErrTooLarge) {
				t.Errorf("one of %d packets: %v", packets, err)
			}
			if err := errors.Join(send(conn, make([]byte, (packets-1)*1456), make([]byte, 1))); err != nil {
				t.Error(err)
			}
			remote.await("mark ")
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
			if got := remote.good(); got.messages != 2 {
				t.Errorf("libudt received %d messages, want 2", got.messages)
			}
		})
		t.Run("receive", func(t *testing.T) {
			p := path{cfg: udt.Config{Type: udt.Datagram, Window: packets * 1456}}
			conn, remote := p.connect(t, l, r, "source --dgram --inorder --msg 100000 --bytes 300010")
			for range 3 {
				b, err := conn.AppendMessage(nil)
				if !errors.Is(err, udt.ErrTruncated) || len(b) < (packets-3)*1456 {
					t.Fatalf("%d bytes, %v", len(b), err)
				}
			}
			if b, err := conn.AppendMessage(nil); err != nil || len(b) != 10 {
				t.Errorf("%d bytes, %v", len(b), err)
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
			remote.good()
		})
	})
}

// test/test_udt4/test_socket.py with messages.
func testPyUDTMessages(t *testing.T, l *lab) {
	c := conversation{turns: []int{10, -100, 1000}}
	eachRole(t, func(t *testing.T, r role) {
		for _, loss := range []float64{0, 0.05} {
			t.Run(fmt.Sprintf("%g%%", loss*100), func(t *testing.T) {
				isServer := r == asListener
				p := path{cfg: udt.Config{Type: udt.Datagram}}
				if loss > 0 {
					p.rule = lossy(loss)
				}
				conn, remote := p.connect(t, l, r, c.talk(!isServer)+" --dgram --inorder")
				said, heard := newPattern(serverSeed), newPattern(clientSeed)
				if !isServer {
					said, heard = heard, said
				}
				for i, n := range c.turns {
					b := make([]byte, max(n, -n))
					if n > 0 == isServer {
						_, _ = said.Read(b)
						if err := send(conn, b); err != nil {
							t.Fatalf("turn %d: %v", i, err)
						}
						continue
					}
					_, _ = heard.Read(b)
					if got, err := conn.AppendMessage(nil); err != nil || !bytes.Equal(got, b) {
						t.Fatalf("turn %d: %d bytes, %v", i, len(got), err)
					}
				}
				if err := conn.Close(); err != nil && !errors.Is(err, udt.ErrUndelivered) {
					t.Error(err)
				}
				if got := remote.good(); got.badAt >= 0 {
					t.Errorf("libudt heard other bytes: %+v", got)
				}
			})
		}
	})
}
