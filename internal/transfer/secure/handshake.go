package secure

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"time"
)

const (
	// HandshakeTimeout is how long a listener waits for a peer to prove who it is.
	HandshakeTimeout = 10 * time.Second

	// KeyLimit is how many bytes one connection may carry each way: its keys are not changed while it stands.
	KeyLimit = 128 << 30

	// MaxHandshakeBytes is how much is read from a peer that is not known yet, and all that need be kept of it.
	MaxHandshakeBytes = 64 << 10
)

// Config says who this end is and whom it accepts.
type Config struct {
	Identity Identity
	Trusts   func(PublicKey) bool // peers beside our own key; may be nil. Called by many goroutines at once.
	Protocol string               // what is spoken over the connection, with its version; both ends name the same
	// Greet, if it is not nil, is what both ends say in the clear before anything else. An error of it that is not the
	// connection's comes back as it is.
	Greet func(io.ReadWriter) error
}

func (c *Config) trusts(k PublicKey) bool {
	return k == c.Identity.Public() || c.Trusts != nil && c.Trusts(k)
}

// Client authenticates both ends of raw, which this end dialled, as far as this end can do that: it has accepted the other
// one and shown its own key. Whether the other end accepts that, Conn.Enter tells, before which the Conn is of no use. On an
// error, an *Error unless ctx was cancelled, raw is still open, so that the other end can be given the time to hear it.
// Where ctx has a deadline and lets it pass, that is KindNoConnection. Deadlines that raw has are not kept.
func Client(ctx context.Context, raw net.Conn, c Config) (*Conn, error) {
	return open(ctx, raw, &c, client)
}

// Server is Client for the end that listened. It returns once both ends have accepted each other; there is nothing to enter.
func Server(ctx context.Context, raw net.Conn, c Config) (*Conn, error) {
	conn, err := open(ctx, raw, &c, server)
	if err == nil {
		conn.wire.budget = -1
	}
	return conn, err
}

// Rendezvous is Client for two ends that dialled each other: each throws a dice in the clear, and the higher one is the
// client. Either has to Enter, whichever it is. Who changes a throw on the way makes two clients or two servers, which cannot come to terms.
func Rendezvous(ctx context.Context, raw net.Conn, c Config) (*Conn, error) {
	return open(ctx, raw, &c, func(w *wire, c *Config) (*Conn, error) {
		var own, peer [32]byte
		_, _ = rand.Read(own[:]) // never fails
		if _, err := w.Write(own[:]); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(w, peer[:]); err != nil {
			return nil, err
		}
		switch bytes.Compare(own[:], peer[:]) {
		case 1:
			return client(w, c)
		case -1:
			return server(w, c)
		}
		return nil, errors.New("this end's own words came back")
	})
}

