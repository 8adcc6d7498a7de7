package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// block is what is written and read at a time, as by udtcp perf.
const block = 256 << 10

// patience is for connecting and, twice over, for the receiver's count.
const patience = 15 * time.Second

// selfSigned makes an Ed25519 key and its certificate.
func selfSigned() (tls.Certificate, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"tlspeer"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, nil
}

func pinOf(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// serve receives from the first peer that connects.
func serve(cfg *udt.Config, out io.Writer) error {
	cert, err := selfSigned()
	if err != nil {
		return err
	}
	l, err := udt.Listen("udp", "127.0.0.1:0", cfg)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := say(out, event{Event: "listening", Address: l.Addr().String(), Pin: pinOf(cert.Certificate[0])}); err != nil {
		return err
	}
	raw, err := l.AcceptUDT()
	if err != nil {
		return err
	}
	defer raw.Close()
	c := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		return err
	}
	n, took, err := receive(c)
	if err != nil {
		return err
	}
	return say(out, ended(n, took, cipherOf(c)))
}

// receive reads until the sender's close_notify, answers with the count and
// waits for the sender to close.
func receive(c *tls.Conn) (n int64, took time.Duration, err error) {
	b := make([]byte, block)
	var first time.Time
	for {
		k, err := c.Read(b)
		if first.IsZero() {
			first = time.Now()
		}
		n += int64(k)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return n, 0, err
		}
	}
	took = time.Since(first)
	if _, err := c.Write(binary.BigEndian.AppendUint64(nil, uint64(n))); err != nil {
		return n, 0, err
	}
	// UDT has no half-close: who closes first must know that the other end has all it needs.
	if _, err := io.Copy(io.Discard, c.NetConn()); err != nil {
		return n, 0, err
	}
	return n, took, nil
}

// dial sends for the period and checks that as much arrived.
func dial(cfg *udt.Config, address, pin string, period time.Duration, out io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	raw, err := udt.Dial(ctx, "udp", address, cfg)
	if err != nil {
		return err
	}
	defer raw.Close()
	c := tls.Client(raw, &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // in favour of the pin
		VerifyConnection: func(s tls.ConnectionState) error {
			if got := pinOf(s.PeerCertificates[0].Raw); got != pin {
				return fmt.Errorf("the certificate's pin is %s, want %s", got, pin)
			}
			return nil
		},
	})
	if err := c.HandshakeContext(ctx); err != nil {
		return err
	}
	n, took, err := send(c, period)
	if err != nil {
		return err
	}
	if err := raw.Close(); err != nil {
		return err
	}
	return say(out, ended(n, took, cipherOf(c)))
}

func send(c *tls.Conn, period time.Duration) (n int64, took time.Duration, err error) {
	b := bytes.Repeat([]byte("udtcp"), block/5+1)[:block]
	start := time.Now()
	for time.Since(start) < period {
		k, err := c.Write(b)
		n += int64(k)
		if err != nil {
			return n, 0, err
		}
	}
	took = time.Since(start)
	if err := c.CloseWrite(); err != nil {
		return n, 0, err
	}
	// What is in the send buffer must first arrive.
	if err := c.SetReadDeadline(time.Now().Add(2 * patience)); err != nil {
		return n, 0, err
	}
	var count [8]byte
	if _, err := io.ReadFull(c, count[:]); err != nil {
		return n, 0, fmt.Errorf("the receiver's count: %w", err)
	}
	if got := binary.BigEndian.Uint64(count[:]); got != uint64(n) {
		return n, 0, fmt.Errorf("%d bytes were sent and %d came", n, got)
	}
	return n, took, nil
}

func cipherOf(c *tls.Conn) string { return tls.CipherSuiteName(c.ConnectionState().CipherSuite) }
