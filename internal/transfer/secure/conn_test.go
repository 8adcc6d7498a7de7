package secure

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"syscall"
	"testing"
)

// connected is a pair that has accepted each other, and what is below.
func connected(t *testing.T) (x, y *Conn, a, b *end) {
	t.Helper()
	me := NewIdentity()
	a, b = pipe()
	p, q := meet(t, a, b, dial, Server, as(me), as(me))
	if p.err != nil || q.err != nil {
		t.Fatalf("%v, %v", p.err, q.err)
	}
	return p.conn, q.conn, a, b
}

// The end that the other end meant is one thing, a connection that stops another.
func TestEndAndTruncation(t *testing.T) {
	x, y, _, _ := connected(t)
	if _, err := x.Write([]byte("all")); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}
	if b, err := io.ReadAll(y); err != nil || string(b) != "all" {
		t.Errorf("%q, %v", b, err)
	}

	// Between two records.
	x, y, a, _ := connected(t)
	if _, err := x.Write(make([]byte, 5<<14)); err != nil {
		t.Fatal(err)
	}
	a.Close()
	if got, err := io.ReadAll(y); !errors.Is(err, io.ErrUnexpectedEOF) || len(got) != 5<<14 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// However much of the last record is missing, it is no end.
func TestTruncatedRecord(t *testing.T) {
	const payload = 100
	for cut := 0; ; cut++ {
		x, y, a, b := connected(t)
		if _, err := x.Write(make([]byte, payload)); err != nil {
			t.Fatal(err)
		}
		size := len(b.in.buf)
		a.Close()
		if cut > size {
			return
		}
		b.in.set(func() { b.in.buf = b.in.buf[:size-cut] })
		got, err := io.ReadAll(y)
		if !errors.Is(err, io.ErrUnexpectedEOF) || len(got) != 0 && len(got) != payload {
			t.Fatalf("%d bytes cut: %d bytes, %v", cut, len(got), err)
		}
	}
}

// Records are as long as they may be from the first on, so that few of them end within a packet.
func TestRecordsAreLong(t *testing.T) {
	x, y, a, _ := connected(t)
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = byte(i * i >> 8)
	}
	a.writes = nil
	var wg sync.WaitGroup
	wg.Go(func() {
		if n, err := x.Write(data); err != nil || n != len(data) {
			t.Errorf("%d, %v", n, err)
		}
	})
	got := make([]byte, len(data))
	if _, err := io.ReadFull(y, got); err != nil || !bytes.Equal(got, data) {
		t.Errorf("other bytes came: %v", err)
	}
	wg.Wait()
	if n := len(a.writes); n != len(data)>>14 {
		t.Errorf("%d writes: %v", n, a.writes)
	}
}

// After a write that failed nothing more is written, which the other end could not put together.
func TestBrokenWrite(t *testing.T) {
	x, _, a, b := connected(t)
	b.Close()
	for range 2 {
		if n, err := x.Write(make([]byte, 100<<10)); !errors.Is(err, syscall.EPIPE) || n != 0 {
			t.Errorf("%d, %v", n, err)
		}
	}
	a.out.set(func() { a.out.ended = false })
	if _, err := x.Write(make([]byte, 1)); err == nil {
		t.Error("written after a gap")
	}
	x.Close()
}
