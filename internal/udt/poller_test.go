package udt_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/proto"
)

const anyEvent = udt.PollIn | udt.PollOut | udt.PollErr

// polled is a Poller under test.
type polled struct {
	*udt.Poller
	t      *testing.T
	events [16]udt.Event
}

func newPolled(t *testing.T) *polled {
	t.Helper()
	return &polled{Poller: udt.NewPoller(), t: t}
}

func (p *polled) add(member any, interest udt.Events) {
	p.t.Helper()
	if err := p.Add(member, interest); err != nil {
		p.t.Fatal(err)
	}
}

// within waits for events; none if none come in time.
func (p *polled) within(d time.Duration) []udt.Event {
	p.t.Helper()
	n, err := p.WaitFor(d, p.events[:])
	if err != nil {
		wantDeadline(p.t, err)
	}
	return slices.Clone(p.events[:n])
}

// want checks that exactly these events come: each a member and what is
// possible with it.
func (p *polled) want(d time.Duration, want ...udt.Event) {
	p.t.Helper()
	got := p.within(d)
	same := len(got) == len(want)
	for _, e := range want {
		same = same && slices.Contains(got, e)
	}
	if !same {
		p.t.Errorf("events %v, want %v", got, want)
	}
}

// none checks that nothing is ready.
func (p *polled) none() {
	p.t.Helper()
	p.want(0)
}

// Data is reported as long as it is not read, room as long as there is some.
func TestPollerDataAndRoom(t *testing.T) {
	connected(t, simConfig{client: smallWindow, server: smallWindow}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		p := newPolled(t)
		defer p.Close()
		p.add(client, udt.PollIn)
		p.none()
		begin := time.Now()
		p.want(time.Second)
		wantTook(t, begin, time.Second, time.Second)

		if err := write(server, []byte("data")); err != nil {
			t.Fatal(err)
		}
		in := udt.Event{Member: client, Events: udt.PollIn}
		p.want(time.Minute, in)
		p.want(time.Minute, in)
		if err := wantBytes(client, []byte("da")); err != nil {
			t.Fatal(err)
		}
		p.want(0, in)
		if err := wantBytes(client, []byte("ta")); err != nil {
			t.Fatal(err)
		}
		p.none()

		out := udt.Event{Member: client, Events: udt.PollOut}
		if err := p.Modify(client, udt.PollOut|udt.PollErr); err != nil {
			t.Fatal(err)
		}
		p.want(0, out)
		fillUp(t, client)
		p.none()
		rest := readAlong(t, server)
		p.want(time.Minute, out)
		rest()
	})
}

// TryRead and TryWrite do what they can at once, whatever that is.
func TestPollerTryCalls(t *testing.T) {
	connected(t, simConfig{client: smallWindow, server: smallWindow}, func(t *testing.T, s *sim, client, server *udt.Conn) {
		begin := time.Now()
		buf := make([]byte, 1<<20)
		_, err := client.TryRead(buf)
		wantError(t, err, udt.EASYNCRCV, udt.ErrWouldBlock, syscall.EAGAIN)
		sent := 0
		for err = nil; err == nil; {
			var n int
			n, err = client.TryWrite(noise(1, 100_000)[:100_000-sent%7])
			if n == 0 && err == nil {
				t.Fatal("nothing was written, and no error")
			}
			sent += n
		}
		wantError(t, err, udt.EASYNCSND, udt.ErrWouldBlock, syscall.EAGAIN)
		if sent < 1000 {
			t.Errorf("room for %d bytes", sent)
		}
		_, err = s.listener.TryAccept()
		wantError(t, err, udt.EASYNCRCV, udt.ErrWouldBlock)
		wantTook(t, begin, 0, 0)

		p := newPolled(t)
		defer p.Close()
		p.add(server, udt.PollIn)
		for got := 0; got < sent; {
			p.want(time.Minute, udt.Event{Member: server, Events: udt.PollIn})
			n, err := server.TryRead(buf)
			if err != nil || n == 0 {
				t.Fatalf("it was ready: %d, %v", n, err)
			}
			got += n
		}

		// Another reader has its turn: that counts as nothing to read.
		call := start(func() (int, error) { return readCall(client) })
		synctest.Wait()
		_, err = client.TryRead(buf)
		wantError(t, err, udt.EASYNCRCV)
		client.SetDeadline(time.Unix(1, 0))
		_, err = client.TryRead(buf)
		wantDeadline(t, err)
		_, err = client.TryWrite(buf)
		wantDeadline(t, err)
		<-call
		client.SetDeadline(time.Time{})
		client.Abort()
		_, err = client.TryRead(buf)
		wantError(t, err, udt.EINVSOCK, net.ErrClosed)
		_, err = client.TryWrite(buf)
		wantError(t, err, udt.EINVSOCK, net.ErrClosed)
		wantError(t, client.Err(), udt.EINVSOCK, net.ErrClosed)
	})
}

