package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/udtcp/udtcp/internal/promise"
)

// tortured is a transfer to be disturbed: what is sent, and what is at the destination before.
type tortured struct {
	name string
	so   SendOptions
	ro   RecvOptions
	sent *disk // what the destination has in the end, where that differs from old
	old  *disk
	over bool // the first run takes nothing over from what is there, those after it do

	whole  bool // many files are synced at once
	linked bool // they are published with a link
}

func (c *tortured) store(d *disk) *diskStore {
	return &diskStore{disk: d, whole: c.whole, linked: c.linked}
}

// tortures makes the transfers whose file operations are recorded.
func tortures(t *testing.T) []*tortured {
	t.Helper()
	src := t.TempDir()
	put(t, filepath.Join(src, "small"), randomBytes(1, 5000))
	put(t, filepath.Join(src, "large"), randomBytes(2, 2*minChunk+5000))
	put(t, filepath.Join(src, "larger"), randomBytes(5, 5*minChunk+5000))
	for i := range 12 {
		put(t, filepath.Join(src, "tree", fmt.Sprint(i%3), fmt.Sprint(i)), randomBytes(uint64(i), i*1000))
	}
	put(t, filepath.Join(src, "tree", "large"), randomBytes(3, minChunk+1))
	put(t, filepath.Join(src, "tree", "3", "4", "5"), nil)
	if err := os.Symlink("large", filepath.Join(src, "tree", "link")); err != nil {
		t.Fatal(err)
	}

	putSparse(t, filepath.Join(src, "sparse"))
	putSparse(t, filepath.Join(src, "tree", "sparse"))

	old := newDisk()
	old.put("small", randomBytes(4, 9000))
	old.put("other", []byte("nobody's business"))
	// A part file without a journal is nothing to go on with.
	left := newDisk()
	left.put(".large.udtcp-part", randomBytes(2, minChunk+77))
	dst := t.TempDir()
	of := func(name, path string, old *disk) *tortured {
		return &tortured{
			name: name, sent: load(t, src, path), old: old,
			so: SendOptions{Paths: []string{filepath.Join(src, path)}, Preserve: true, Links: true},
			ro: RecvOptions{Dir: dst, Preserve: true, Links: true, syncEvery: minChunk},
		}
	}
	small, linked := of("small file", "small", newDisk()), of("small file, linked", "small", newDisk())
	linked.linked = true
	large := of("large file", "larger", newDisk())
	tree, treeAtOnce := of("tree", "tree", newDisk()), of("tree, synced at once", "tree", newDisk())
	treeAtOnce.whole, treeAtOnce.linked = true, true
	overwrite := of("overwrite", "small", old)
	overwrite.ro.Overwrite = true
	leftovers := of("leftovers", "large", left)
	half := large.half(t)
	resume, over := of("resume", "larger", half), of("start over", "larger", half)
	over.over, over.linked = true, true
	return []*tortured{small, linked, large, tree, treeAtOnce, overwrite, leftovers, resume, over, of("sparse file", "sparse", newDisk())}
}

