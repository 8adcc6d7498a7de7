package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// patch joins two ends by one wire after another, as a network that comes and goes. Each wire is spoilt by cut.
type patch struct {
	mu    sync.Mutex
	made  int
	cut   func(n int, w *wire) // says what becomes of wire number n
	hub   *Hub                 // where connections go; nil: dialling fails
	wires []*wire
	wg    sync.WaitGroup
}

func (p *patch) wire() *wire {
	w := newWire(1 << 16)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut(p.made, w)
	p.made++
	p.wires = append(p.wires, w)
	return w
}

// dial is the Connector of the end that dials. The other end's half goes to its hub.
func (p *patch) dial(context.Context) (io.ReadWriteCloser, error) {
	w := p.wire()
	p.mu.Lock()
	hub := p.hub
	p.mu.Unlock()
	if hub == nil {
		return nil, errors.New("no answer")
	}
	p.wg.Go(func() {
		if conn, err := hub.Take(context.Background(), w.b, false); conn != nil {
			panic(fmt.Sprint("a session of its own: ", err))
		}
	})
	return w.a, nil
}

// sent is what the end that dials wrote in all.
func (p *patch) sent() (n int64) {
	for _, w := range p.wires {
		n += w.a.out.moved
	}
	return n
}

// reconnecting runs a transfer over a network that comes and goes; the sender dials, or else the receiver.
func reconnecting(t *testing.T, senderDials bool, so SendOptions, ro RecvOptions, cut func(n int, w *wire)) (outcome, *patch) {
	t.Helper()
	var o outcome
	hub := NewHub(false)
	p := &patch{hub: hub, cut: cut}
	dial := Retry{For: 5 * time.Minute, Connect: p.dial, LineLimit: so.Retry.LineLimit}
	wait := Retry{For: 5 * time.Minute, Hub: hub, LineLimit: so.Retry.LineLimit}
	so.Retry, ro.Retry = dial, wait
	first := p.wire()
	here, there := first.a, first.b
	if !senderDials {
		so.Retry, ro.Retry = wait, dial
		here, there = there, here
	}
	var mu sync.Mutex
	so.OnFile = func(f FileDone) { o.sentFiles = append(o.sentFiles, f) }
	ro.OnFile = func(f FileDone) { o.gotFiles = append(o.gotFiles, f) }
	ro.OnMessage = func(line string) { mu.Lock(); o.messages = append(o.messages, line); mu.Unlock() }
	so.OnMessage = ro.OnMessage
	var wg sync.WaitGroup
	wg.Go(func() { o.sent, o.sendErr = Send(t.Context(), here, so); p.closeAll() })
	wg.Go(func() { o.got, o.gotErr = receive(t.Context(), there, ro, openUnsynced) })
	wg.Wait()
	p.closeAll()
	p.wg.Wait()
	return o, p
}

// closeAll ends the wires in good order: what was written arrives.
func (p *patch) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.wires {
		for _, e := range []*wireEnd{w.a, w.b} {
			e.out.mu.Lock()
			e.out.ended = true
			e.out.cond.Broadcast()
			e.out.mu.Unlock()
		}
	}
}

