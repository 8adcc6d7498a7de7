package simnet

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/udtcp/udtcp/internal/udt/udpio"
)

var (
	addrA = netip.MustParseAddr("10.0.0.1")
	addrB = netip.MustParseAddr("10.0.0.2")
	addrC = netip.MustParseAddr("fd00::3")
)

// couple is two hosts with a socket each.
type couple struct {
	n      *Network
	ha, hb *Host
	a, b   udpio.Socket
}

func newCouple(t *testing.T, cfg HostConfig, p Params) *couple {
	t.Helper()
	n := New(1)
	c := &couple{n: n, ha: n.Host(addrA).Configure(cfg), hb: n.Host(addrB).Configure(cfg)}
	n.Connect(c.ha, c.hb, p, p)
	c.a, c.b = listen(t, c.ha, 0), listen(t, c.hb, 0)
	return c
}

func listen(t *testing.T, h *Host, port uint16) udpio.Socket {
	t.Helper()
	s, err := h.Listen(port)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, from, to udpio.Socket, payload string) {
	t.Helper()
	if err := from.WriteBatch([]udpio.Message{{Addr: to.LocalAddr(), Buf: []byte(payload)}}); err != nil {
		t.Fatal(err)
	}
}

// read returns what one ReadBatch of n messages gives.
func read(t *testing.T, s udpio.Socket, n int) []udpio.Message {
	t.Helper()
	ms := make([]udpio.Message, n)
	for i := range ms {
		ms[i].Buf = make([]byte, udpio.MaxRead)
	}
	got, err := s.ReadBatch(ms)
	if err != nil {
		t.Fatal(err)
	}
	return ms[:got]
}

func texts(ms []udpio.Message) (ss []string) {
	for _, m := range ms {
		ss = append(ss, string(m.Buf))
	}
	return ss
}

// inBubbleAndOut runs a test by the bubble's clock and by the real one.
func inBubbleAndOut(t *testing.T, f func(t *testing.T)) {
	t.Run("bubble", func(t *testing.T) { synctest.Test(t, f) })
	t.Run("real time", f)
}

func TestThereAndBack(t *testing.T) {
	inBubbleAndOut(t, func(t *testing.T) {
		c := newCouple(t, HostConfig{}, Params{Delay: 5 * time.Millisecond})
		defer c.n.Close()
		start := time.Now()
		write(t, c.a, c.b, "ping")
		m := read(t, c.b, 1)[0]
		if string(m.Buf) != "ping" || m.Addr != c.a.LocalAddr() || m.Segment != 0 {
			t.Errorf("got %+v", m)
		}
		write(t, c.b, c.a, "pong")
		if m := read(t, c.a, 4)[0]; string(m.Buf) != "pong" || m.Addr != c.b.LocalAddr() {
			t.Errorf("got %+v", m)
		}
		if took := time.Since(start); took < 10*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

func TestTimesAreExactInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCouple(t, HostConfig{}, Params{Rate: mbit12, Delay: 50 * time.Millisecond})
		defer c.n.Close()
		start := time.Now()
		run := make([]byte, 5*1472)
		if err := c.a.WriteBatch([]udpio.Message{{Addr: c.b.LocalAddr(), Buf: run, Segment: 1472}}); err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			got := read(t, c.b, 10)
			want := 50*time.Millisecond + time.Duration(i+1)*time.Millisecond
			if took := time.Since(start); took != want || len(got) != 1 || len(got[0].Buf) != 1472 {
				t.Errorf("batch %d: %d messages after %v, want 1 after %v", i, len(got), took, want)
			}
		}
	})
}

func TestSameInstantSameBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCouple(t, HostConfig{}, Params{Delay: time.Millisecond})
		defer c.n.Close()
		other := listen(t, c.ha, 0)
		for range 3 {
			write(t, c.a, c.b, "a")
			write(t, other, c.b, "o")
		}
		if got := texts(read(t, c.b, 4)); !slices.Equal(got, []string{"a", "o", "a", "o"}) {
			t.Errorf("first batch: %q", got)
		}
		if got := texts(read(t, c.b, 4)); !slices.Equal(got, []string{"a", "o"}) {
			t.Errorf("second batch: %q", got)
		}
	})
}

