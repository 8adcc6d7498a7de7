package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// keyed is an end of a wire that knows the other's key.
type keyed struct {
	*wireEnd
	key string
}

func (k keyed) PeerKey() string { return k.key }

// TestStolenSession: who has learned the identities of a session, as an end does that its peer was once led to, gets no
// further with them under a key of its own, and the session goes on with its own peer.
func TestStolenSession(t *testing.T) {
	content := randomBytes(1, 3*minChunk)
	_, so := oneFile(t, content)
	dst := t.TempDir()
	hub := NewHub(false)
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		first, second, third := newWire(1<<16), newWire(1<<16), newWire(1<<16)
		first.a.out.cutAt = minChunk
		var said []byte
		first.a.out.alter = func(_ int64, b []byte) {
			if said == nil {
				said = append(said, b...)
			}
		}
		waiting := make(chan struct{})
		wg.Go(func() {
			_, err := receive(t.Context(), keyed{first.b, "own"}, RecvOptions{
				Dir: dst, Retry: Retry{For: time.Minute, Hub: hub}, OnReconnect: func(Reconnecting) { close(waiting) },
			}, openUnsynced)
			if err != nil {
				t.Error(err)
			}
		})
		so.Retry = Retry{For: time.Minute, Connect: func(context.Context) (io.ReadWriteCloser, error) {
			<-waiting
			var stolen helloBody
			_, hello, err := newFrameReader(bytes.NewReader(said[preludeLen:])).next()
			if err == nil {
				err = parseBody(frameHello, hello, &stolen)
			}
			if err != nil {
				t.Fatal(err)
			}
			stolen.Attempt++
			wg.Go(func() { goOn(t, hub, keyed{second.b, "thief's"}) })
			thief := newScript(t, second.a)
			first, err := appendFrame(prelude(), frameHello, &stolen)
			if err != nil {
				t.Fatal(err)
			}
			thief.write(first)
			var b [preludeLen]byte
			if err := thief.fr.raw(b[:]); err != nil {
				t.Fatal(err)
			}
			thief.expectFail(KindPolicy)
			second.a.Close()
			wg.Go(func() { goOn(t, hub, keyed{third.b, "own"}) })
			return third.a, nil
		}}
		if _, err := Send(t.Context(), first.a, so); err != nil {
			t.Error(err)
		}
		third.a.Close()
		wg.Wait()
	})
	is(t, dst, "f", content)
}

// TestLedAstray: an end that dials again and comes to one with another key says nothing to it, and tries on.
func TestLedAstray(t *testing.T) {
	content := randomBytes(1, 3*minChunk)
	_, so := oneFile(t, content)
	dst := t.TempDir()
	hub := NewHub(false)
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		first, last := newWire(1<<16), newWire(1<<16)
		first.a.out.cutAt = minChunk
		wg.Go(func() {
			_, err := receive(t.Context(), first.b, RecvOptions{Dir: dst, Retry: Retry{For: time.Minute, Hub: hub}}, openUnsynced)
			if err != nil {
				t.Error(err)
			}
		})
		var messages []string
		so.OnMessage = func(line string) { messages = append(messages, line) }
		var strangers []*wire
		so.Retry = Retry{For: time.Minute, Connect: func(context.Context) (io.ReadWriteCloser, error) {
			if len(strangers) < 2 {
				w := newWire(1 << 16)
				strangers = append(strangers, w)
				return keyed{w.a, "an\x1bother"}, nil
			}
			wg.Go(func() { goOn(t, hub, last.b) })
			return keyed{last.a, "own"}, nil
		}}
		if _, err := Send(t.Context(), keyed{first.a, "own"}, so); err != nil {
			t.Error(err)
		}
		last.a.Close()
		wg.Wait()
		for _, w := range strangers {
			if _, err := w.b.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || w.a.out.moved != 0 {
				t.Errorf("%d bytes were said to a stranger, %v", w.a.out.moved, err)
			}
		}
		if len(messages) != 1 || !strings.Contains(messages[0], `another key answers, "an\x1bother"`) {
			t.Errorf("told %q", messages)
		}
	})
	is(t, dst, "f", content)
}

// TestHubKnowsKeys: a session that has not heard of its peer yet takes no connection of another one.
func TestHubKnowsKeys(t *testing.T) {
	h := NewHub(true)
	s := newSession(nil)
	s.hub, s.key, s.retry.arrivals = h, "own", make(chan *line, 1)
	h.enter(s, &line{key: "own"})
	id := newSessionID()
	from := func(key string) *line { return &line{key: key, peer: &helloBody{Session: id[:]}} }
	if h.deliver(from("another")) || h.deliver(from("")) {
		t.Error("another end was let in")
	}
	if !h.deliver(from("own")) {
		t.Error("its own peer was not")
	}
}