// TestTortureReconnect cuts the connection at hundreds of places, again and again, in either direction, whoever dials: a
// file, a tree and a pipe arrive whole, and both ends are content.
func TestTortureReconnect(t *testing.T) {
	const perSeed = 8
	run := newTorture(t, "connections cut again and again", "RECONNECTS", 10*perSeed)
	src := t.TempDir()
	put(t, filepath.Join(src, "file"), randomBytes(1, 3*minChunk+77))
	for i := range 40 {
		put(t, filepath.Join(src, "tree", fmt.Sprint(i%5), fmt.Sprint(i)), randomBytes(uint64(i), i*500))
	}
	put(t, filepath.Join(src, "tree", "2", "large"), randomBytes(2, 2*minChunk+5))
	put(t, filepath.Join(src, "tree", "empty"), nil)
	stream := randomBytes(3, 3*minChunk+99)
	cuts := 0
	for round := range uint64((run.Cases + perSeed - 1) / perSeed) {
		seed := run.Seed + round
		for _, what := range []string{"file", "tree", "pipe", "file to pipe"} {
			for _, senderDials := range []bool{true, false} {
				name := fmt.Sprintf("%s, seed %d, sender dials %v", what, seed, senderDials)
				rng := rand.New(rand.NewPCG(seed, 7))
				dst := t.TempDir()
				var out bytes.Buffer
				so, ro := SendOptions{Paths: []string{filepath.Join(src, what)}, Preserve: true}, RecvOptions{Dir: dst, Preserve: true}
				switch what {
				case "pipe":
					so.Paths, so.Stdin = []string{"-"}, bytes.NewReader(stream)
					ro = RecvOptions{Stdout: &out}
				case "file to pipe":
					so.Paths = []string{filepath.Join(src, "file")}
					ro = RecvOptions{Stdout: &out}
				}
				run.Runs.Add(1)
				synctest.Test(t, func(t *testing.T) {
					o, p := reconnecting(t, senderDials, so, ro, func(n int, w *wire) {
						if n == 12 {
							return // it shall end
						}
						l := w.a.out
						if rng.IntN(3) == 0 {
							l = w.b.out
						}
						// Near the beginning, among small frames, or far out.
						l.cutAt = []int64{rng.Int64N(400), rng.Int64N(20_000), rng.Int64N(2 * minChunk)}[rng.IntN(3)]
					})
					if o.sendErr != nil || o.gotErr != nil {
						t.Fatalf("%s: after %d connections: send: %v, recv: %v", name, p.made, o.sendErr, o.gotErr)
					}
					o.well(t)
					cuts += p.made - 1
				})
				switch what {
				case "file":
					is(t, dst, "file", randomBytes(1, 3*minChunk+77))
				case "tree":
					sameTree(t, filepath.Join(src, "tree"), filepath.Join(dst, "tree"))
				case "pipe":
					if !bytes.Equal(out.Bytes(), stream) {
						t.Fatalf("%s: %d bytes came of %d, or others", name, out.Len(), len(stream))
					}
				default:
					if !bytes.Equal(out.Bytes(), randomBytes(1, 3*minChunk+77)) {
						t.Fatalf("%s: %d bytes came, or others", name, out.Len())
					}
				}
			}
		}
	}
	t.Logf("%d cuts", cuts)
}

// TestTortureReconnectEverywhere cuts the first connection after every byte of a small transfer, or as many as there is
// time for and the last of them, in either direction, whoever dials.
func TestTortureReconnectEverywhere(t *testing.T) {
	run := newTorture(t, "connection cut after a byte, and made again", "EVERYWHERE", 400)
	src := t.TempDir()
	put(t, filepath.Join(src, "top", "a"), []byte("hello"))
	put(t, filepath.Join(src, "top", "d", "b"), nil)
	so := SendOptions{Paths: []string{filepath.Join(src, "top")}, Preserve: true}
	whole := newWire(1 << 16)
	o := move(t, whole, so, RecvOptions{Dir: t.TempDir(), Preserve: true})
	o.well(t)
	step := 2*(whole.a.out.moved+whole.b.out.moved)/int64(run.Cases) + 1
	run.Cases = 0
	cut := func(senderDials, toReceiver bool, at int64) {
		dst := t.TempDir()
		run.Cases++
		run.Runs.Add(1)
		synctest.Test(t, func(t *testing.T) {
			o, p := reconnecting(t, senderDials, so, RecvOptions{Dir: dst, Preserve: true}, func(n int, w *wire) {
				switch {
				case n > 0:
				case senderDials == toReceiver:
					w.a.out.cutAt = at
				default:
					w.b.out.cutAt = at
				}
			})
			if o.sendErr != nil || o.gotErr != nil {
				t.Fatalf("sender dials: %v, to the receiver: %v, cut after %d bytes, %d connections: %v, %v",
					senderDials, toReceiver, at, p.made, o.sendErr, o.gotErr)
			}
			o.well(t)
		})
		sameTree(t, filepath.Join(src, "top"), filepath.Join(dst, "top"))
	}
	for _, senderDials := range []bool{true, false} {
		for toReceiver, moved := range map[bool]int64{true: whole.a.out.moved, false: whole.b.out.moved} {
			for at := int64(0); at < moved; at += step {
				cut(senderDials, toReceiver, at)
			}
			for last := range int64(20) {
				cut(senderDials, toReceiver, moved-last)
			}
		}
	}
}

// TestReconnectSendsLittleTwice: after a cut the transfer goes on behind what the receiver has read.
func TestReconnectSendsLittleTwice(t *testing.T) {
	content := randomBytes(1, 20*minChunk)
	path, so := oneFile(t, content)
	_ = path
	dst := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o, p := reconnecting(t, true, so, RecvOptions{Dir: dst}, func(n int, w *wire) {
			if n < 4 {
				w.a.out.cutAt = 4*minChunk + minChunk/2
			}
		})
		o.well(t)
		if most := int64(len(content)) + 6*minChunk; p.sent() > most || p.made != 5 {
			t.Errorf("%d bytes sent over %d connections", p.sent(), p.made)
		}
	})
	is(t, dst, "f", content)
}