// A listener is readable while connections wait, also those that came before it
// was added.
func TestPollerAccept(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		p := newPolled(t)
		defer p.Close()
		first := s.dial()
		p.add(s.listener, anyEvent)
		in := udt.Event{Member: s.listener, Events: udt.PollIn}
		p.want(0, in)
		second := s.dial()
		for _, want := range []*udt.Conn{first, second} {
			p.want(0, in)
			c, err := s.listener.TryAccept()
			if err != nil || c.RemoteAddr().String() != want.LocalAddr().String() {
				t.Fatalf("accepted %v, %v", c, err)
			}
		}
		p.none()
		dialled := start(func() (int, error) { s.dial(); return 0, nil })
		p.want(time.Minute, in)
		<-dialled
	})
}

func TestPollerConnectDone(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		p := newPolled(t)
		defer p.Close()
		begin := time.Now()
		c, err := s.client.StartDial(s.server.addr, udt.Config{})
		if err != nil {
			t.Fatal(err)
		}
		wantTook(t, begin, 0, 0)
		p.add(c, anyEvent)
		p.none()
		if err := c.Err(); err != nil {
			t.Errorf("while connecting: %v", err)
		}
		_, err = c.TryWrite([]byte("x"))
		wantError(t, err, udt.EASYNCSND)
		_, err = c.TryRead(make([]byte, 1))
		wantError(t, err, udt.EASYNCRCV)
		// Calls that wait do so for the connection, too.
		file := start(func() (int, error) { return readFrom(c, vectors{strings.NewReader("abc")}) })
		p.want(time.Minute, udt.Event{Member: c, Events: udt.PollOut})
		if o := <-file; o.n != 3 || o.err != nil {
			t.Errorf("written while connecting: %d, %v", o.n, o.err)
		}
		if err := wantBytes(s.accept(), []byte("abc")); err != nil {
			t.Error(err)
		}
		if err := c.Err(); err != nil {
			t.Error(err)
		}
	})
}

// A connection that was refused, or that nobody answered, is readable,
// writable and broken, and says why.
func TestPollerConnectFails(t *testing.T) {
	nobody := netip.MustParseAddrPort("10.0.0.2:9")
	for _, c := range []struct {
		name string
		cfg  simConfig
		to   netip.AddrPort
		code udt.Code
		why  []error
	}{
		{"rejected", simConfig{server: udt.Config{Backlog: 1}}, netip.AddrPortFrom(serverIP, serverPort), udt.ECONNREJ, []error{udt.ErrRejected, syscall.ECONNREFUSED}},
		{"no answer", simConfig{}, nobody, udt.ENOSERVER, []error{udt.ErrNoServer, os.ErrDeadlineExceeded}},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulate(t, c.cfg, func(t *testing.T, s *sim) {
				p := newPolled(t)
				defer p.Close()
				s.dial() // and now the backlog is full
				conn, err := s.client.StartDial(c.to, udt.Config{})
				if err != nil {
					t.Fatal(err)
				}
				p.add(conn, anyEvent)
				begin := time.Now()
				p.want(time.Minute, udt.Event{Member: conn, Events: anyEvent})
				wantTook(t, begin, 0, udt.DefaultConnectTimeout)
				p.want(0, udt.Event{Member: conn, Events: anyEvent})
				if err := p.Modify(conn, udt.PollIn); err != nil {
					t.Error(err)
				}
				p.want(0, udt.Event{Member: conn, Events: udt.PollIn})
				wantError(t, conn.Err(), c.code, c.why...)
				_, err = conn.TryRead(make([]byte, 1))
				wantError(t, err, c.code, c.why...)
				_, err = conn.Write([]byte("x"))
				wantError(t, err, c.code, c.why...)
				_, err = readFrom(conn, vectors{strings.NewReader("abc")})
				wantError(t, err, c.code, c.why...)
				conn.Close()
				p.none()
			})
		})
	}
}

