package secure

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// reticent is a server that knows everybody, and says nothing after the handshake but what then says.
func reticent(t *testing.T, id Identity, then func(*tls.Conn) error) handshakeFunc {
	t.Helper()
	return showing(certificateOf(t, id), then)
}

func certificateOf(t *testing.T, id Identity) tls.Certificate {
	t.Helper()
	cert, err := certificate(id)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// showing is reticent with a certificate of its own.
func showing(cert tls.Certificate, then func(*tls.Conn) error) handshakeFunc {
	return func(ctx context.Context, raw net.Conn, _ Config) (*Conn, error) {
		s := tls.Server(raw, &tls.Config{
			Certificates: []tls.Certificate{cert}, NextProtos: []string{testProtocol},
			ClientAuth: tls.RequireAnyClientCert, SessionTicketsDisabled: true,
		})
		if err := s.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		return nil, then(s)
	}
}

// greeting is a handshake of an end that dials and has something to say.
func greeting(f handshakeFunc, words []byte) handshakeFunc {
	return func(ctx context.Context, raw net.Conn, c Config) (*Conn, error) {
		conn, err := f(ctx, raw, c)
		if err == nil {
			err = conn.Enter(ctx, words)
		}
		return conn, err
	}
}

// A greeting is there before the server has said anything of what it thinks of the client.
func TestGreetingDoesNotWait(t *testing.T) {
	me, words := NewIdentity(), []byte("may I ask")
	synctest.Test(t, func(t *testing.T) { // a deadlock fails
		a, b := pipe()
		x, y := meet(t, a, b, greeting(Client, words), reticent(t, me, func(s *tls.Conn) error {
			got := make([]byte, len(words))
			if _, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, words) {
				t.Errorf("%q, %v", got, err)
			}
			_, err := s.Write([]byte{wordWelcome, 'y'})
			return err
		}), as(me), Config{})
		if x.err != nil || y.err != nil {
			t.Fatalf("%v, %v", x.err, y.err)
		}
		if b := make([]byte, 1); first(t, x.conn, b) != 'y' {
			t.Errorf("after the welcome comes %q", b)
		}
	})
}

func first(t *testing.T, c *Conn, b []byte) byte {
	t.Helper()
	if _, err := io.ReadFull(c, b); err != nil {
		t.Error(err)
	}
	return b[0]
}

// A greeting is the first that the other end reads, whichever roles the dice give.
func TestGreetingInRendezvous(t *testing.T) {
	me := NewIdentity()
	for range 8 {
		a, b := pipe()
		x, y := meet(t, a, b, greeting(Rendezvous, []byte("x")), greeting(Rendezvous, []byte("y")), as(me), as(me))
		if x.err != nil || y.err != nil {
			t.Fatalf("%v, %v", x.err, y.err)
		}
		if first(t, x.conn, make([]byte, 1)) != 'y' || first(t, y.conn, make([]byte, 1)) != 'x' {
			t.Error("the greetings are mixed up")
		}
		talk(t, x.conn, y.conn)
	}
}

// Nothing is said to a server that is not trusted, or shows a key that is and does not have it.
func TestNoGreetingForStrangers(t *testing.T) {
	me, you, thief := NewIdentity(), NewIdentity(), NewIdentity()
	stolen := certificateOf(t, you)
	stolen.PrivateKey = thief.private
	for name, server := range map[string]tls.Certificate{"a stranger": certificateOf(t, thief), "a thief": stolen} {
		a, b := pipe()
		x, y := meet(t, a, b, greeting(Client, make([]byte, 1<<10)), showing(server, func(*tls.Conn) error { return nil }), as(me, you), Config{})
		if x.err == nil || y.err == nil {
			t.Errorf("%s is accepted: %v, %v", name, x.err, y.err)
		}
		if n := len(a.writes); n < 2 || slices.Max(a.writes[1:]) > 100 {
			t.Errorf("%s hears more than a hello and an alert: %v bytes", name, a.writes)
		}
	}
}

// Who is refused hears so, also where the other end is gone before all was said.
func TestRefusedWhileGreeting(t *testing.T) {
	me, you := NewIdentity(), NewIdentity()
	for name, words := range map[string][]byte{"nothing to say": nil, "a greeting": []byte("may I ask")} {
		a, b := pipe()
		x, y := meet(t, a, b, Client, Server, as(me, you), as(you)) // which closes
		wantError(t, y.err, KindAuth)
		if x.err != nil {
			t.Fatal(x.err)
		}
		if n, err := x.conn.Read(make([]byte, 8)); n != 0 || err == nil {
			t.Errorf("%s: the word passes for payload: %d, %v", name, n, err)
		}
		wantError(t, x.conn.Enter(t.Context(), words), KindAuth, "does not trust this end", "run there: udtcp key trust "+me.Public().String())
		if n, err := x.conn.Read(make([]byte, 8)); n != 0 || err == nil {
			t.Errorf("%s: read after a refusal: %d, %v", name, n, err)
		}
	}
}

