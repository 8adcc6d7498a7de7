package udt_test

import (
	"errors"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// A Poller tells of whole messages, and of room for the one that had none.
// Reading the last message ends its being readable, as it does not in libudt.
func TestPollerMessages(t *testing.T) {
	simulate(t, simConfig{client: smallMessages, server: smallMessages}, func(t *testing.T, s *sim) {
		client, err := s.client.StartDial(s.server.addr, udt.Config{})
		if err != nil {
			t.Fatal(err)
		}
		ordered := udt.MessageOptions{InOrder: true}
		wantError(t, client.TryWriteMessage([]byte("early"), ordered), udt.EASYNCSND, udt.ErrWouldBlock)
		waiting := start(func() (int, error) { return 1, send(client, []byte("one")) })
		p := newPolled(t)
		defer p.Close()
		p.add(client, udt.PollOut|udt.PollErr)
		p.want(time.Minute, udt.Event{Member: client, Events: udt.PollOut})
		if o := <-waiting; o.err != nil {
			t.Fatal(o.err)
		}
		server := s.accept()
		p.add(server, udt.PollIn)
		if err := p.Modify(client, 0); err != nil {
			t.Fatal(err)
		}
		in := udt.Event{Member: server, Events: udt.PollIn}
		p.want(time.Minute, in)
		p.want(0, in)
		buf := make([]byte, 1<<20)
		if n, err := server.TryReadMessage(buf); err != nil || string(buf[:n]) != "one" {
			t.Errorf("%q, %v", buf[:n], err)
		}
		p.none()
		_, err = server.TryReadMessage(buf)
		wantError(t, err, udt.EASYNCRCV, udt.ErrWouldBlock)

		// Of a message of many packets there is nothing before it is whole.
		big := noise(1, client.MaxMessage())
		if err := client.TryWriteMessage(big, ordered); err != nil {
			t.Fatal(err)
		}
		wantError(t, client.TryWriteMessage(big, ordered), udt.EASYNCSND, udt.ErrWouldBlock)
		p.want(time.Minute, in)
		if n, err := server.TryReadMessage(buf); err != nil || n != len(big) {
			t.Errorf("%d bytes, %v", n, err)
		}
		if err := p.Modify(client, udt.PollOut); err != nil {
			t.Fatal(err)
		}
		p.want(time.Minute, udt.Event{Member: client, Events: udt.PollOut})
		if err := client.TryWriteMessage(big, ordered); err != nil {
			t.Errorf("told of room: %v", err)
		}
		if err := p.Modify(client, 0); err != nil {
			t.Fatal(err)
		}
		p.want(time.Minute, in)
		if n, err := server.TryReadMessage(buf[:10]); n != 10 || !errors.Is(err, udt.ErrTruncated) {
			t.Errorf("%d bytes, %v", n, err)
		}

		wantError(t, client.TryWriteMessage(make([]byte, len(big)+1), ordered), udt.ELARGEMSG, udt.ErrTooLarge)
		_, err = client.TryRead(buf)
		wantError(t, err, udt.EDGRAMILL, udt.ErrMessages)
		_, err = client.TryWrite(buf)
		wantError(t, err, udt.EDGRAMILL, udt.ErrMessages)
		client.Abort()
		server.Abort()
	})
}