// The peer's close is told at once, with what came before.
func TestPollerPeerShutdown(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		p := newPolled(t)
		defer p.Close()
		p.add(client, udt.PollErr)
		p.none()
		if err := write(server, []byte("bye")); err != nil {
			t.Fatal(err)
		}
		closed := start(func() (int, error) { return 0, server.Close() })
		begin := time.Now()
		p.want(time.Minute, udt.Event{Member: client, Events: udt.PollErr})
		wantTook(t, begin, 0, atOnce)
		if err := p.Modify(client, anyEvent); err != nil {
			t.Fatal(err)
		}
		p.want(0, udt.Event{Member: client, Events: anyEvent})
		buf := make([]byte, 10)
		if n, err := client.TryRead(buf); err != nil || string(buf[:n]) != "bye" {
			t.Errorf("%q, %v", buf[:n], err)
		}
		p.want(0, udt.Event{Member: client, Events: anyEvent})
		if n, err := client.TryRead(buf); n != 0 || !isBareEOF(err) {
			t.Errorf("%d, %v", n, err)
		}
		_, err := client.TryWrite(buf)
		wantError(t, err, udt.ECONNLOST, udt.ErrPeerClosed)
		wantError(t, client.Err(), udt.ECONNLOST, udt.ErrPeerClosed)
		<-closed
	})
}

func TestPollerBroken(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, s *sim, client, server *udt.Conn) {
		p := newPolled(t)
		defer p.Close()
		p.add(client, udt.PollIn|udt.PollErr)
		p.add(server, udt.PollIn|udt.PollErr)
		begin := time.Now()
		s.cut()
		for range 2 {
			for _, e := range p.within(time.Hour) {
				if e.Events != udt.PollIn|udt.PollErr {
					t.Errorf("%v", e)
				}
				if err := p.Modify(e.Member, 0); err != nil {
					t.Error(err)
				}
			}
		}
		wantTook(t, begin, udt.DefaultPeerTimeout-time.Second, udt.DefaultPeerTimeout+time.Second)
		for _, c := range []*udt.Conn{client, server} {
			_, err := c.TryRead(make([]byte, 1))
			wantError(t, err, udt.ECONNLOST, udt.ErrConnLost)
			wantError(t, c.Err(), udt.ECONNLOST, udt.ErrConnLost)
		}
	})
}

// A socket that fails under a listener is not its user's close.
func TestPollerBrokenListener(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		p := newPolled(t)
		defer p.Close()
		p.add(s.listener, anyEvent)
		if err := s.server.sock.Close(); err != nil {
			t.Fatal(err)
		}
		p.want(time.Minute, udt.Event{Member: s.listener, Events: udt.PollIn | udt.PollErr})
		_, err := s.listener.TryAccept()
		wantError(t, err, udt.ENOLISTEN, net.ErrClosed)
		s.listener.Close()
		p.none()
		wantError(t, p.Add(s.listener, anyEvent), udt.EINVSOCK, net.ErrClosed)
	})
}

// What the peer reports makes the next write fail, and only that.
func TestPollerPeerError(t *testing.T) {
	connected(t, simConfig{client: smallWindow, server: smallWindow}, func(t *testing.T, s *sim, client, server *udt.Conn) {
		var id uint32
		s.client.sock.filter(func(_ netip.AddrPort, b []byte) bool {
			return true
		})
		s.server.sock.filter(func(_ netip.AddrPort, b []byte) bool {
			id, _ = proto.Destination(b)
			return true
		})
		p := newPolled(t)
		defer p.Close()
		p.add(client, udt.PollOut)
		fillUp(t, client)
		p.none()
		report := proto.Control{Type: proto.TypePeerError, Info: 4000, Dst: id}.Append(nil)
		if err := s.server.sock.inject(s.client.addr, append(report, 0, 0, 0, 0)); err != nil {
			t.Fatal(err)
		}
		p.want(time.Minute, udt.Event{Member: client, Events: udt.PollOut})
		_, err := client.TryWrite([]byte("x"))
		wantError(t, err, udt.EPEERERR)
		p.none()
		server.Abort()
		client.Abort()
	})
}