// TestLineLimit: a connection that has carried as much as it may is followed by another, in good order.
func TestLineLimit(t *testing.T) {
	content := randomBytes(1, 7*minChunk)
	_, so := oneFile(t, content)
	for _, stdin := range []bool{false, true} {
		so, dst := so, t.TempDir()
		so.Retry.LineLimit = 2 * minChunk
		ro := RecvOptions{File: filepath.Join(dst, "f")}
		if stdin {
			so.Paths, so.Stdin = []string{"-"}, bytes.NewReader(content)
		}
		var planned int
		so.OnReconnect = func(r Reconnecting) {
			if r.For == 0 {
				planned++
			}
		}
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			o, p := reconnecting(t, true, so, ro, func(int, *wire) {})
			o.well(t)
			if p.made < 3 || planned != p.made-1 {
				t.Errorf("%d connections, %d planned", p.made, planned)
			}
			if took := time.Since(begin); took > time.Second {
				t.Errorf("took %v", took)
			}
			for _, w := range p.wires {
				if w.a.out.moved > 3*minChunk+5000 {
					t.Errorf("%d bytes over one connection", w.a.out.moved)
				}
			}
		})
		is(t, dst, "f", content)
	}
}

// TestRetrySpent: nobody comes back. Both ends say so when the time is over, and not before; what came is kept.
func TestRetrySpent(t *testing.T) {
	content := randomBytes(1, 5*minChunk)
	_, so := oneFile(t, content)
	dst := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWire(1 << 16)
		w.a.out.cutAt = 3*minChunk + 3000 + filled(t, so)
		begin, tries := time.Now(), 0
		so.Retry = Retry{For: time.Minute, Connect: func(context.Context) (io.ReadWriteCloser, error) {
			tries++
			return nil, errors.New("no answer")
		}}
		ro := RecvOptions{Dir: dst, Retry: Retry{For: 2 * time.Minute, Hub: NewHub(false)}}
		o := moveCtx(t.Context(), t.Context(), w, so, ro, openUnsynced)
		o.badly(t, KindLost, KindLost)
		if took := time.Since(begin); took < 2*time.Minute || took > 2*time.Minute+10*time.Second {
			t.Errorf("took %v", took)
		}
		if tries < 6 || tries > 60 {
			t.Errorf("%d tries in a minute", tries)
		}
	})
	if n := journaled(t, filepath.Join(dst, ".f.udtcp-journal")); n != 3 {
		t.Errorf("%d chunks recorded", n)
	}
}

// TestReceiverAnew: the receiver is another process when the sender comes back. Files go on with what is durable; a pipe
// cannot.
func TestReceiverAnew(t *testing.T) {
	src := filepath.Join(t.TempDir(), "top")
	put(t, filepath.Join(src, "a"), []byte("small"))
	put(t, filepath.Join(src, "large"), randomBytes(1, 6*minChunk))
	for _, what := range []string{"tree", "file", "pipe"} {
		pipe := what == "pipe"
		dst := t.TempDir()
		var out, out2 output
		so, ro, ro2 := SendOptions{Paths: []string{src}}, RecvOptions{Dir: dst}, RecvOptions{Dir: dst}
		switch what {
		case "file": // the question about it was in a hello that the second receiver does not hear
			so.Paths = []string{filepath.Join(src, "large")}
		case "pipe":
			so.Paths, so.Stdin = []string{"-"}, bytes.NewReader(randomBytes(1, 6*minChunk))
			ro, ro2 = RecvOptions{Stdout: &out}, RecvOptions{Stdout: &out2}
		}
		synctest.Test(t, func(t *testing.T) {
			first, second := newWire(1<<16), newWire(1<<16)
			first.a.out.cutAt = 4*minChunk + 3000
			var wg sync.WaitGroup
			var got Result
			var gotErr error
			gone := make(chan struct{})
			so.Retry = Retry{For: time.Minute, Connect: func(context.Context) (io.ReadWriteCloser, error) {
				<-gone
				wg.Go(func() {
					conn, err := NewHub(false).Take(context.Background(), second.b, true)
					if err != nil {
						t.Error(err)
						return
					}
					ro2.Retry = Retry{For: time.Minute, Hub: NewHub(false)}
					got, gotErr = receive(t.Context(), conn, ro2, openUnsynced)
				})
				return second.a, nil
			}}
			wg.Go(func() {
				defer close(gone)
				_, err := receive(t.Context(), first.b, ro, openUnsynced)
				wantKind(t, err, KindLost)
			})
			sent, err := Send(t.Context(), first.a, so)
			second.a.out.mu.Lock()
			second.a.out.ended = true
			second.a.out.cond.Broadcast()
			second.a.out.mu.Unlock()
			wg.Wait()
			if pipe {
				wantKind(t, err, KindLost)
				wantKind(t, gotErr, KindLost)
				if len(out2.got()) > 0 {
					t.Error("the second receiver got something")
				}
				return
			}
			if err != nil || gotErr != nil || got.Digest != sent.Digest || got.Resumed < minChunk || got.Resumed != sent.Resumed {
				t.Errorf("send: %v, recv: %v, %+v and %+v", err, gotErr, sent, got)
			}
		})
		switch what {
		case "tree":
			sameContent(t, src, filepath.Join(dst, "top"))
		case "file":
			is(t, dst, "large", randomBytes(1, 6*minChunk))
		}
	}
}

