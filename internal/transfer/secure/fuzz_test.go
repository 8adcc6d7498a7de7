package secure

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"
	"unicode"
)

// The handshake is fuzzed in a bubble, where waiting takes no time, and with the same randomness each time. What crypto/tls
// does with it may change with the version of Go; the inputs are of use all the same.

// fixed is an identity that is the same in every run.
func fixed(seed byte) Identity {
	return Identity{ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))}
}

const (
	fuzzAllocated = 4 << 20 // bytes that two ends may allocate; a good handshake takes some 300 KiB
	fuzzMessage   = 400     // bytes of an error's text
)

// inBubble runs f with fixed randomness and bounds what it takes: no more memory than is fair, and no more time than a
// listener gives.
func inBubble(t *testing.T, f func(t *testing.T)) {
	cryptotest.SetGlobalRandom(t, 1)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f(t)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > fuzzAllocated {
			t.Errorf("%d bytes allocated", grown)
		}
		if d := time.Since(began); d > HandshakeTimeout {
			t.Errorf("it took %v", d)
		}
	})
}

// inTime is a handshake as a listener bounds it. An end that fails closes its side, as callers do.
func inTime(f handshakeFunc) handshakeFunc {
	return func(ctx context.Context, conn net.Conn, c Config) (*Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, HandshakeTimeout)
		defer cancel()
		x, err := f(ctx, conn, c)
		if err != nil {
			conn.Close()
		}
		return x, err
	}
}

// wantFailure checks that an error is what callers and people can do with.
func wantFailure(t *testing.T, err error) {
	t.Helper()
	var e *Error
	switch {
	case !errors.As(err, &e):
		t.Errorf("%v, want an *Error", err)
	case e.Kind != KindAuth && e.Kind != KindNoConnection:
		t.Errorf("kind %d: %v", e.Kind, err)
	case len(err.Error()) > fuzzMessage || strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }):
		t.Errorf("that is no line to print: %.2000q", err)
	}
}

// FuzzStranger: who says the same bytes over and over, whatever they are, and then leaves or falls silent, is never
// accepted, and not listened to for long.
func FuzzStranger(f *testing.F) {
	roles := []handshakeFunc{dial, Server, meetHalfway}
	for role := range byte(6) {
		f.Add(role, []byte{}, byte(0))
		f.Add(role, []byte("GET / HTTP/1.1\r\n\r\n"), byte(255))
		f.Add(role, append([]byte{22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff}, make([]byte, 0x3ffc)...), byte(20)) // a hello of 16 MiB
	}
	f.Fuzz(func(t *testing.T, role byte, words []byte, times byte) {
		said := bytes.Repeat(words[:min(len(words), 64<<10)], 1+int(times))
		said = said[:min(len(said), 3*MaxHandshakeBytes)]
		inBubble(t, func(t *testing.T) {
			a, b := pipe()
			if _, err := b.Write(said); err != nil {
				t.Fatal(err)
			}
			if role%2 == 0 {
				a.in.ended = true
			}
			_, err := inTime(roles[int(role/2)%len(roles)])(t.Context(), a, as(fixed(1), fixed(2)))
			wantFailure(t, err)
			if read := len(said) - len(a.in.buf); read > MaxHandshakeBytes {
				t.Errorf("%d bytes were read", read)
			}
			if len(said) == 0 {
				wantError(t, err, KindNoConnection)
			}
		})
	})
}

// FuzzCertificate: whatever a peer shows as its certificate, what counts is that it is one, and of the key that the peer
// has and we trust.
func FuzzCertificate(f *testing.F) {
	me, friend, thief := fixed(1), fixed(2), fixed(3)
	for _, id := range []Identity{friend, thief, me} {
		c, err := certificate(id)
		if err != nil {
			f.Fatal(err)
		}
		for mode := range byte(16) {
			f.Add(mode, c.Certificate[0])
		}
	}
	for _, name := range []string{"\x1b[2J", strings.Repeat("long", 5<<10)} {
		for mode := range byte(2) {
			f.Add(mode, misnamed(f, friend, ":"+name))
		}
	}
	f.Fuzz(func(t *testing.T, mode byte, der []byte) {
		shown := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: friend.private}
		if mode&2 != 0 {
			shown.PrivateKey = thief.private
		}
		if mode&4 != 0 {
			shown.Certificate = append(shown.Certificate, der)
		}
		if mode&8 != 0 {
			shown.Certificate = append(shown.Certificate, make([]byte, 2*MaxHandshakeBytes)) // TLS takes it
		}
		c := &tls.Config{
			NextProtos: []string{testProtocol}, InsecureSkipVerify: true, ClientAuth: tls.RequireAnyClientCert,
			GetCertificate:       func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return shown, nil },
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return shown, nil },
		}
		x509cert, err := x509.ParseCertificate(der)
		good := err == nil && mode&14 == 0 && friend.private.Public().(ed25519.PublicKey).Equal(x509cert.PublicKey)
		inBubble(t, func(t *testing.T) {
			a, b := pipe()
			ours, peer := dial, func(_ context.Context, conn net.Conn, _ Config) (*Conn, error) {
				s := tls.Server(conn, c)
				_, err := s.Write([]byte{wordWelcome})
				return nil, err
			}
			if mode&1 != 0 {
				ours, peer = Server, func(_ context.Context, conn net.Conn, _ Config) (*Conn, error) {
					_, err := io.ReadFull(tls.Client(conn, c), make([]byte, 1))
					return nil, err
				}
			}
			stranger := &tap{end: b}
			x, _ := meet(t, a, stranger, inTime(ours), peer, as(me, friend), Config{})
			if read := len(stranger.all) - len(a.in.buf); read > MaxHandshakeBytes {
				t.Errorf("%d bytes were read", read)
			}
			switch {
			case good != (x.err == nil):
				t.Errorf("the certificate is good: %v; it is refused: %v", good, x.err)
			case x.err != nil:
				wantFailure(t, x.err)
			case x.conn.PeerKey() != friend.Public():
				t.Errorf("%v is taken for %v", friend.Public(), x.conn.PeerKey())
			}
		})
	})
}

// misnamed is a certificate for a URI that is none, which crypto/x509 repeats in its error.
func misnamed(f *testing.F, id Identity, uri string) []byte {
	f.Helper()
	names, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(uri)}}) // RFC 5280, section 4.2.1.6
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber:    big.NewInt(1),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: names}},
	}, &x509.Certificate{}, id.private.Public(), id.private)
	if err != nil {
		f.Fatal(err)
	}
	return der
}