// Members leave when they are closed or removed, whoever waits.
func TestPollerLeaving(t *testing.T) {
	for name, leave := range map[string]func(p *polled, s *sim, c *udt.Conn) error{
		"remove": func(p *polled, _ *sim, c *udt.Conn) error { return p.Remove(c) },
		"close":  func(_ *polled, _ *sim, c *udt.Conn) error { return c.Close() },
		"abort":  func(_ *polled, _ *sim, c *udt.Conn) error { return c.Abort() },
		"close endpoint": func(_ *polled, s *sim, _ *udt.Conn) error {
			return s.client.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			connected(t, simConfig{}, func(t *testing.T, s *sim, client, server *udt.Conn) {
				p := newPolled(t)
				defer p.Close()
				// It is ready and is going to be more so.
				if err := write(server, []byte("data")); err != nil {
					t.Fatal(err)
				}
				p.add(client, anyEvent)
				p.want(0, udt.Event{Member: client, Events: udt.PollOut})
				if err := leave(p, s, client); err != nil {
					t.Fatal(err)
				}
				p.none()
				p.want(10 * time.Second)
				_, err := p.Wait(context.Background(), p.events[:])
				wantError(t, err, udt.EINVPARAM)
				if err := p.Remove(client); err != nil {
					t.Errorf("removed once more: %v", err)
				}
				wantError(t, p.Modify(client, anyEvent), udt.EINVSOCK)
				if name == "remove" {
					p.add(client, udt.PollIn)
					p.want(time.Second, udt.Event{Member: client, Events: udt.PollIn})
				} else {
					wantError(t, p.Add(client, anyEvent), udt.EINVSOCK, net.ErrClosed)
				}
			})
		})
	}
}

// What others do counts for one who waits already.
func TestPollerChangesWhileWaiting(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, s *sim, client, server *udt.Conn) {
		p := newPolled(t)
		defer p.Close()
		p.add(s.listener, udt.PollIn) // never ready
		waiting := func() <-chan outcome {
			call := start(func() (int, error) { return p.Wait(context.Background(), p.events[:]) })
			synctest.Wait()
			select {
			case o := <-call:
				t.Fatalf("nothing was ready: %d, %v", o.n, o.err)
			default:
			}
			return call
		}
		ended := func(call <-chan outcome, want udt.Event) {
			t.Helper()
			if o := <-call; o.n != 1 || o.err != nil || p.events[0] != want {
				t.Errorf("%v, %d, %v, want %v", p.events[0], o.n, o.err, want)
			}
		}
		out := udt.Event{Member: client, Events: udt.PollOut}

		call := waiting()
		p.add(client, udt.PollOut)
		ended(call, out)

		if err := p.Modify(client, udt.PollIn); err != nil {
			t.Fatal(err)
		}
		call = waiting()
		if err := p.Modify(client, udt.PollOut); err != nil {
			t.Fatal(err)
		}
		ended(call, out)

		if err := p.Modify(client, 0); err != nil {
			t.Fatal(err)
		}
		call = waiting()
		p.add(client, udt.PollIn)
		p.add(client, udt.PollOut) // both
		ended(call, out)
		if err := p.Modify(client, udt.PollIn); err != nil {
			t.Fatal(err)
		}
		call = waiting()
		if err := p.Remove(client); err != nil {
			t.Fatal(err)
		}
		if err := write(server, []byte("unseen")); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		if err := p.Remove(s.listener); err != nil { // nothing is left
			t.Fatal(err)
		}
		o := <-call
		wantError(t, o.err, udt.EINVPARAM)
	})
}

