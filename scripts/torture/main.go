// Command torture kills udtcp processes in the middle of transfers over
// loopback, at points that a seed chooses: after some time, after some progress,
// or when some names have appeared. After each kill it holds what is left
// against internal/promise, runs the same commands again, and wants everything
// complete and nothing left behind.
//
//	torture -seed 7 -udtcp ./udtcp          as many of each kind as TORTURE_RECEIVER, _SENDER and _BOTH say
//	torture -seed 7 -victim both -case 123  one of them again, with its files kept
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/udtcp/udtcp/internal/promise"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(1)
	}
}

// options of a run of this program.
type options struct {
	udtcp    string
	work     string
	victim   string
	only     int
	parallel int
}

func run(ctx context.Context, args []string) error {
	var o options
	f := flag.NewFlagSet("torture", flag.ContinueOnError)
	f.StringVar(&o.udtcp, "udtcp", "./udtcp", "the program to torture")
	f.StringVar(&o.victim, "victim", "", "kill only this: receiver, sender or both")
	f.IntVar(&o.only, "case", -1, "only this case of them; its files are kept")
	f.IntVar(&o.parallel, "j", 4*runtime.NumCPU(), "cases at a time; most of each is waiting")
	seed := f.String("seed", "", "in place of TORTURE_SEED")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("no arguments are taken, only flags: %q", f.Args())
	}
	if *seed != "" {
		if err := os.Setenv("TORTURE_SEED", *seed); err != nil {
			return err
		}
	}
	var err error
	if o.udtcp, err = filepath.Abs(o.udtcp); err != nil {
		return err
	}
	if o.work, err = os.MkdirTemp("", "udtcp-torture-*"); err != nil {
		return err
	}
	err = o.torture(ctx)
	if o.only >= 0 {
		fmt.Println("the files are in", o.work)
		return err
	}
	return errors.Join(err, os.RemoveAll(o.work))
}

// victims are who is killed, with the variable that has the number of cases and how many there are without it.
var victims = []struct {
	name, variable string
	few            int
}{{"receiver", "RECEIVER", 60}, {"sender", "SENDER", 30}, {"both", "BOTH", 12}}

// torture runs all cases.
func (o *options) torture(ctx context.Context) error {
	b := &bench{options: o}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	failures := int64(0)
	for _, v := range victims {
		if o.victim != "" && o.victim != v.name {
			continue
		}
		r, err := promise.NewRun("kill -9 of "+v.name, v.variable, v.few)
		if err != nil {
			return err
		}
		var t tally
		b.each(ctx, r.Cases, func(i int) {
			if err := b.kill(ctx, v.name, r, i, &t); err != nil && ctx.Err() == nil {
				r.Failures.Add(1)
				fmt.Printf("FAILED: torture -seed %d -victim %s -case %d: %v\n", r.Seed, v.name, i, err)
			}
		})
		if err := ctx.Err(); err != nil {
			return err
		}
		fmt.Printf("%s: %s\n", r.What, &t)
		failures += r.Failures.Load()
		if err := r.Tell(); err != nil {
			return err
		}
	}
	if failures > 0 {
		return fmt.Errorf("%d promises were broken", failures)
	}
	return nil
}

// each calls f for 0 to n-1, several at a time.
func (b *bench) each(ctx context.Context, n int, f func(i int)) {
	if b.only >= 0 {
		f(b.only)
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range b.parallel {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

// tally says what kills met, so that it can be seen that they came at all moments.
type tally struct {
	killed, partial, named, resumed atomic.Int64
}

func (t *tally) String() string {
	return fmt.Sprintf("%d came in time, %d left a part of a file, %d a complete one; %d times what was left was kept",
		t.killed.Load(), t.partial.Load(), t.named.Load(), t.resumed.Load())
}
