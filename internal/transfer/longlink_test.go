package transfer

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// longLink is a connection with a rate and a delay each way, in the time of a synctest bubble. What is written waits in a
// buffer of as many bytes as the path holds in a round trip.
type longLink struct{ a, b *longEnd }

type longEnd struct {
	in, out *longLane
	once    sync.Once
}

type longLane struct {
	rate  float64 // bytes a second
	delay time.Duration

	queue   chan packet
	arrived chan []byte
	closed  chan struct{}
	moved   int64
	free    time.Time // when the sender's interface has sent what it was given
	rest    []byte    // arrived and not read yet
}

type packet struct {
	b  []byte
	at time.Time
}

const longPacket = 8 << 10

func newLongLink(rate float64, rtt time.Duration) *longLink {
	ab, ba := newLongLane(rate, rtt/2), newLongLane(rate, rtt/2)
	return &longLink{a: &longEnd{in: ba, out: ab}, b: &longEnd{in: ab, out: ba}}
}

func newLongLane(rate float64, delay time.Duration) *longLane {
	room := int(2*delay.Seconds()*rate/longPacket) + 1
	l := &longLane{rate: rate, delay: delay, queue: make(chan packet, room), arrived: make(chan []byte), closed: make(chan struct{})}
	go l.run()
	return l
}

// run delivers what is due.
func (l *longLane) run() {
	defer close(l.arrived)
	for {
		select {
		case p := <-l.queue:
			timer := time.NewTimer(time.Until(p.at))
			select {
			case <-timer.C:
			case <-l.closed:
				return
			}
			select {
			case l.arrived <- p.b:
			case <-l.closed:
				return
			}
		case <-l.closed:
			return
		}
	}
}

func (e *longEnd) Write(b []byte) (n int, err error) {
	l := e.out
	for len(b) > 0 {
		m := min(len(b), longPacket)
		if now := time.Now(); l.free.Before(now) {
			l.free = now
		}
		l.free = l.free.Add(time.Duration(float64(m) / l.rate * 1e9))
		p := packet{b: append([]byte(nil), b[:m]...), at: l.free.Add(l.delay)}
		select {
		case l.queue <- p:
		case <-l.closed:
			return n, io.ErrClosedPipe
		}
		n, b = n+m, b[m:]
		l.moved += int64(m)
	}
	return n, nil
}

func (e *longEnd) Read(b []byte) (int, error) {
	l := e.in
	if len(l.rest) == 0 {
		p, ok := <-l.arrived
		if !ok {
			return 0, io.EOF
		}
		l.rest = p
	}
	n := copy(b, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

func (e *longEnd) Close() error {
	e.once.Do(func() {
		for _, l := range []*longLane{e.in, e.out} {
			select {
			case <-l.closed:
			default:
				close(l.closed)
			}
		}
	})
	return nil
}

// moveFar runs a transfer over a long link in simulated time. It takes as long as the sender does, and sent bytes.
func moveFar(t *testing.T, rate float64, rtt time.Duration, so SendOptions, ro RecvOptions) (o outcome, took time.Duration, sent int64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newLongLink(rate, rtt)
		begin := time.Now()
		var both sync.WaitGroup
		both.Go(func() { o.sent, o.sendErr = Send(t.Context(), w.a, so); took = time.Since(begin) })
		both.Go(func() { o.got, o.gotErr = receive(t.Context(), w.b, ro, openUnsynced) })
		both.Wait()
		sent = w.a.out.moved
		w.a.Close()
		w.b.Close()
	})
	if o.sendErr != nil || o.gotErr != nil {
		t.Fatalf("send: %v\nrecv: %v", o.sendErr, o.gotErr)
	}
	return o, took, sent
}

// TestRoundTripsOfAFile counts them: half a one for the hellos, half a one more for the answer whether the file is there,
// which a small one comes without, one for its bytes and their receipt. Only where an earlier attempt left something the
// sender waits to hear what is kept of it.
func TestRoundTripsOfAFile(t *testing.T) {
	const rtt = time.Second
	for name, c := range map[string]struct {
		size int
		left int64 // bytes of an earlier attempt
		want time.Duration
	}{
		"small":   {sooner, 0, 3 * rtt / 2},
		"fresh":   {3 * minChunk, 0, 2 * rtt},
		"resumed": {3 * minChunk, 2*minChunk + 1000, 3 * rtt},
	} {
		_, so := oneFile(t, randomBytes(1, c.size))
		ro := RecvOptions{Dir: t.TempDir()}
		if c.left > 0 {
			leftover(t, so, ro, c.left)
		}
		o, took, _ := moveFar(t, 100e9, rtt, so, ro)
		if took < c.want || took > c.want+rtt/10 {
			t.Errorf("%s: took %v, want %v", name, took, c.want)
		}
		if kept := c.left / minChunk * minChunk; o.got.Resumed != kept {
			t.Errorf("%s: %d bytes resumed, want %d", name, o.got.Resumed, kept)
		}
	}
}

// TestTortureRoundTrips moves many small files over a long link, in simulated time, so that only waiting counts: they
// take hardly longer than their bytes, and a second run hardly longer than a few round trips.
func TestTortureRoundTrips(t *testing.T) {
	const (
		size = 10_000
		rate = 200e6 / 8
		rtt  = 100 * time.Millisecond
	)
	torture := newTorture(t, "small files over a long link, no round trip each", "FILES", 4_000)
	files := torture.Cases
	src, dst := filepath.Join(t.TempDir(), "top"), t.TempDir()
	content := randomBytes(1, size)
	for i := range files {
		dir := filepath.Join(src, fmt.Sprint(i/500))
		if i%500 == 0 {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	so := SendOptions{Paths: []string{src}, Preserve: true}
	ro := RecvOptions{Dir: dst, Preserve: true}
	run := func() (o outcome, took time.Duration, sent int64) {
		o, took, sent = moveFar(t, rate, rtt, so, ro)
		if o.got.Files != files {
			t.Fatalf("%d files", o.got.Files)
		}
		return o, took, sent
	}

	bytesAlone := time.Duration(float64(files*size) / rate * 1e9)
	_, took, _ := run()
	t.Logf("%d files: %v, %.2f times what their bytes take", files, took, took.Seconds()/bytesAlone.Seconds())
	torture.Runs.Add(2)
	if most := bytesAlone*12/10 + 5*rtt; took > most {
		torture.failed("%d files took %v, more than %v", files, took, most)
	}
	o, took, sent := run()
	t.Logf("again: %v, %d bytes sent", took, sent)
	// The questions and the entries, some 100 bytes a file, and a round trip for as many files as may be without receipt.
	if most := time.Duration(float64(200*files)/rate*1e9) + time.Duration(5+files/outstanding)*rtt; took > most || o.got.Kept != files {
		torture.failed("again: %v, more than %v; %d kept", took, most, o.got.Kept)
	}
}