// All who wait are told what is ready, and of the end.
func TestPollerManyWaiters(t *testing.T) {
	const waiters = 10
	connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		p := newPolled(t)
		p.add(client, udt.PollIn)
		crowd := func() (calls []<-chan outcome) {
			for range waiters {
				calls = append(calls, start(func() (int, error) {
					return p.Wait(context.Background(), make([]udt.Event, 1))
				}))
			}
			synctest.Wait()
			return calls
		}
		calls := crowd()
		if err := write(server, []byte("data")); err != nil {
			t.Fatal(err)
		}
		for _, call := range calls {
			if o := <-call; o.n != 1 || o.err != nil {
				t.Errorf("%d, %v", o.n, o.err)
			}
		}
		if err := wantBytes(client, []byte("data")); err != nil {
			t.Fatal(err)
		}
		calls = crowd()
		if err := p.Remove(client); err != nil {
			t.Fatal(err)
		}
		for _, call := range calls {
			o := <-call
			wantError(t, o.err, udt.EINVPARAM)
		}
		p.add(client, udt.PollIn)
		calls = crowd()
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		for _, call := range calls {
			o := <-call
			wantError(t, o.err, udt.EINVPOLLID, net.ErrClosed)
		}
	})
}

func TestPollerLimits(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, _ *sim, client, _ *udt.Conn) {
		p := newPolled(t)
		_, err := p.Wait(context.Background(), p.events[:])
		wantError(t, err, udt.EINVPARAM)
		_, err = p.WaitFor(-1, p.events[:])
		wantError(t, err, udt.EINVPARAM)
		p.add(client, 0) // an interest in nothing is none
		_, err = p.Wait(context.Background(), p.events[:])
		wantError(t, err, udt.EINVPARAM)
		begin := time.Now()
		_, err = p.WaitFor(3*time.Second, p.events[:])
		wantDeadline(t, err)
		wantTook(t, begin, 3*time.Second, 3*time.Second)
		_, err = p.WaitFor(0, p.events[:])
		wantDeadline(t, err)
		wantTook(t, begin, 3*time.Second, 3*time.Second)

		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		begin = time.Now()
		_, err = p.Wait(ctx, p.events[:])
		wantDeadline(t, err)
		wantTook(t, begin, 2*time.Second, 2*time.Second)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v is not the context's", err)
		}
		begin = time.Now()
		_, err = p.Wait(cancelledAfter(t, time.Second), p.events[:])
		wantError(t, err, udt.EASYNCFAIL, context.Canceled)
		wantTook(t, begin, time.Second, time.Second)

		// What is ready comes first.
		if err := p.Modify(client, udt.PollOut); err != nil {
			t.Fatal(err)
		}
		if n, err := p.Wait(ctx, p.events[:]); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		_, err = p.WaitFor(0, nil)
		wantError(t, err, udt.EINVPARAM)
		wantError(t, p.Add("nonsense", udt.PollIn), udt.EINVSOCK)

		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{
			p.Close(), p.Add(client, udt.PollIn), p.Modify(client, udt.PollIn), p.Remove(client),
		} {
			wantError(t, err, udt.EINVPOLLID, net.ErrClosed)
		}
		_, err = p.Wait(t.Context(), p.events[:])
		wantError(t, err, udt.EINVPOLLID, net.ErrClosed)
	})
}

// With less room than is ready all have their turn.
func TestPollerTurns(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		const members = 7
		p := newPolled(t)
		defer p.Close()
		clients, _ := s.crowd(members)
		for _, c := range clients {
			p.add(c, udt.PollOut)
		}
		seen := map[any]int{}
		for range 5 * members {
			n, err := p.WaitFor(0, p.events[:3])
			if n != 3 || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
			for _, e := range p.events[:n] {
				seen[e.Member]++
			}
		}
		for _, c := range clients {
			if seen[c] != 15 {
				t.Errorf("reported %d times, the others more or less often", seen[c])
			}
		}
	})
}

// One connection may be in several pollers.
func TestPollerShares(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		a, b := newPolled(t), newPolled(t)
		defer b.Close()
		a.add(client, udt.PollIn)
		b.add(client, udt.PollIn)
		if err := write(server, []byte("data")); err != nil {
			t.Fatal(err)
		}
		in := udt.Event{Member: client, Events: udt.PollIn}
		a.want(time.Minute, in)
		b.want(time.Minute, in)
		a.Close()
		b.want(time.Minute, in)
	})
}
