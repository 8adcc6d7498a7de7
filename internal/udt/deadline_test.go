package udt_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// A stalled is one direction of a connection that is blocked: no data comes,
// or the peer takes none.
type stalled struct {
	name  string
	typ   udt.SocketType
	stall func(*testing.T, *udt.Conn)        // makes call block
	call  func(*udt.Conn) (int, error)       // blocks
	limit func(*udt.Conn, time.Time) error   // its deadline
	other func(*udt.Conn) (int, error)       // the other direction, which does not block
	ease  func(*testing.T, *udt.Conn) func() // has the peer let call go on
}

var smallWindow = udt.Config{Window: 64 << 10}

func readCall(c *udt.Conn) (int, error)  { return c.Read(make([]byte, 100)) }
func writeCall(c *udt.Conn) (int, error) { return c.Write(make([]byte, 1<<20)) }

// fillUp writes until the peer, which reads nothing, has no room left.
func fillUp(t *testing.T, c *udt.Conn) {
	t.Helper()
	if err := c.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := c.Write(make([]byte, 1<<20))
	if n == 0 || n == 1<<20 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the peer reads nothing: wrote %d, %v", n, err)
	}
	if err := c.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
}

// readAlong has the peer read all that comes.
func readAlong(_ *testing.T, server *udt.Conn) func() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1<<16)
		for {
			if _, err := server.Read(buf); err != nil {
				return
			}
		}
	}()
	return func() { server.Close(); <-done }
}

// fillUpWithMessages is fillUp on a connection for messages.
func fillUpWithMessages(t *testing.T, c *udt.Conn) {
	t.Helper()
	if err := c.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		err := c.WriteMessage(make([]byte, 1000), udt.MessageOptions{})
		if err == nil && n < 1000 {
			continue
		}
		if n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("the peer reads nothing: wrote %d, %v", n, err)
		}
		break
	}
	if err := c.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
}

// readMessagesAlong is readAlong on a connection for messages.
func readMessagesAlong(_ *testing.T, server *udt.Conn) func() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := server.ReadMessage(nil); err != nil && !errors.Is(err, udt.ErrTruncated) {
				return
			}
		}
	}()
	return func() { server.Close(); <-done }
}

// leaveReadingAlone is for the other direction of a blocked write.
func leaveReadingAlone(c *udt.Conn) (int, error) { return 0, c.SetReadDeadline(time.Time{}) }

func writeX(c *udt.Conn) (int, error) { return c.Write([]byte("x")) }

// stalledWays are tests' ways to block on the client.
var stalledWays = []stalled{
	{
		name:  "read",
		stall: func(*testing.T, *udt.Conn) {},
		call:  readCall,
		limit: (*udt.Conn).SetReadDeadline,
		other: writeX,
		ease: func(t *testing.T, server *udt.Conn) func() {
			if _, err := server.Write([]byte("data")); err != nil {
				t.Error(err)
			}
			return func() {}
		},
	},
	{
		name:  "write to",
		stall: func(*testing.T, *udt.Conn) {},
		call: func(c *udt.Conn) (int, error) {
			n, err := c.WriteTo(io.Discard)
			return int(n), err
		},
		limit: (*udt.Conn).SetReadDeadline,
		other: writeX,
		ease: func(t *testing.T, server *udt.Conn) func() {
			if err := write(server, []byte("data")); err != nil {
				t.Error(err)
			}
			closed := start(func() (int, error) { return 0, server.Close() })
			return func() { <-closed }
		},
	},
	{
		name: "write", stall: fillUp, limit: (*udt.Conn).SetWriteDeadline, other: leaveReadingAlone, ease: readAlong,
		call: writeCall,
	},
	{
		name: "read from", stall: fillUp, limit: (*udt.Conn).SetWriteDeadline, other: leaveReadingAlone, ease: readAlong,
		call: func(c *udt.Conn) (int, error) { return readFrom(c, bytes.NewReader(make([]byte, 1<<20))) },
	},
	{
		name: "read vectors from", stall: fillUp, limit: (*udt.Conn).SetWriteDeadline, other: leaveReadingAlone, ease: readAlong,
		call: func(c *udt.Conn) (int, error) { return readFrom(c, vectors{bytes.NewReader(make([]byte, 1<<20))}) },
	},
	{
		name: "read message", typ: udt.Datagram,
		stall: func(*testing.T, *udt.Conn) {},
		call:  func(c *udt.Conn) (int, error) { return c.ReadMessage(make([]byte, 100)) },
		limit: (*udt.Conn).SetReadDeadline,
		other: func(c *udt.Conn) (int, error) { return 0, c.WriteMessage([]byte("x"), udt.MessageOptions{}) },
		ease: func(t *testing.T, server *udt.Conn) func() {
			if err := server.WriteMessage([]byte("data"), udt.MessageOptions{}); err != nil {
				t.Error(err)
			}
			return func() {}
		},
	},
	{
		name: "write message", typ: udt.Datagram, stall: fillUpWithMessages, limit: (*udt.Conn).SetWriteDeadline,
		other: leaveReadingAlone, ease: readMessagesAlong,
		call: func(c *udt.Conn) (int, error) {
			return 1, c.WriteMessage(make([]byte, c.MaxMessage()), udt.MessageOptions{})
		},
	},
}