// open runs a handshake within ctx.
func open(ctx context.Context, raw net.Conn, c *Config, handshake func(*wire, *Config) (*Conn, error)) (*Conn, error) {
	w := &wire{Conn: raw, budget: MaxHandshakeBytes}
	var conn *Conn
	err := w.within(ctx, c.Identity.Public(), func() (err error) {
		if c.Greet != nil {
			if err = c.Greet(w); err != nil && !errors.Is(err, errTooMuch) && w.failed == nil {
				return asItIs{err}
			}
		}
		if err == nil {
			conn, err = handshake(w, c)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// within takes a step of a handshake within ctx and judges how it failed.
func (w *wire) within(ctx context.Context, own PublicKey, step func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = w.SetDeadline(time.Unix(1, 0)) }) // ends what waits
	err := step()
	switch {
	case !stop():
		return gaveUp(ctx)
	case err != nil:
		return judge(err, w, own)
	}
	return nil
}

// asItIs is an error of Config.Greet about what the other end said.
type asItIs struct{ error }

func gaveUp(ctx context.Context) error {
	err := context.Cause(ctx)
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &Error{
		Kind: KindNoConnection, Msg: "the other end did not say who it is in time",
		Hint: "is udtcp running there, and is it the same version?", Err: err,
	}
}

// The server's first byte, which Conn.Enter hears.
const (
	wordRefused byte = 0
	wordWelcome byte = 1
)

func client(w *wire, c *Config) (*Conn, error) {
	conn := &Conn{wire: w, own: c.Identity.Public(), outside: true}
	err := conn.handshake(w, c, tls.Client, func() error {
		if !c.trusts(conn.peer) { // before our own key is shown
			return untrusted(conn.peer)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return conn, nil
}

func server(w *wire, c *Config) (*Conn, error) {
	conn := &Conn{wire: w, own: c.Identity.Public()}
	if err := conn.handshake(w, c, tls.Server, func() error { return nil }); err != nil {
		return nil, err
	}
	// Only now has the peer proved that the key is its own.
	trusted, word := c.trusts(conn.peer), wordRefused
	if trusted {
		word = wordWelcome
	}
	if _, err := conn.Write([]byte{word}); err != nil {
		return nil, err
	}
	if !trusted {
		return nil, untrusted(conn.peer)
	}
	return conn, nil
}

// handshake is TLS's own. check is called as soon as the peer's key is there; the peer has not proved yet that it is its
// own.
func (c *Conn) handshake(w *wire, cfg *Config, side func(net.Conn, *tls.Config) *tls.Conn, check func() error) error {
	cert, err := certificate(cfg.Identity)
	if err != nil {
		return err
	}
	c.Conn = side(w, &tls.Config{
		MinVersion: tls.VersionTLS13, MaxVersion: tls.VersionTLS13,
		Certificates:       []tls.Certificate{cert},
		NextProtos:         []string{cfg.Protocol},
		ClientAuth:         tls.RequireAnyClientCert,
		InsecureSkipVerify: true, // in favour of VerifyConnection
		VerifyConnection: func(s tls.ConnectionState) (err error) {
			if c.peer, err = peerKey(&s, cfg.Protocol); err != nil {
				return err
			}
			return check()
		},
		SessionTicketsDisabled:      true,
		Renegotiation:               tls.RenegotiateNever,
		DynamicRecordSizingDisabled: true, // small records are for web pages
	})
	return c.Handshake()
}

// peerKey is the key of the only certificate. Whether the peer has it is for TLS to find out.
func peerKey(s *tls.ConnectionState, protocol string) (PublicKey, error) {
	switch {
	case s.Version != tls.VersionTLS13 || s.DidResume:
		return PublicKey{}, errors.New("no fresh TLS 1.3 handshake")
	case s.NegotiatedProtocol != protocol:
		return PublicKey{}, fmt.Errorf("the other end does not speak %s", protocol)
	case len(s.PeerCertificates) != 1:
		return PublicKey{}, fmt.Errorf("%d certificates instead of one", len(s.PeerCertificates))
	}
	k, ok := s.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		return PublicKey{}, errors.New("the other end's key is no Ed25519 key")
	}
	return PublicKey(k), nil
}

// certificate wraps a key up for TLS. What else it says, nobody reads.
func certificate(id Identity) (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Unix(0, 0), NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, id.private.Public(), id.private)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: id.private}, nil
}

// alertUntrusted is what crypto/tls sends when VerifyConnection refuses.
const alertUntrusted = tls.AlertError(42) // bad_certificate

// judge makes an *Error of what ended a handshake.
func judge(err error, w *wire, own PublicKey) error {
	var e *Error
	var said asItIs
	var op *net.OpError
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &said):
		return said.error
	case errors.As(err, &op) && op.Op == "remote error": // an alert
		if op.Err.Error() == alertUntrusted.Error() {
			return notWelcome(own)
		}
		return &Error{Kind: KindAuth, Msg: "the other end broke the handshake off: " + op.Err.Error(), Hint: sameVersion, Err: err}
	case errors.Is(w.failed, errCut):
		return &Error{
			Kind: KindNoConnection, Msg: "the other end closed the connection before it said who it is",
			Hint: "what it says there tells why", Err: err,
		}
	case w.failed != nil && errors.Is(err, w.failed):
		return &Error{Kind: KindNoConnection, Msg: "the connection broke before the ends knew each other: " + err.Error(), Err: err}
	}
	return &Error{Kind: KindAuth, Msg: "what came is no sound handshake: " + brief(err), Hint: sameVersion, Err: err}
}

// brief is the text of an error, cut to a length that people read: crypto/x509 repeats what it could not parse, and that
// may be a whole certificate of a stranger's making.
func brief(err error) string {
	const most = 200 // bytes
	s := err.Error()
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

const sameVersion = "install the same version of udtcp at both ends"
