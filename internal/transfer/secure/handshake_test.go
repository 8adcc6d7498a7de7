package secure

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const testProtocol = "test/1"

func as(id Identity, trusted ...Identity) Config {
	return Config{Identity: id, Protocol: testProtocol, Trusts: func(k PublicKey) bool {
		for _, t := range trusted {
			if t.Public() == k {
				return true
			}
		}
		return false
	}}
}

type handshakeFunc func(context.Context, net.Conn, Config) (*Conn, error)

// entered is a handshake of an end that dials, with its Enter.
func entered(f handshakeFunc) handshakeFunc {
	return func(ctx context.Context, raw net.Conn, c Config) (*Conn, error) {
		conn, err := f(ctx, raw, c)
		if err == nil {
			err = conn.Enter(ctx, nil)
		}
		return conn, err
	}
}

var dial, meetHalfway = entered(Client), entered(Rendezvous)

// outcome is what one end's handshake came to.
type outcome struct {
	conn *Conn
	err  error
}

// meet lets two ends shake hands over a and b. An end that fails closes its side, as callers do.
func meet(t *testing.T, a, b net.Conn, f, g handshakeFunc, ca, cb Config) (x, y outcome) {
	t.Helper()
	var wg sync.WaitGroup
	run := func(o *outcome, conn net.Conn, f handshakeFunc, c Config) {
		if o.conn, o.err = f(t.Context(), conn, c); o.err != nil {
			conn.Close()
		}
	}
	wg.Go(func() { run(&x, a, f, ca) })
	wg.Go(func() { run(&y, b, g, cb) })
	wg.Wait()
	return x, y
}

// talk sends some bytes each way and says whether the same came out.
func talk(t *testing.T, x, y *Conn) {
	t.Helper()
	for _, c := range [][2]*Conn{{x, y}, {y, x}} {
		var wg sync.WaitGroup
		data := bytes.Repeat([]byte("some words "), 100_000)
		wg.Go(func() {
			if n, err := c[0].Write(data); err != nil || n != len(data) {
				t.Errorf("%d, %v", n, err)
			}
		})
		got := make([]byte, len(data))
		if _, err := io.ReadFull(c[1], got); err != nil || !bytes.Equal(got, data) {
			t.Errorf("other words came: %v", err)
		}
		wg.Wait()
	}
}

func TestWhoIsAccepted(t *testing.T) {
	me, you, other := NewIdentity(), NewIdentity(), NewIdentity()
	for name, c := range map[string]struct{ client, server Config }{
		"one user at both ends": {as(me), as(me)}, "each trusts the other": {as(me, other, you), as(you, me)},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pipe()
			x, y := meet(t, a, b, dial, Server, c.client, c.server)
			if x.err != nil || y.err != nil {
				t.Fatalf("%v, %v", x.err, y.err)
			}
			if x.conn.PeerKey() != c.server.Identity.Public() || y.conn.PeerKey() != c.client.Identity.Public() {
				t.Error("the peers' keys are mixed up")
			}
			talk(t, x.conn, y.conn)
		})
	}
}

// Whoever refuses names the key and the command that would trust it; whoever is refused hears which one to run there.
func TestWhoIsRefused(t *testing.T) {
	me, you, other := NewIdentity(), NewIdentity(), NewIdentity()
	trust := func(id Identity) string { return "udtcp key trust " + id.Public().String() }

	for name, c := range map[string]Config{"knows nobody": as(me), "knows another": as(me, other)} {
		a, b := pipe()
		x, y := meet(t, a, b, dial, Server, c, as(you, me))
		t.Log("client that", name)
		wantError(t, x.err, KindAuth, "not trusted here", trust(you))
		wantError(t, y.err, KindAuth, "does not trust this end", "run there: "+trust(you))
		// The server was not told who it was that refused it.
		if strings.Contains(y.err.Error(), me.Public().String()) {
			t.Error("the client's key leaked")
		}
	}
	for name, c := range map[string]Config{"knows nobody": as(you), "knows another": as(you, other)} {
		a, b := pipe()
		x, y := meet(t, a, b, dial, Server, as(me, you), c)
		t.Log("server that", name)
		wantError(t, y.err, KindAuth, "not trusted here", trust(me))
		wantError(t, x.err, KindAuth, "does not trust this end", "run there: "+trust(me))
	}
}