func TestGRO(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCouple(t, HostConfig{GRO: true, GSO: true}, Params{})
		defer c.n.Close()
		other := listen(t, c.ha, 0)
		for _, s := range []string{"abc", "def", "g", "hij", "kl", "mnop", "", "uv", "wxy", "z", "qr"} {
			write(t, c.a, c.b, s)
		}
		write(t, other, c.b, "st")
		var got []string
		var segments []int
		for _, m := range read(t, c.b, 16) {
			got, segments = append(got, string(m.Buf)), append(segments, m.Segment)
		}
		if !slices.Equal(got, []string{"abcdefg", "hijkl", "mnop", "", "uv", "wxyz", "qr", "st"}) ||
			!slices.Equal(segments, []int{3, 3, 0, 0, 0, 3, 0, 0}) {
			t.Errorf("got %q in segments of %v", got, segments)
		}

		// No more than 64 at once, nor more than fit.
		long := udpio.Message{Addr: c.b.LocalAddr(), Buf: make([]byte, 100*10), Segment: 10}
		if err := c.a.WriteBatch([]udpio.Message{long}); err != nil {
			t.Fatal(err)
		}
		if m := read(t, c.b, 1)[0]; len(m.Buf) != 640 || m.Segment != 10 {
			t.Errorf("%d bytes in segments of %d", len(m.Buf), m.Segment)
		}
		small := []udpio.Message{{Buf: make([]byte, 0, 45)}, {Buf: make([]byte, 7)}}
		if n, err := c.b.ReadBatch(small); n != 2 || err != nil {
			t.Fatal(n, err)
		}
		if a, b := small[0], small[1]; len(a.Buf) != 40 || a.Segment != 10 || len(b.Buf) != 7 || b.Segment != 0 {
			t.Errorf("%d bytes in segments of %d, then %d bytes", len(a.Buf), a.Segment, len(b.Buf))
		}
		if i := c.a.Info(); !i.GSO || !i.GRO || i.MaxSegments != 64 {
			t.Errorf("got %+v", i)
		}
	})
}

func TestPlainHostSeesDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCouple(t, HostConfig{}, Params{})
		defer c.n.Close()
		run := udpio.Message{Addr: c.b.LocalAddr(), Buf: []byte("abcdefgh"), Segment: 3}
		empty := udpio.Message{Addr: c.b.LocalAddr(), Segment: 3}
		if err := c.a.WriteBatch([]udpio.Message{run, empty}); err != nil {
			t.Fatal(err)
		}
		if got := texts(read(t, c.b, 8)); !slices.Equal(got, []string{"abc", "def", "gh", ""}) {
			t.Errorf("got %q", got)
		}
		if i := c.a.Info(); i.GSO || i.GRO || i.MaxSegments != 1 {
			t.Errorf("got %+v", i)
		}
		if s := c.n.Stats(c.ha, c.hb); s.Seen != 4 || s.Passed != 4 {
			t.Errorf("got %+v", s)
		}
	})
}

func TestReceiveQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCouple(t, HostConfig{ReceiveQueue: 10 * (100 + headerBytes)}, Params{})
		defer c.n.Close()
		payload := string(make([]byte, 100))
		for range 3 {
			for range 15 {
				write(t, c.a, c.b, payload)
			}
			if got := len(read(t, c.b, 20)); got != 10 {
				t.Errorf("%d messages", got)
			}
		}
		if d := c.b.Info().Drops; d != 15 {
			t.Errorf("%d drops", d)
		}
	})
}

// The queue's memory is moved to the front while some of it is unread.
func TestSlowReaderKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCouple(t, HostConfig{}, Params{})
		defer c.n.Close()
		next := byte(0)
		for i := range 1000 {
			write(t, c.a, c.b, string([]byte{byte(i)}))
			if i%16 == 15 {
				for _, m := range read(t, c.b, 15) {
					if m.Buf[0] != next {
						t.Fatalf("got %d, want %d", m.Buf[0], next)
					}
					next++
				}
			}
		}
	})
}

func TestUnroutable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCouple(t, HostConfig{}, Params{})
		defer c.n.Close()
		island := listen(t, c.n.Host(addrC), 7)
		ms := []udpio.Message{
			{Addr: island.LocalAddr(), Buf: make([]byte, 25), Segment: 10}, // three
			{Addr: netip.MustParseAddrPort("10.9.9.9:1"), Buf: []byte{1}},
			{Addr: netip.AddrPortFrom(addrB, 0), Buf: []byte{1}},
			{Addr: c.b.LocalAddr(), Buf: make([]byte, 65508)},
			{Addr: netip.AddrPortFrom(addrB, 1), Buf: []byte{1}}, // nobody there: not an error
			{Addr: netip.AddrPortFrom(netip.AddrFrom16(addrB.As16()), c.b.LocalAddr().Port()), Buf: []byte("mapped")},
		}
		if err := c.a.WriteBatch(ms); err != nil {
			t.Fatal(err)
		}
		if got := c.a.Info().SendErrors; got != 6 {
			t.Errorf("%d send errors", got)
		}
		if got := texts(read(t, c.b, 4)); !slices.Equal(got, []string{"mapped"}) {
			t.Errorf("got %q", got)
		}
	})
}

func TestDisconnectAndReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCouple(t, HostConfig{}, Params{Delay: 10 * time.Millisecond})
		defer c.n.Close()
		start := time.Now()
		write(t, c.a, c.b, "slow")
		c.n.Disconnect(c.ha, c.hb)
		write(t, c.a, c.b, "lost")
		outage := []Outage{{At: 20 * time.Millisecond, For: time.Second}} // from here on
		c.n.Connect(c.ha, c.hb, Params{Delay: time.Millisecond, Outages: outage}, Params{})
		write(t, c.a, c.b, "fast")
		if got := texts(read(t, c.b, 4)); !slices.Equal(got, []string{"fast"}) || time.Since(start) != time.Millisecond {
			t.Errorf("got %q after %v", got, time.Since(start))
		}
		if got := texts(read(t, c.b, 4)); !slices.Equal(got, []string{"slow"}) {
			t.Errorf("got %q", got)
		}
		if got := c.a.Info().SendErrors; got != 1 {
			t.Errorf("%d send errors", got)
		}
		if s := c.n.Stats(c.hb, c.n.Host(addrC)); s != (LinkStats{}) {
			t.Errorf("no link, but %+v", s)
		}
	})
}

func TestLoopback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		defer n.Close()
		h := n.Host(addrA)
		a, b := listen(t, h, 0), listen(t, h, 0)
		buf := []byte("hello")
		if err := a.WriteBatch([]udpio.Message{{Addr: b.LocalAddr(), Buf: buf}}); err != nil {
			t.Fatal(err)
		}
		clear(buf)
		if got := texts(read(t, b, 4)); !slices.Equal(got, []string{"hello"}) {
			t.Errorf("got %q", got)
		}
	})
}

func TestPorts(t *testing.T) {
	n := New(1)
	h := n.Host(addrA)
	if n.Host(netip.AddrFrom16(addrA.As16())) != h || h.Addr() != addrA {
		t.Error("one address, two hosts")
	}
	s := listen(t, h, 9000)
	if s.LocalAddr() != netip.AddrPortFrom(addrA, 9000) {
		t.Errorf("bound to %v", s.LocalAddr())
	}
	if _, err := h.Listen(9000); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second socket: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	listen(t, h, 9000)
	for range 1<<16 - firstPickedPort {
		listen(t, h, 0)
	}
	if _, err := h.Listen(0); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("no port left: %v", err)
	}
	n.Close()
	if _, err := h.Listen(1); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestCloseUnblocksReaders(t *testing.T) {
	for _, network := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newCouple(t, HostConfig{}, Params{Delay: time.Hour})
			defer c.n.Close()
			write(t, c.b, c.a, "under way")
			errs := make(chan error)
			for range 3 {
				go func() {
					_, err := c.a.ReadBatch(make([]udpio.Message, 1))
					errs <- err
				}()
			}
			synctest.Wait()
			if network {
				c.n.Close()
			} else if err := c.a.Close(); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if err := <-errs; !errors.Is(err, net.ErrClosed) {
					t.Errorf("ReadBatch: %v", err)
				}
			}
			if err := c.a.WriteBatch(nil); !errors.Is(err, net.ErrClosed) {
				t.Errorf("WriteBatch: %v", err)
			}
			if err := c.a.Close(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Close again: %v", err)
			}
		})
	}
}

// Nothing reaches a socket that took the port of a closed one but what is sent to that port.
func TestReusedPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCouple(t, HostConfig{}, Params{Delay: time.Millisecond})
		defer c.n.Close()
		port := c.b.LocalAddr().Port()
		write(t, c.a, c.b, "late")
		if err := c.b.Close(); err != nil {
			t.Fatal(err)
		}
		again := listen(t, c.hb, port)
		if got := texts(read(t, again, 1)); got[0] != "late" { // as in a kernel
			t.Errorf("got %q", got)
		}
		if err := c.b.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closing the old one: %v", err)
		}
		write(t, c.a, again, "new")
		read(t, again, 1)
	})
}

