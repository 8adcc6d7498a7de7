package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/udtcp/udtcp/internal/promise"
)

// limit is how long a run may take, however loaded the machine is.
const limit = 90 * time.Second

// undisturbed runs a kind once to its end and measures it.
func (b *bench) undisturbed(ctx context.Context, k *kind) (time.Duration, error) {
	p, err := b.place(k, k.name)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if _, err := p.complete(ctx, 0); err != nil {
		return 0, err
	}
	took := time.Since(began)
	return took, os.RemoveAll(p.dir)
}

// complete runs the transfer undisturbed: both ends are content and nothing is left behind. It gives the bytes that were
// kept from an earlier run.
func (p *place) complete(ctx context.Context, run int) (resumed int64, err error) {
	r, err := p.start(ctx, run, nil)
	if err != nil {
		return 0, err
	}
	sender, receiver := r.wait()
	if sender != 0 || receiver != 0 {
		return 0, fmt.Errorf("the sender ended with %d, the receiver with %d%s", sender, receiver, r.said())
	}
	if err := p.check(run, sender, receiver); err != nil {
		return 0, fmt.Errorf("%w%s", err, r.said())
	}
	return r.recv.resumed, nil
}

// moment is when to kill.
type moment struct {
	after time.Duration // since both ends were started; or
	bytes int64         // the receiver says it has so many; or
	names int           // so many files have their names
}

func (m moment) String() string {
	switch {
	case m.bytes > 0:
		return fmt.Sprintf("at %d bytes", m.bytes)
	case m.names > 0:
		return fmt.Sprintf("at %d names", m.names)
	}
	return "after " + m.after.String()
}

// choose chooses what to kill and when.
func (b *bench) choose(victim string, r *promise.Run, i int) (*kind, moment) {
	var stream uint64
	for _, c := range victim {
		stream = stream*31 + uint64(c)
	}
	rng := rand.New(rand.NewPCG(r.Seed, stream+uint64(i)))
	k := b.kinds[rng.IntN(len(b.kinds))]
	switch which := rng.IntN(3); {
	case which == 0:
		return k, moment{bytes: 1 + rng.Int64N(k.bytes)}
	case which == 1 && k.name == "tree":
		return k, moment{names: 1 + rng.IntN(k.files)}
	}
	return k, moment{after: time.Duration(rng.Int64N(int64(k.length + k.length/10)))}
}

// survivorEnds are the statuses that an end may have whose peer was killed: it went well, it had no connection yet, it lost
// it, or it does not know.
var survivorEnds = []int{0, 3, 5, 10}

// kill runs one case.
func (b *bench) kill(ctx context.Context, victim string, r *promise.Run, i int, t *tally) error {
	k, when := b.choose(victim, r, i)
	p, err := b.place(k, fmt.Sprint(victim, i))
	if err != nil {
		return err
	}
	r.Runs.Add(2)
	if err := p.killAndRunAgain(ctx, victim, when, t); err != nil {
		return fmt.Errorf("%s, killed %v: %w", k.name, when, err)
	}
	if b.only >= 0 {
		return nil
	}
	return os.RemoveAll(p.dir)
}

func (p *place) killAndRunAgain(ctx context.Context, victim string, when moment, t *tally) error {
	// The survivor need not wait: nobody comes back to this run.
	first, err := p.start(ctx, 1, []string{"--timeout", "1s", "--retry-for", "0"})
	if err != nil {
		return err
	}
	first.await(when)
	if victim == "sender" {
		first.recv.await(func() bool { return first.recv.met }) // or it would wait for another sender
	}
	if victim != "sender" {
		first.recv.kill()
	}
	if victim != "receiver" {
		first.send.kill()
	}
	sender, receiver := first.wait()
	named, partial := p.count()
	if sender == promise.Killed || receiver == promise.Killed {
		t.killed.Add(1)
	}
	t.partial.Add(int64(min(partial, 1)))
	t.named.Add(int64(min(named, 1)))
	journaled := named == 0 && partial > 0 && p.journaled()
	if err := p.check(1, sender, receiver); err != nil {
		return fmt.Errorf("sender %d, receiver %d: %w%s", sender, receiver, err, first.said())
	}
	for _, status := range []int{sender, receiver} {
		if status != promise.Killed && !slices.Contains(survivorEnds, status) {
			return fmt.Errorf("sender %d, receiver %d: the survivor's status tells of something else%s", sender, receiver, first.said())
		}
	}
	resumed, err := p.complete(ctx, 2)
	if err == nil && journaled && resumed == 0 {
		err = errors.New("nothing was kept of what an earlier run had made durable")
	}
	if err != nil {
		return fmt.Errorf("after sender %d, receiver %d, run again: %w%s", sender, receiver, err, first.said())
	}
	t.resumed.Add(min(resumed, 1))
	return nil
}

// start starts both ends. more are further arguments.
func (p *place) start(ctx context.Context, run int, more []string) (*transfer, error) {
	more = slices.Concat(p.k.both, more)
	recv := []string{"recv", "--json", "--interval", "10ms", "--listen=127.0.0.1:0"}
	stdout := ""
	if p.k.path == "-" {
		recv = append(recv, "-o", "-")
		stdout = p.output(run)
	} else {
		recv = append(recv, "-o", p.destination()+"/")
	}
	if p.k.old {
		recv = append(recv, "--overwrite")
	}
	r := &transfer{p: p}
	var err error
	if r.recv, err = p.b.launch(ctx, "", stdout, append(recv, more...)); err != nil {
		return nil, err
	}
	address, err := r.recv.listening()
	if err != nil {
		<-r.recv.done
		return nil, fmt.Errorf("%w%s", err, r.said())
	}
	send := slices.Concat([]string{"send", "--json"}, p.k.send, more, []string{address})
	stdin := ""
	if p.k.path == "-" {
		send, stdin = append(send, "-"), filepath.Join(p.b.sources(p.k), "data")
	} else {
		send = append(send, filepath.Join(p.b.sources(p.k), p.k.path))
	}
	if r.send, err = p.b.launch(ctx, stdin, "", send); err != nil {
		r.recv.kill()
		<-r.recv.done
		return nil, err
	}
	return r, nil
}
