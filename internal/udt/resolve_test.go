package udt_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// nameServer answers questions for IPv4 addresses with these and all others
// with none (RFC 1035, section 4). It serves one connection, in the framing of
// DNS over TCP.
func nameServer(c net.Conn, addrs ...[4]byte) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		q := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, q); err != nil {
			return
		}
		end := 12 // of the question
		for q[end] != 0 {
			end += 1 + int(q[end])
		}
		end += 5
		const typeA, classIN = 1, 1
		found := addrs
		if binary.BigEndian.Uint16(q[end-4:]) != typeA {
			found = nil
		}
		a := append(binary.BigEndian.AppendUint16(nil, 0), q[:2]...) // length to come, ID
		a = append(a, 0x81, 0x80, 0, 1, 0, byte(len(found)), 0, 0, 0, 0)
		a = append(a, q[12:end]...)
		for _, ip := range found {
			a = append(a, 0xc0, 12, 0, typeA, 0, classIN, 0, 0, 0, 60, 0, 4)
			a = append(a, ip[:]...)
		}
		binary.BigEndian.PutUint16(a, uint16(len(a)-2))
		if _, err := c.Write(a); err != nil {
			return
		}
	}
}

// resolveTo makes every name resolve to these addresses during the test.
func resolveTo(t *testing.T, addrs ...[4]byte) {
	t.Helper()
	was := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = was })
	net.DefaultResolver = &net.Resolver{
		PreferGo: true,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go nameServer(far, addrs...)
			return near, nil
		},
	}
}

// All addresses of a name are tried, within the one time limit.
func TestDialTriesAllAddresses(t *testing.T) {
	l := listening(t, "udp", "127.0.0.1:0", nil)
	resolveTo(t, [4]byte{127, 0, 0, 2}, [4]byte{127, 0, 0, 1}) // nobody listens on the first
	client, server := joined(t, l, "udp", "two.example:"+portOf(l), &udt.Config{ConnectTimeout: 2 * time.Second})
	exchange(t, client, server, 1000, 1)
	l.Close()

	begin := time.Now()
	_, err := udt.Dial(t.Context(), "udp", "two.example:"+portOf(l), &udt.Config{ConnectTimeout: 2 * time.Second})
	wantError(t, err, udt.ENOSERVER, udt.ErrNoServer)
	wantTook(t, begin, 2*time.Second, 4*time.Second) // not so long for each
	for _, want := range []string{"127.0.0.2", "127.0.0.1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q says nothing of %s", err, want)
		}
	}
}

func TestDialUnknownName(t *testing.T) {
	resolveTo(t)
	_, err := udt.Dial(t.Context(), "udp", "none.example:1", nil)
	wantError(t, err, udt.ECONNSETUP)
	var notFound *net.DNSError
	if !errors.As(err, &notFound) {
		t.Errorf("%v is not a DNS error", err)
	}
}