// A key that the user trusts is of no use to who does not have its private half.
func TestKeyIsProved(t *testing.T) {
	me, you, thief := NewIdentity(), NewIdentity(), NewIdentity()
	stolen := Identity{append(bytes.Clone(thief.private[:32]), you.private[32:]...)} // your public key, another's private one
	a, b := pipe()
	x, y := meet(t, a, b, dial, Server, as(me, you), as(stolen, me))
	if x.err == nil || y.err == nil {
		t.Errorf("the server passes for another: %v, %v", x.err, y.err)
	}
	a, b = pipe()
	x, y = meet(t, a, b, dial, Server, as(stolen, me), as(me, you))
	if x.err == nil || y.err == nil {
		t.Errorf("the client passes for another: %v, %v", x.err, y.err)
	}
}

// Two ends with one key, whom somebody joined in the wrong roles, do not take each other for the other end.
func TestRolesDoNotMix(t *testing.T) {
	me := NewIdentity()
	a, b := pipe()
	x, y := meet(t, a, b, dial, dial, as(me), as(me))
	wantError(t, errors.Join(x.err), KindAuth)
	wantError(t, errors.Join(y.err), KindAuth)

	synctest.Test(t, func(t *testing.T) {
		a, b := pipe()
		ctx, cancel := context.WithTimeout(t.Context(), HandshakeTimeout)
		defer cancel()
		late := func(_ context.Context, conn net.Conn, c Config) (*Conn, error) { return Server(ctx, conn, c) }
		x, y := meet(t, a, b, late, late, as(me), as(me))
		if x.err == nil || y.err == nil {
			t.Errorf("two servers: %v, %v", x.err, y.err)
		}
	})
}

// An end that hears its own words, at once or from a proxy's memory, knows nobody.
func TestReflection(t *testing.T) {
	me := NewIdentity()
	for name, f := range map[string]handshakeFunc{"client": dial, "rendezvous": meetHalfway} {
		a, b := pipe()
		go func() { _, _ = io.Copy(b, b) }()
		_, err := f(t.Context(), a, as(me))
		a.Close()
		t.Log(name, err)
		wantError(t, err, KindAuth)
	}
}

func TestRendezvous(t *testing.T) {
	me, you := NewIdentity(), NewIdentity()
	for range 8 {
		a, b := pipe()
		x, y := meet(t, a, b, meetHalfway, meetHalfway, as(me, you), as(you, me))
		if x.err != nil || y.err != nil {
			t.Fatalf("%v, %v", x.err, y.err)
		}
		talk(t, x.conn, y.conn)
	}
	a, b := pipe()
	x, y := meet(t, a, b, meetHalfway, meetHalfway, as(me, you), as(you))
	wantError(t, x.err, KindAuth)
	wantError(t, y.err, KindAuth)
}

// tap is a connection that keeps what is written to it.
type tap struct {
	*end
	mu  sync.Mutex
	all []byte
}

func (c *tap) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.all = append(c.all, p...)
	c.mu.Unlock()
	return c.end.Write(p)
}

// spoken gives what client and server say in a good handshake.
func spoken(t *testing.T, c, s Config) (client, server []byte) {
	t.Helper()
	a, b := pipe()
	ta, tb := &tap{end: a}, &tap{end: b}
	x, y := meet(t, ta, tb, dial, Server, c, s)
	if x.err != nil || y.err != nil {
		t.Fatalf("%v, %v", x.err, y.err)
	}
	return ta.all, tb.all
}

// stride is how many bytes of a handshake lie between those that are tried: enough for every field, in bearable time.
const stride = 3

// A handshake that was recorded is worth nothing the second time, to either end, whole or cut off.
func TestReplayedHandshake(t *testing.T) {
	me := NewIdentity()
	client, server := spoken(t, as(me), as(me))
	for at := 0; at <= len(client); at += stride {
		a, b := pipe()
		if _, err := a.Write(client[:at]); err != nil {
			t.Fatal(err)
		}
		a.out.set(func() { a.out.ended = true })
		if conn, err := Server(t.Context(), b, as(me)); err == nil {
			t.Fatalf("the server takes %d bytes of an old handshake for %v", at, conn.PeerKey())
		}
	}
	for at := 0; at <= len(server); at += stride {
		a, b := pipe()
		if _, err := b.Write(server[:at]); err != nil {
			t.Fatal(err)
		}
		b.out.set(func() { b.out.ended = true })
		if conn, err := dial(t.Context(), a, as(me)); err == nil {
			t.Fatalf("the client takes %d bytes of an old handshake for %v", at, conn.PeerKey())
		}
	}
}