// eachStalled runs a test of the client's blocked direction.
func eachStalled(t *testing.T, run func(t *testing.T, w stalled, client, server *udt.Conn)) {
	t.Helper()
	for _, w := range stalledWays {
		t.Run(w.name, func(t *testing.T) {
			cfg := smallWindow
			cfg.Type = w.typ
			connected(t, simConfig{client: cfg, server: cfg}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
				w.stall(t, client)
				run(t, w, client, server)
			})
		})
	}
}

func wantDeadline(t *testing.T, err error) {
	t.Helper()
	wantError(t, err, udt.ETIMEOUT, os.ErrDeadlineExceeded)
	var ne net.Error
	if !errors.As(err, &ne) || !ne.Timeout() {
		t.Errorf("%v is not a timeout", err)
	}
}

func TestPastDeadlineFailsAtOnce(t *testing.T) {
	eachStalled(t, func(t *testing.T, w stalled, client, _ *udt.Conn) {
		for _, past := range []time.Time{time.Now(), time.Now().Add(-time.Hour), time.Unix(1, 0)} {
			w.limit(client, past)
			begin := time.Now()
			for range 3 {
				_, err := w.call(client)
				wantDeadline(t, err)
			}
			wantTook(t, begin, 0, 0)
		}
		if _, err := w.other(client); err != nil {
			t.Errorf("the other direction: %v", err)
		}
	})
}

// Like any net.Conn's, a deadline that has passed hides data that is there.
func TestPastDeadlineComesBeforeData(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		if err := write(server, []byte("data")); err != nil {
			t.Fatal(err)
		}
		if err := wantBytes(client, []byte("d")); err != nil {
			t.Fatal(err)
		}
		client.SetDeadline(time.Unix(1, 0))
		_, err := client.Read(make([]byte, 3))
		wantDeadline(t, err)
		_, err = client.Write([]byte("x"))
		wantDeadline(t, err)
		client.SetDeadline(time.Time{})
		if err := wantBytes(client, []byte("ata")); err != nil {
			t.Error(err)
		}
	})
}

func TestDeadlineEndsACall(t *testing.T) {
	eachStalled(t, func(t *testing.T, w stalled, client, _ *udt.Conn) {
		for _, wait := range []time.Duration{time.Nanosecond, time.Millisecond, 700 * time.Millisecond, 20 * time.Second} {
			begin := time.Now()
			w.limit(client, begin.Add(wait))
			_, err := w.call(client)
			wantDeadline(t, err)
			wantTook(t, begin, wait, wait)
		}
	})
}

func TestDeadlineMovesWhileACallWaits(t *testing.T) {
	const s = time.Second
	for name, c := range map[string]struct {
		first, second, want time.Duration // 0: none
	}{
		"later":        {1 * s, 3 * s, 3 * s},
		"sooner":       {3 * s, 1 * s, 1 * s},
		"now":          {3 * s, -1, s / 2},
		"from nothing": {0, 2 * s, 2 * s},
	} {
		t.Run(name, func(t *testing.T) {
			eachStalled(t, func(t *testing.T, w stalled, client, _ *udt.Conn) {
				begin := time.Now()
				set := func(d time.Duration) {
					switch {
					case d == 0:
						w.limit(client, time.Time{})
					case d < 0:
						w.limit(client, time.Unix(1, 0))
					default:
						w.limit(client, begin.Add(d))
					}
				}
				set(c.first)
				call := start(func() (int, error) { return w.call(client) })
				<-time.After(s / 2)
				set(c.second)
				o := <-call
				wantDeadline(t, o.err)
				if took := o.at.Sub(begin); took != c.want {
					t.Errorf("ended after %v, want %v", took, c.want)
				}
			})
		})
	}
}

