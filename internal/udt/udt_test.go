package udt_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// loopback returns both ends of a connection over real sockets.
func loopback(t testing.TB, cfg *udt.Config) (client, server *udt.Conn) {
	t.Helper()
	l, err := udt.Listen("udp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan *udt.Conn, 1)
	go func() {
		c, err := l.AcceptUDT()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err = udt.Dial(ctx, "udp", l.Addr().String(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	server = <-accepted
	return client, server
}

func TestLoopback(t *testing.T) {
	client, server := loopback(t, nil)
	data := bytes.Repeat([]byte("0123456789abcdef"), 4<<16)
	go func() {
		if _, err := client.Write(data); err != nil {
			t.Error(err)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}()
	got, err := io.ReadAll(server)
	if err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256(got) != sha256.Sum256(data) {
		t.Errorf("got %d other bytes", len(got))
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
}

func BenchmarkLoopback(b *testing.B) {
	client, server := loopback(b, nil)
	done := make(chan error, 1)
	go func() {
		buf := make([]byte, 1<<20)
		for {
			if _, err := server.Read(buf); err != nil {
				done <- err
				return
			}
		}
	}()
	buf := make([]byte, 1<<20)
	b.SetBytes(1 << 20)
	for b.Loop() {
		if _, err := client.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	if err := client.Close(); err != nil {
		b.Fatal(err)
	}
	<-done
	if err := server.Close(); err != nil {
		b.Error(err)
	}
	b.ReportMetric(float64(client.Stats(false).PktRetransTotal), "retrans")
	b.ReportMetric(float64(client.Stats(false).MsRTT), "msRTT")
}