func sameContent(t *testing.T, a, b string) {
	t.Helper()
	for _, n := range names(t, a) {
		x, err := os.ReadFile(filepath.Join(a, n))
		y, err2 := os.ReadFile(filepath.Join(b, n))
		if err != nil || err2 != nil || !bytes.Equal(x, y) {
			t.Errorf("%s: %v, %v, or other bytes", n, err, err2)
		}
	}
	if !slices.Equal(names(t, a), names(t, b)) {
		t.Errorf("there are %q, want %q", names(t, b), names(t, a))
	}
}

// goOn gives a connection to a hub that takes only those which continue a session.
func goOn(t *testing.T, hub *Hub, conn io.ReadWriteCloser) {
	if conn, err := hub.Take(t.Context(), conn, false); conn != nil || err != nil {
		t.Error(conn, err)
	}
}

// TestStranger: while a session waits for its peer nobody else gets in, and is told why.
func TestStranger(t *testing.T) {
	_, so := oneFile(t, randomBytes(1, 3*minChunk))
	dst := t.TempDir()
	hub := NewHub(false)
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		first, second, third := newWire(1<<16), newWire(1<<16), newWire(1<<16)
		first.a.out.cutAt = minChunk
		waiting := make(chan struct{})
		wg.Go(func() {
			_, err := receive(t.Context(), first.b, RecvOptions{
				Dir: dst, Retry: Retry{For: time.Minute, Hub: hub}, OnReconnect: func(Reconnecting) { close(waiting) },
			}, openUnsynced)
			if err != nil {
				t.Error(err)
			}
		})
		so2 := so
		so.Retry = Retry{For: time.Minute, Connect: func(context.Context) (io.ReadWriteCloser, error) {
			<-waiting
			wg.Go(func() { goOn(t, hub, second.b) })
			_, err := Send(t.Context(), second.a, so2)
			wantKind(t, err, KindPolicy)
			wg.Go(func() { goOn(t, hub, third.b) })
			return third.a, nil
		}}
		if _, err := Send(t.Context(), first.a, so); err != nil {
			t.Error(err)
		}
		third.a.Close()
		wg.Wait()
	})
}

// TestMakeWay: a sender that was killed comes back as another process while its old session still waits for it, with the
// file: that one makes way.
func TestMakeWay(t *testing.T) {
	content := randomBytes(1, 4*minChunk)
	_, so := oneFile(t, content)
	dst := t.TempDir()
	hub := NewHub(false)
	synctest.Test(t, func(t *testing.T) {
		ro := RecvOptions{Dir: dst, Retry: Retry{For: time.Hour, Hub: hub}}
		lost := make(chan struct{})
		ro.OnReconnect = func(Reconnecting) { close(lost) }
		var wg sync.WaitGroup
		first := newWire(1 << 16)
		first.a.out.cutAt = 2*minChunk + 3000 + filled(t, so)
		wg.Go(func() {
			_, err := receive(t.Context(), first.b, ro, openUnsynced)
			wantKind(t, err, KindLost)
		})
		_, err := Send(t.Context(), first.a, so)
		wantKind(t, err, KindLost)
		<-lost
		begin := time.Now()
		ro.OnReconnect = nil
		o := moveCtx(t.Context(), t.Context(), newWire(1<<16), so, ro, openUnsynced)
		wg.Wait()
		o.well(t)
		if o.got.Resumed != 2*minChunk || time.Since(begin) > busyPatience {
			t.Errorf("resumed %d, took %v", o.got.Resumed, time.Since(begin))
		}
	})
	is(t, dst, "f", content)
}