// putSparse makes a file with a hole in its middle and one at its end.
func putSparse(t *testing.T, name string) {
	t.Helper()
	put(t, name, randomBytes(8, 100_000))
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(randomBytes(9, minChunk/2), 2*minChunk+7)
	if err = errors.Join(err, f.Truncate(3*minChunk+5), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// half is the disk on which a transfer's connection was lost after three chunks.
func (c *tortured) half(t *testing.T) *disk {
	t.Helper()
	w := newWire(1 << 16)
	w.a.out.cutAt = 3*(minChunk+100) + 2000
	r := c.runOver(t.Context(), w, c.old, false)
	list, err := fs.ReadDir(r.after, ".")
	if err != nil || len(list) != 2 || KindOf(r.recvErr) != KindLost {
		t.Fatalf("left behind: %v, %v, %v", list, err, r.recvErr)
	}
	return r.after.clone()
}

// load reads one name in a directory, and all below it.
func load(t *testing.T, dir, name string) *disk {
	t.Helper()
	d := newDisk()
	err := filepath.WalkDir(filepath.Join(dir, name), func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		if e.Type() == fs.ModeSymlink {
			target, err := os.Readlink(p)
			d.place(filepath.ToSlash(rel), &node{target: target, perm: 0o777})
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		d.put(filepath.ToSlash(rel), b)
		number, err := d.find(filepath.ToSlash(rel))
		n := d.nodes[number]
		n.perm, n.mtime = info.Mode().Perm(), info.ModTime()
		for i, b := range n.blocks {
			if len(bytes.Trim(b, "\x00")) == 0 {
				n.blocks[i] = nil // it may be a hole
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// tortureRun is one run of a transfer on a disk, with the moments at which the sender came to know things.
type tortureRun struct {
	recording
	after            *disk
	sendErr, recvErr error
	receipts         []receiptAt
	content          int // steps done when the sender ended well; -1: it did not
	resumed          int64
}

type receiptAt struct {
	steps int
	name  string
}

// run runs the transfer on a copy of a disk, the same command each time, but for what over says.
func (c *tortured) run(ctx context.Context, before *disk, again bool) *tortureRun {
	return c.runOver(ctx, newWire(1<<16), before, again)
}

// runOver is run over a wire that may break.
func (c *tortured) runOver(ctx context.Context, w *wire, before *disk, again bool) *tortureRun {
	d := before.clone()
	r := &tortureRun{recording: recording{before: before}, after: d, content: -1}
	so, ro := c.so, c.ro
	ro.NoResume = c.over && !again
	done := func() int {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.steps)
	}
	so.OnFile = func(f FileDone) { r.receipts = append(r.receipts, receiptAt{done(), f.Name}) }
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, r.sendErr = Send(ctx, w.a, so); r.sendErr == nil {
			r.content = done()
		}
		w.a.Close()
	})
	wg.Go(func() {
		var got Result
		got, r.recvErr = receive(ctx, w.b, ro, func(string) (store, error) { return c.store(d), nil })
		r.resumed = got.Resumed
		w.b.Close()
	})
	wg.Wait()
	r.steps = d.steps
	r.calls = callsOf(r.steps)
	return r
}

// kept are the names the sender had receipts for when so many steps were done.
func (r *tortureRun) kept(steps int) (names []string) {
	for _, k := range r.receipts {
		if k.steps <= steps {
			names = append(names, k.name)
		}
	}
	return names
}

// crashed checks what a crash after so many steps left.
func (c *tortured) crashed(r *tortureRun, steps int, now *disk) error {
	o := promise.Outcome{
		Old: c.old, New: c.sent, Now: now, Kept: r.kept(steps), Attributes: true,
		Sender: promise.Killed, Receiver: promise.Killed,
	}
	if r.content >= 0 && steps >= r.content {
		o.Sender = 0
	}
	return promise.Check(o)
}

// ended checks a run that nothing disturbed: all is well and nothing is left behind.
func (c *tortured) ended(r *tortureRun) error {
	if r.sendErr != nil || r.recvErr != nil {
		return fmt.Errorf("the run after it: send: %w, recv: %w", r.sendErr, r.recvErr)
	}
	if err := promise.Check(promise.Outcome{Old: c.old, New: c.sent, Now: r.after, Attributes: true}); err != nil {
		return fmt.Errorf("the run after it: %w", err)
	}
	return nil
}

// TestTorturePrefixes has the process die after every step of the recorded transfers (or after as many as there is time
// for, but between all calls), and where a call ends, runs the transfer again from there.
func TestTorturePrefixes(t *testing.T) {
	run := newTorture(t, "every prefix of the file operations", "PREFIXES", 400)
	list := tortures(t)
	most := run.Cases / len(list)
	run.Cases = 0
	for _, c := range list {
		first := c.run(t.Context(), c.old, false)
		if err := c.ended(first); err != nil {
			t.Fatalf("%s: undisturbed: %v", c.name, err)
		}
		stride := len(first.steps)/max(1, most) + 1
		rerun := min(stride, 5) // where not all prefixes are looked at, not all are gone on from
		var ends []int
		for n := range len(first.steps) + 1 {
			if n%stride == 0 || slices.Contains(first.calls, n) {
				ends = append(ends, n)
			}
		}
		run.Cases += len(ends)
		run.each(len(ends), func(i int) {
			n := ends[i]
			now := first.prefix(n)
			if err := c.crashed(first, n, now); err != nil {
				run.failed("%s: after %d steps of %d: %v", c.name, n, len(first.steps), err)
			}
			if !slices.Contains(first.calls, n) || n%rerun > 0 {
				return
			}
			run.Runs.Add(1)
			if err := c.ended(c.run(t.Context(), now, true)); err != nil {
				run.failed("%s: after %d steps of %d: %v", c.name, n, len(first.steps), err)
			}
		})
	}
}

// TestTortureStates has the machine die: unsynced writes and names are lost in any combination. The run after it is
// made to crash as well, now and then, and at last must bring everything.
func TestTortureStates(t *testing.T) {
	run := newTorture(t, "states after a crash of the machine", "STATES", 200)
	const deepest = 3
	list := tortures(t)
	perRecording := min(500, run.Cases/len(list)+1)
	var resumed atomic.Int64
	defer func() {
		if t.Logf("%d runs went on from what was left", resumed.Load()); run.Cases > perRecording && resumed.Load() == 0 {
			t.Error("no run went on from what was left")
		}
	}()
	for batch := 0; batch < run.Cases; batch += perRecording {
		c := list[batch/perRecording%len(list)]
		first := c.run(t.Context(), c.old, false)
		if err := c.ended(first); err != nil {
			t.Fatalf("%s: undisturbed: %v", c.name, err)
		}
		run.each(min(perRecording, run.Cases-batch), func(i int) {
			rng := rand.New(rand.NewPCG(run.Seed, uint64(batch+i)))
			r, history := first, ""
			for depth := 1; ; depth++ {
				n := r.moment(rng)
				now, lost := r.crash(n, rng)
				history += fmt.Sprintf("\n  crash %d %s", depth, lost)
				if err := c.crashed(r, n, now); err != nil {
					run.failed("%s: case %d: %v%s", c.name, batch+i, err, history)
					return
				}
				r = c.run(t.Context(), now, true)
				run.Runs.Add(1)
				resumed.Add(min(r.resumed, 1))
				if err := c.ended(r); err != nil {
					run.failed("%s: case %d: %v%s", c.name, batch+i, err, history)
					return
				}
				if depth == deepest || rng.IntN(4) > 0 {
					return
				}
			}
		})
	}
}

// torture is the count of a test of this file, a row of make torture's table in the end.
type torture struct {
	*promise.Run
	t *testing.T
}

// newTorture is a test of as many cases as TORTURE_name says, or else few.
func newTorture(t *testing.T, what, name string, few int) *torture {
	t.Helper()
	if testing.Short() {
		few /= 10
	}
	r, err := promise.NewRun(what, name, few)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() && r.Failures.Load() == 0 {
			r.Failures.Add(1) // told by other means than failed
		}
		t.Logf("%d cases, %d runs, %d failures, seed %d", r.Cases, r.Runs.Load(), r.Failures.Load(), r.Seed)
		if err := r.Tell(); err != nil {
			t.Error(err)
		}
	})
	return &torture{r, t}
}

// failed counts a broken promise and shows the first of them.
func (r *torture) failed(format string, args ...any) {
	const shown = 5
	r.t.Helper()
	if r.Failures.Add(1) <= shown {
		r.t.Errorf("seed %d: %s", r.Seed, fmt.Sprintf(format, args...))
	} else {
		r.t.Fail()
	}
}

// each calls f for 0 to n-1, as many at a time as there are processors.
func (r *torture) each(n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}