// A server that never says its word, or another, is not entered.
func TestNoWord(t *testing.T) {
	me := NewIdentity()
	wait := func(s *tls.Conn) error { _, err := io.Copy(io.Discard, s); return err }
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe()
		began := time.Now()
		x, _ := meet(t, a, b, inTime(greeting(Client, []byte("may I ask"))), reticent(t, me, wait), as(me), Config{})
		wantError(t, x.err, KindNoConnection, "in time")
		if d := time.Since(began); d != HandshakeTimeout {
			t.Errorf("after %v", d)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		x, _ := meet(t, a, b, func(_ context.Context, raw net.Conn, c Config) (*Conn, error) { return dial(ctx, raw, c) },
			reticent(t, me, wait), as(me), Config{})
		if !errors.Is(x.err, context.Canceled) {
			t.Errorf("%v", x.err)
		}
	})
	a, b := pipe()
	x, _ := meet(t, a, b, dial, reticent(t, me, func(*tls.Conn) error { return io.EOF }), as(me), Config{})
	wantError(t, x.err, KindNoConnection, "closed the connection")
	a, b = pipe()
	x, _ = meet(t, a, b, dial, reticent(t, me, func(s *tls.Conn) error { _, err := s.Write([]byte{7}); return err }), as(me), Config{})
	wantError(t, x.err, KindAuth, "an unknown answer")
}

// Until the word has come the client reads no more than is left of what a handshake may take.
func TestWordIsWithinTheLimit(t *testing.T) {
	me := NewIdentity()
	for _, left := range []int{0, 22, 23} { // the word's record has 23 bytes
		a, b := pipe()
		x, _ := meet(t, a, b, func(ctx context.Context, raw net.Conn, c Config) (*Conn, error) {
			conn, err := Client(ctx, raw, c)
			if err == nil {
				conn.wire.budget = left
				err = conn.Enter(ctx, nil)
			}
			return conn, err
		}, Server, as(me), as(me))
		if (x.err == nil) != (left == 23) {
			t.Errorf("%d bytes left: %v", left, x.err)
		}
	}
	a, b := pipe()
	x, _ := meet(t, a, b, Client, Server, as(me), as(me))
	if n := x.conn.wire.budget; n <= 0 || n >= MaxHandshakeBytes {
		t.Errorf("%d bytes left after the handshake", n)
	}
}

// However much a client says ahead, a server that has not judged it yet reads no more of it than of any stranger.
func TestEagerClient(t *testing.T) {
	me, you := NewIdentity(), NewIdentity()
	for name, server := range map[string]Config{"a friend": as(you, me), "a stranger": as(you)} {
		a, b := pipe()
		words := make([]byte, 5*MaxHandshakeBytes)
		said := make(chan struct{})
		ahead := &talker{end: a, at: len(words), said: said}
		slow := &listener{end: b, until: said}
		x, y := meet(t, ahead, slow, greeting(Client, words), func(ctx context.Context, raw net.Conn, c Config) (*Conn, error) {
			conn, err := Server(ctx, raw, c)
			if slow.n > MaxHandshakeBytes {
				t.Errorf("%d bytes of %s were read", slow.n, name)
			}
			return conn, err
		}, as(me, you), server)
		if (x.err == nil) != (name == "a friend") || (y.err == nil) != (name == "a friend") {
			t.Errorf("%s: %v, %v", name, x.err, y.err)
		}
		if y.err == nil {
			got := make([]byte, len(words))
			if _, err := io.ReadFull(y.conn, got); err != nil || !bytes.Equal(got, words) {
				t.Errorf("other words came: %v", err)
			}
		}
	}
}

// talker tells when so many bytes were written.
type talker struct {
	*end
	at, n int
	once  sync.Once
	said  chan struct{}
}

func (c *talker) Write(p []byte) (int, error) {
	n, err := c.end.Write(p)
	if c.n += n; c.n > c.at {
		c.once.Do(func() { close(c.said) })
	}
	return n, err
}

// listener reads no answer before the other end has said all it wants.
type listener struct {
	*end
	until <-chan struct{}
	n     int
}

func (c *listener) Read(p []byte) (int, error) {
	if len(c.writes) > 0 {
		<-c.until
	}
	n, err := c.end.Read(p)
	c.n += n
	return n, err
}

// What Greet says about the other end comes back as it is; that the connection ended meanwhile is this package's to tell.
func TestGreetRefuses(t *testing.T) {
	me, refusal := NewIdentity(), errors.New("that is another program")
	for _, f := range []handshakeFunc{Client, Server, Rendezvous} {
		c := as(me)
		c.Greet = func(io.ReadWriter) error { return refusal }
		a, b := pipe()
		if _, err := f(t.Context(), a, c); err != refusal { //nolint:errorlint // not wrapped either
			t.Errorf("%v", err)
		}
		c.Greet = func(rw io.ReadWriter) error { _, err := io.ReadFull(rw, make([]byte, 8)); return err }
		b.Close()
		_, err := f(t.Context(), a, c)
		wantError(t, err, KindNoConnection)
	}
}
