package transfer

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/udtcp/udtcp/internal/promise"
)

// TestTortureSlow has one of the parties take its time, in the bubble's own time: nobody loses patience and nothing is lost.
func TestTortureSlow(t *testing.T) {
	run := newTorture(t, "slow disks, readers and sources", "", 0)
	for _, c := range tortures(t) {
		for _, op := range []string{"create", "write", "chmod", "sync", "syncAll", "publish", "syncDir", "close"} {
			run.Cases++
			run.Runs.Add(1)
			synctest.Test(t, func(t *testing.T) {
				d := c.old.clone()
				open := func(string) (store, error) {
					return &faulty{store: c.store(d), fail: func(now, _ string) error {
						if now == op {
							<-time.After(time.Minute)
						}
						return nil
					}}, nil
				}
				o := moveCtx(t.Context(), t.Context(), newWire(1<<16), c.so, c.ro, open)
				if err := c.ended(&tortureRun{after: d, sendErr: o.sendErr, recvErr: o.gotErr}); err != nil {
					run.failed("%s, %s takes a minute: %v", c.name, op, err)
				}
			})
		}
	}
	input := randomBytes(1, 3000)
	for name, c := range map[string]struct {
		in  io.Reader
		out func(*bytes.Buffer) io.Writer
		min time.Duration // that it takes
	}{
		"a byte a second":   {&slowReader{rest: input, piece: 1, pause: time.Second}, same, time.Duration(len(input)) * time.Second},
		"a minute of pause": {&slowReader{rest: input, piece: 1000, pause: time.Minute}, same, 3 * time.Minute},
		"slow output": {bytes.NewReader(randomBytes(2, 30*minChunk)), func(b *bytes.Buffer) io.Writer {
			return slowWriter{b}
		}, 30 * time.Minute},
	} {
		run.Cases++
		run.Runs.Add(1)
		synctest.Test(t, func(t *testing.T) {
			var in, out bytes.Buffer
			began := time.Now()
			so := SendOptions{Paths: []string{"-"}, Stdin: io.TeeReader(c.in, &in)}
			o := moveCtx(t.Context(), t.Context(), newWire(1<<16), so, RecvOptions{Stdout: c.out(&out)}, nil)
			err := promise.Check(promise.Outcome{
				Input: in.Bytes(), Output: out.Bytes(), Sender: KindOf(o.sendErr).ExitCode(), Receiver: KindOf(o.gotErr).ExitCode(),
			})
			if err != nil || o.sendErr != nil || o.gotErr != nil {
				run.failed("%s: %v, send: %v, recv: %v", name, err, o.sendErr, o.gotErr)
			}
			if took := time.Since(began); took < c.min {
				t.Errorf("%s: it took %v, and should at least %v", name, took, c.min)
			}
		})
	}
}

func same(b *bytes.Buffer) io.Writer { return b }

// slowReader gives a piece after each pause.
type slowReader struct {
	rest  []byte
	piece int
	pause time.Duration
}

func (r *slowReader) Read(b []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	<-time.After(r.pause)
	n := copy(b[:min(len(b), r.piece)], r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// slowWriter takes a minute for each write.
type slowWriter struct{ w io.Writer }

func (w slowWriter) Write(b []byte) (int, error) {
	<-time.After(time.Minute)
	return w.w.Write(b)
}