// Everybody talks to everybody, reads and is closed at last.
func TestCrowd(t *testing.T) {
	inBubbleAndOut(t, func(t *testing.T) {
		const hosts, messages = 4, 300
		n := New(7)
		p := Params{Rate: 1e9, Delay: time.Millisecond, Jitter: time.Millisecond}
		var hs []*Host
		var ss []udpio.Socket
		for i := range hosts {
			h := n.Host(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})).Configure(HostConfig{GRO: i%2 == 0})
			for _, other := range hs {
				n.Connect(h, other, p, p)
			}
			hs, ss = append(hs, h), append(ss, listen(t, h, 1))
		}
		var readers, writers, all sync.WaitGroup
		all.Add(hosts * hosts * messages)
		for i, s := range ss {
			readers.Go(func() {
				last := make(map[netip.AddrPort]int)
				ms := make([]udpio.Message, 8)
				for k := range ms {
					ms[k].Buf = make([]byte, udpio.MaxRead)
				}
				for {
					got, err := s.ReadBatch(ms)
					if err != nil {
						return
					}
					for _, m := range ms[:got] {
						for b := m.Buf; len(b) > 0; b = b[4:] {
							if v := int(binary.BigEndian.Uint32(b)); v != last[m.Addr] {
								t.Errorf("host %d: got %d from %v, want %d", i, v, m.Addr, last[m.Addr])
							}
							last[m.Addr]++
							all.Done()
						}
					}
				}
			})
			for _, to := range ss {
				writers.Go(func() {
					for v := range messages {
						b := binary.BigEndian.AppendUint32(nil, uint32(v))
						if err := s.WriteBatch([]udpio.Message{{Addr: to.LocalAddr(), Buf: b}}); err != nil {
							t.Error(err)
						}
					}
				})
			}
		}
		writers.Wait()
		all.Wait()
		n.Close()
		readers.Wait()
	})
}

// Closing in the midst of traffic neither blocks nor breaks anything.
func TestCloseInTheMidst(t *testing.T) {
	inBubbleAndOut(t, func(t *testing.T) {
		c := newCouple(t, HostConfig{}, Params{Delay: 100 * time.Microsecond, Loss: 0.1, Duplicate: 0.1})
		var wg sync.WaitGroup
		answered := make(chan struct{}, 1)
		echo := func(s udpio.Socket, to netip.AddrPort) {
			ms := make([]udpio.Message, 4)
			for i := range ms {
				ms[i].Buf = make([]byte, 100)
			}
			for {
				n, err := s.ReadBatch(ms)
				if err == nil {
					err = s.WriteBatch(ms[:n])
				}
				if err != nil {
					if !errors.Is(err, net.ErrClosed) {
						t.Error(err)
					}
					return
				}
				if s == c.a {
					select {
					case answered <- struct{}{}:
					default:
					}
				}
			}
		}
		wg.Go(func() { echo(c.a, c.b.LocalAddr()) })
		wg.Go(func() { echo(c.b, c.a.LocalAddr()) })
		for range 50 {
			write(t, c.a, c.b, "ball")
		}
		for range 3 {
			<-answered
		}
		if err := c.b.Close(); err != nil {
			t.Error(err)
		}
		c.n.Close()
		wg.Wait()
	})
}

func TestSameSeedSameNetwork(t *testing.T) {
	trace := func(seed uint64) (got []int64) {
		synctest.Test(t, func(t *testing.T) {
			n := New(seed)
			defer n.Close()
			ha, hb := n.Host(addrA), n.Host(addrB)
			n.Connect(ha, hb, everything, Params{})
			a, b := listen(t, ha, 1), listen(t, hb, 1)
			start := time.Now()
			var wg sync.WaitGroup
			wg.Go(func() {
				ms := []udpio.Message{{Buf: make([]byte, 2000)}}
				for {
					if _, err := b.ReadBatch(ms); err != nil {
						return
					}
					got = append(got, int64(time.Since(start)), int64(number(ms[0].Buf)))
				}
			})
			buf := make([]byte, 1000)
			for i := range 2000 {
				putNumber(buf, i)
				if err := a.WriteBatch([]udpio.Message{{Addr: b.LocalAddr(), Buf: buf}}); err != nil {
					t.Fatal(err)
				}
				<-time.After(200 * time.Microsecond)
			}
			<-time.After(time.Second)
			synctest.Wait()
			n.Close()
			wg.Wait()
		})
		return got
	}
	a, b, c := trace(1), trace(1), trace(2)
	if !slices.Equal(a, b) {
		t.Error("the same seed gives another trace")
	}
	if slices.Equal(a, c) || len(a) < 1000 {
		t.Error("another seed gives the same trace")
	}
}