// strangers are peers that know TLS, and are none of ours.
func TestStrangers(t *testing.T) {
	me := NewIdentity()
	good, err := certificate(me)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	base := func(change func(*tls.Config)) *tls.Config {
		c := &tls.Config{
			Certificates: []tls.Certificate{good}, NextProtos: []string{testProtocol},
			InsecureSkipVerify: true, ClientAuth: tls.RequireAnyClientCert,
		}
		change(c)
		return c
	}
	for name, c := range map[string]*tls.Config{
		"TLS 1.2":          base(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }),
		"another protocol": base(func(c *tls.Config) { c.NextProtos = []string{"h2"} }),
		"another version":  base(func(c *tls.Config) { c.NextProtos = []string{"test/2"} }),
		"no protocol":      base(func(c *tls.Config) { c.NextProtos = nil }),
		"no certificate":   base(func(c *tls.Config) { c.Certificates = nil }),
		"two certificates": base(func(c *tls.Config) {
			c.Certificates[0].Certificate = [][]byte{good.Certificate[0], good.Certificate[0]}
		}),
		"an ECDSA key":       base(func(c *tls.Config) { c.Certificates[0] = selfSigned(t, ec.Public(), ec, 0) }),
		"a long certificate": base(func(c *tls.Config) { c.Certificates[0] = selfSigned(t, me.private.Public(), me.private, 100<<10) }),
	} {
		t.Run(name, func(t *testing.T) {
			stranger := func(side func(net.Conn, *tls.Config) *tls.Conn) handshakeFunc {
				return func(ctx context.Context, conn net.Conn, _ Config) (*Conn, error) {
					s := side(conn, c)
					err := s.HandshakeContext(ctx)
					if err == nil {
						_, err = io.ReadFull(s, make([]byte, 1)) // what we think of it
					}
					return nil, err
				}
			}
			a, b := pipe()
			_, y := meet(t, a, b, stranger(tls.Client), Server, Config{}, as(me))
			wantError(t, y.err, KindAuth)
			a, b = pipe()
			x, _ := meet(t, a, b, dial, stranger(tls.Server), as(me), Config{})
			wantError(t, x.err, KindAuth)
			t.Log(y.err, "|", x.err)
		})
	}
}

// selfSigned makes a certificate of any key, with that much ballast.
func selfSigned(t *testing.T, public, private any, ballast int) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), NotAfter: time.Now().Add(time.Hour),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, ballast)}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}

// The validity that a certificate claims, and what it calls its owner, count for nothing.
func TestCertificateIsOnlyAKey(t *testing.T) {
	me := NewIdentity()
	template := &x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: time.Unix(1, 0), NotAfter: time.Unix(2, 0), DNSNames: []string{"x"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, me.private.Public(), me.private)
	if err != nil {
		t.Fatal(err)
	}
	a, b := pipe()
	_, y := meet(t, a, b, func(ctx context.Context, conn net.Conn, _ Config) (*Conn, error) {
		c := tls.Client(conn, &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: me.private}},
			NextProtos:   []string{testProtocol}, InsecureSkipVerify: true,
		})
		return nil, c.HandshakeContext(ctx)
	}, Server, Config{}, as(me))
	if y.err != nil || y.conn.PeerKey() != me.Public() {
		t.Errorf("%v", y.err)
	}
}

// No ticket is handed out that could stand for a key later, and what the client keeps of a session is not used.
func TestNoTickets(t *testing.T) {
	me := NewIdentity()
	cert, err := certificate(me)
	if err != nil {
		t.Fatal(err)
	}
	cache := &countingCache{}
	for range 2 {
		a, b := pipe()
		meet(t, a, b, func(ctx context.Context, conn net.Conn, _ Config) (*Conn, error) {
			c := tls.Client(conn, &tls.Config{
				Certificates: []tls.Certificate{cert}, NextProtos: []string{testProtocol}, InsecureSkipVerify: true, ClientSessionCache: cache,
			})
			if err := c.HandshakeContext(ctx); err != nil {
				t.Error(err)
			}
			if n, err := io.ReadFull(c, make([]byte, 1)); err != nil || c.ConnectionState().DidResume {
				t.Errorf("%d, %v, resumed %v", n, err, c.ConnectionState().DidResume)
			}
			return nil, io.EOF
		}, Server, Config{}, as(me))
	}
	if cache.puts != 0 {
		t.Errorf("%d tickets", cache.puts)
	}
}

type countingCache struct{ puts int }

func (c *countingCache) Get(string) (*tls.ClientSessionState, bool) { return nil, false }
func (c *countingCache) Put(_ string, s *tls.ClientSessionState)    { c.puts++ }