func TestClearedDeadlineLetsACallGoOn(t *testing.T) {
	eachStalled(t, func(t *testing.T, w stalled, client, server *udt.Conn) {
		w.limit(client, time.Now().Add(time.Second))
		call := start(func() (int, error) { return w.call(client) })
		<-time.After(time.Second / 2)
		w.limit(client, time.Time{})
		<-time.After(10 * time.Second)
		select {
		case o := <-call:
			t.Fatalf("ended after %v: %v", o.at, o.err)
		default:
		}
		rest := w.ease(t, server)
		o := <-call
		if o.err != nil || o.n == 0 {
			t.Errorf("%d bytes, %v", o.n, o.err)
		}
		rest()
	})
}

// A deadline that has passed is forgotten when a new one is set.
func TestDeadlineCanBeRenewed(t *testing.T) {
	eachStalled(t, func(t *testing.T, w stalled, client, server *udt.Conn) {
		for range 3 {
			begin := time.Now()
			w.limit(client, begin.Add(time.Second))
			_, err := w.call(client)
			wantDeadline(t, err)
			wantTook(t, begin, time.Second, time.Second)
		}
		w.limit(client, time.Now().Add(time.Minute))
		rest := w.ease(t, server)
		if n, err := w.call(client); err != nil || n == 0 {
			t.Errorf("%d bytes, %v", n, err)
		}
		rest()
	})
}

// Callers that wait for their turn behind another are bound by the deadline.
func TestDeadlineEndsAllCallers(t *testing.T) {
	eachStalled(t, func(t *testing.T, w stalled, client, _ *udt.Conn) {
		var calls []<-chan outcome
		for range 5 {
			calls = append(calls, start(func() (int, error) { return w.call(client) }))
		}
		<-time.After(time.Second)
		w.limit(client, time.Now().Add(time.Second))
		<-time.After(time.Second / 2)
		w.limit(client, time.Now().Add(time.Second))
		want := time.Now().Add(time.Second)
		for _, call := range calls {
			o := <-call
			wantDeadline(t, o.err)
			if !o.at.Equal(want) {
				t.Errorf("ended %v off", o.at.Sub(want))
			}
		}
	})
}

func TestSetDeadlineIsForBothDirections(t *testing.T) {
	connected(t, simConfig{client: smallWindow, server: smallWindow}, func(t *testing.T, _ *sim, client, _ *udt.Conn) {
		begin := time.Now()
		client.SetDeadline(begin.Add(2 * time.Second))
		for _, call := range []<-chan outcome{
			start(func() (int, error) { return readCall(client) }),
			start(func() (int, error) { return writeCall(client) }),
		} {
			o := <-call
			wantDeadline(t, o.err)
			if took := o.at.Sub(begin); took != 2*time.Second {
				t.Errorf("ended after %v", took)
			}
		}
	})
}

// What Write says it has taken before its deadline is what arrives.
func TestPartialWriteTellsHowMuch(t *testing.T) {
	connected(t, simConfig{client: smallWindow, server: smallWindow}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		data := noise(1, 1<<20)
		client.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := client.Write(data)
		wantDeadline(t, err)
		client.SetWriteDeadline(time.Time{})
		meanwhile(t,
			func() error { return write(client, data[n:]) },
			func() error { return wantBytes(server, data) },
		)
	})
}

// Deadlines set by several goroutines at once, against calls that come and go.
func TestDeadlineRace(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		data := noise(3, 200_000)
		stop := make(chan struct{})
		setters := func() error {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return nil
				case <-time.After(time.Millisecond):
				}
				client.SetDeadline(time.Now().Add(time.Duration(i%5-1) * time.Millisecond))
			}
		}
		patient := func(call func(p []byte) (int, error), p []byte) error {
			for len(p) > 0 {
				n, err := call(p[:min(len(p), 1000)])
				p = p[n:]
				if errors.Is(err, os.ErrDeadlineExceeded) {
					<-time.After(100 * time.Microsecond)
				} else if err != nil {
					return err
				}
			}
			return nil
		}
		got := make([]byte, len(data))
		meanwhile(t, setters, setters, func() error {
			defer close(stop)
			meanwhile(t,
				func() error { return patient(client.Write, data) },
				func() error { return patient(client.Read, got) },
				func() error { return wantBytes(server, data) },
				func() error { return write(server, data) },
			)
			return nil
		})
		if !bytes.Equal(got, data) {
			t.Error("read other bytes than were sent")
		}
	})
}
