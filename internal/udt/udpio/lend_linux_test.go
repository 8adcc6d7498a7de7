package udpio

import (
	"bytes"
	"errors"
	"net"
	"testing"
)

// library is a Lender that tells of what it does.
type library struct{ lent, back chan int }

func (l library) Lend(ms []Message) {
	for i := range ms {
		ms[i].Buf = make([]byte, MaxRead)
	}
	l.lent <- len(ms)
}

func (l library) TakeBack(ms []Message) {
	for i := range ms {
		ms[i].Buf = nil
	}
	l.back <- len(ms)
}

// A read that waits has no buffers; one that has read keeps them for the next.
func TestReadBatchLent(t *testing.T) {
	s, ok := listen(t, loop4, Config{}).(LentReader)
	if !ok {
		t.Skip("the portable path reads into the caller's own buffers")
	}
	reader, from := s.(Socket), listen(t, loop4, Config{})
	l := library{make(chan int, 9), make(chan int, 9)}
	ms := make([]Message, 4)
	results := make(chan error)
	read := func() {
		n, err := s.ReadBatchLent(ms, l)
		if err == nil && (n != 1 || !bytes.Equal(ms[0].Buf, []byte("payload")) || ms[0].Addr != from.LocalAddr()) {
			err = errors.New("read something else")
		}
		results <- err
	}
	for range 2 {
		go read()
		<-l.back // it waits
		if len(l.back) > 0 || len(l.lent) != 1 {
			t.Errorf("lent %d times, got back %d times more", len(l.lent), len(l.back))
		}
		<-l.lent
		if err := from.WriteBatch([]Message{{Addr: reader.LocalAddr(), Buf: []byte("payload")}}); err != nil {
			t.Fatal(err)
		}
		if err := <-results; err != nil {
			t.Fatal(err)
		}
		if n := <-l.lent; n != len(ms) {
			t.Errorf("%d buffers lent for %d messages", n, len(ms))
		}
		for i := range ms { // as if the caller had given all back
			ms[i].Buf = nil
		}
	}
	go read()
	<-l.back
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-results; !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