// What is no TLS at all is refused at once, and no more is read of it than is allowed.
func TestGarbage(t *testing.T) {
	me := NewIdentity()
	noise := make([]byte, 200<<10)
	_, _ = rand.Read(noise)
	records := bytes.Repeat(append([]byte{22, 3, 1, 0x40, 0}, make([]byte, 0x4000)...), 10) // empty handshake messages without end
	for name, b := range map[string][]byte{
		"noise": noise, "text": []byte("GET / HTTP/1.1\r\n\r\n"), "records": records, "zeros": make([]byte, 200<<10),
		"hello of 16 MiB": append([]byte{22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff}, make([]byte, 100<<10)...),
	} {
		for _, f := range []handshakeFunc{dial, Server} {
			x, y := pipe()
			if _, err := y.Write(b); err != nil {
				t.Fatal(err)
			}
			y.out.set(func() { y.out.ended = true })
			_, err := f(t.Context(), x, as(me))
			t.Log(name, err)
			wantError(t, err, KindAuth)
			if left := len(x.in.buf); len(b)-left > MaxHandshakeBytes {
				t.Errorf("%d bytes were read", len(b)-left)
			}
		}
	}
}

// Who says nothing is waited for as long as the context says.
func TestSilence(t *testing.T) {
	me := NewIdentity()
	for _, f := range []handshakeFunc{dial, Server, meetHalfway} {
		synctest.Test(t, func(t *testing.T) {
			a, _ := pipe()
			ctx, cancel := context.WithTimeout(t.Context(), HandshakeTimeout)
			defer cancel()
			began := time.Now()
			_, err := f(ctx, a, as(me))
			wantError(t, err, KindNoConnection, "in time")
			if d := time.Since(began); d != HandshakeTimeout {
				t.Errorf("after %v", d)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			a, _ := pipe()
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			if _, err := f(ctx, a, as(me)); !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
		})
		a, b := pipe()
		b.Close()
		_, err := f(t.Context(), a, as(me))
		wantError(t, err, KindNoConnection)
	}
}

// Bytes all over the handshake are changed in turn. Either nobody is authenticated, or the change was to a byte that means
// nothing, and each end has the right peer.
func TestChangedHandshake(t *testing.T) {
	if testing.Short() {
		t.Skip("hundreds of handshakes")
	}
	me, you := NewIdentity(), NewIdentity()
	client, server := spoken(t, as(me, you), as(you, me))
	meant := 0
	for toServer, n := range map[bool]int{true: len(client), false: len(server)} {
		for at := 0; at < n; at += stride {
			// A length that grew makes an end wait: in the bubble that takes no time.
			synctest.Test(t, func(t *testing.T) {
				a, b := pipe()
				fa, fb := &flipper{end: a, at: -1}, &flipper{end: b, at: -1}
				if toServer {
					fa.at = at
				} else {
					fb.at = at
				}
				within := func(f handshakeFunc) handshakeFunc {
					return func(ctx context.Context, conn net.Conn, c Config) (*Conn, error) {
						ctx, cancel := context.WithTimeout(ctx, HandshakeTimeout)
						defer cancel()
						return f(ctx, conn, c)
					}
				}
				x, y := meet(t, fa, fb, within(dial), within(Server), as(me, you), as(you, me))
				if x.err != nil {
					meant++
				}
				if x.err == nil && y.err != nil {
					t.Errorf("byte %d (to the server: %v): the client alone is content: %v", at, toServer, y.err)
				}
				if x.err == nil && (x.conn.PeerKey() != you.Public() || y.conn.PeerKey() != me.Public()) {
					t.Errorf("byte %d (to the server: %v): the wrong peer", at, toServer)
				}
			})
		}
	}
	if all := (len(client) + len(server)) / stride; meant < all*9/10 {
		t.Errorf("of %d bytes only %d mean something", all, meant)
	}
}

// flipper changes one byte on its way.
type flipper struct {
	*end
	at, n int
}

func (f *flipper) Write(p []byte) (int, error) {
	b := bytes.Clone(p)
	if i := f.at - f.n; f.at >= 0 && i >= 0 && i < len(b) {
		b[i] ^= 1
	}
	f.n += len(b)
	return f.end.Write(b)
}

func TestEd25519KeySizes(t *testing.T) {
	if len(PublicKey{}) != ed25519.PublicKeySize || ed25519.SeedSize != 32 {
		t.Error("the text of keys counts on 32 bytes each")
	}
}
