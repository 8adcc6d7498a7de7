package transfer

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/udtcp/udtcp/internal/promise"
)

// cutter has what the cuts of one transfer need.
type cutter struct {
	name string
	// run runs it over a wire and, if that breaks, again over one that does not.
	run func(w *wire) error
	// frames are where frames began in each direction when nothing was cut, and the end.
	frames [2][]int64
}

// TestTortureCuts cuts the connection at the boundaries of frames and inside them, in either direction.
func TestTortureCuts(t *testing.T) {
	run := newTorture(t, "cuts of the connection", "CUTS", 60)
	var list []*cutter
	for _, c := range tortures(t) {
		list = append(list, &cutter{name: c.name, run: func(w *wire) error { return c.cut(t.Context(), run, w) }})
	}
	list = append(list, &cutter{name: "pipe", run: func(w *wire) error { return cutPipe(t.Context(), run, w) }})
	for _, c := range list {
		w := newWire(1 << 16)
		var said [2]bytes.Buffer
		for i, l := range []*wireLane{w.a.out, w.b.out} {
			l.alter = func(_ int64, b []byte) { said[i].Write(b) }
		}
		if err := c.run(w); err != nil {
			t.Fatalf("%s: undisturbed: %v", c.name, err)
		}
		for i := range said {
			c.frames[i] = frameStarts(said[i].Bytes())
		}
	}
	run.each(run.Cases, func(i int) {
		rng := rand.New(rand.NewPCG(run.Seed, uint64(i)))
		c := list[i%len(list)]
		direction := rng.IntN(2)
		starts := c.frames[direction]
		frame := rng.IntN(len(starts) - 1)
		at := starts[frame]
		if rng.IntN(2) == 0 {
			at += 1 + rng.Int64N(starts[frame+1]-at)
		}
		w := newWire(1 << 16)
		[]*wireLane{w.a.out, w.b.out}[direction].cutAt = at
		if err := c.run(w); err != nil {
			run.failed("%s: case %d, cut after %d bytes in direction %d, in frame %d: %v", c.name, i, at, direction, frame, err)
		}
	})
}

// frameStarts gives the offsets at which frames begin, and the end.
func frameStarts(said []byte) []int64 {
	starts := []int64{0}
	for at := preludeLen; at+headerLen <= len(said); {
		starts = append(starts, int64(at))
		at += headerLen + int(binary.BigEndian.Uint32(said[at+4:]))
	}
	return append(starts, int64(len(said)))
}

// cut runs a transfer over a wire that may be cut, and again.
func (c *tortured) cut(ctx context.Context, run *torture, w *wire) error {
	run.Runs.Add(2)
	first := c.runOver(ctx, w, c.old, false)
	o := promise.Outcome{
		Old: c.old, New: c.sent, Now: first.after, Kept: first.kept(len(first.steps)), Attributes: true,
		Sender: KindOf(first.sendErr).ExitCode(), Receiver: KindOf(first.recvErr).ExitCode(),
	}
	if err := afterCut(o, first.sendErr, first.recvErr); err != nil {
		return err
	}
	return c.ended(c.run(ctx, first.after, true))
}

// afterCut checks an outcome, and that both ends say that it was the connection.
func afterCut(o promise.Outcome, ends ...error) error {
	for _, err := range ends {
		if k := KindOf(err); k != KindNone && k != KindLost && k != KindUnknown {
			return fmt.Errorf("an end takes the cut for something else: %w", err)
		}
	}
	if err := promise.Check(o); err != nil {
		return fmt.Errorf("%w (sender: %w, receiver: %w)", err, ends[0], ends[1])
	}
	return nil
}

// cutPipe runs a pipe over a wire that may be cut, and again.
func cutPipe(ctx context.Context, run *torture, w *wire) error {
	run.Runs.Add(2)
	input := randomBytes(7, 2*minChunk+3)
	pipe := func(w *wire) (o promise.Outcome, sendErr, recvErr error) {
		var out output
		var wg sync.WaitGroup
		wg.Go(func() {
			_, sendErr = Send(ctx, w.a, SendOptions{Paths: []string{"-"}, Stdin: bytes.NewReader(input)})
			w.a.Close()
		})
		wg.Go(func() {
			_, recvErr = Recv(ctx, w.b, RecvOptions{Stdout: &out})
			w.b.Close()
		})
		wg.Wait()
		return promise.Outcome{
			Input: input, Output: out.got(), Sender: KindOf(sendErr).ExitCode(), Receiver: KindOf(recvErr).ExitCode(),
		}, sendErr, recvErr
	}
	o, sendErr, recvErr := pipe(w)
	if err := afterCut(o, sendErr, recvErr); err != nil {
		return err
	}
	if o, sendErr, recvErr = pipe(newWire(1 << 16)); sendErr != nil || recvErr != nil {
		return fmt.Errorf("the run after it: send: %w, recv: %w", sendErr, recvErr)
	}
	return promise.Check(o)
}
