package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a udtcp that was started.
type process struct {
	cmd  *exec.Cmd
	args []string
	done chan struct{} // closed when it has ended and all it said was read

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when what follows changes
	address string        // it listens at
	met     bool          // it has a connection
	bytes   int64         // its progress
	resumed int64         // bytes kept from an earlier run, in the end
	said    []string      // the last lines but for progress
}

// launch starts udtcp with files for its standard streams; events are read from standard output, or from standard error
// where that is a file.
func (b *bench) launch(ctx context.Context, stdin, stdout string, args []string) (*process, error) {
	p := &process{args: args, done: make(chan struct{}), changed: make(chan struct{})}
	ctx, cancel := context.WithTimeout(ctx, limit)
	p.cmd = exec.CommandContext(ctx, b.udtcp, args...)
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGQUIT) } // shows where it hangs
	p.cmd.WaitDelay = 5 * time.Second
	p.cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+filepath.Join(b.work, "config"), "UDTCP_RETRY_FOR=0")
	var files []*os.File
	open := func(name string, flags int) (*os.File, error) {
		f, err := os.OpenFile(name, flags, 0o644)
		files = append(files, f)
		return f, err
	}
	defer func() {
		for _, f := range files {
			_ = f.Close() // the process has its own
		}
	}()
	r, w := io.Pipe()
	p.cmd.Stderr, p.cmd.Stdout = w, w
	var err error
	if stdin != "" {
		p.cmd.Stdin, err = open(stdin, os.O_RDONLY)
	}
	if stdout != "" && err == nil {
		p.cmd.Stdout, err = open(stdout, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, err
	}
	var reading sync.WaitGroup
	reading.Go(func() { p.read(r) })
	go func() {
		_ = p.cmd.Wait() // the state says it all
		_ = w.Close()    // of a pipe in memory
		cancel()
		reading.Wait()
		close(p.done)
	}()
	return p, nil
}

// read takes what the process says.
func (p *process) read(r io.Reader) {
	const kept = 30
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		var e struct {
			Event, Address string
			Bytes          int64
			Resumed        int64 `json:"resumed_bytes"`
		}
		known := json.Unmarshal([]byte(line), &e) == nil
		p.mu.Lock()
		switch {
		case known && e.Event == "listening":
			p.address = e.Address
		case known && e.Event == "connected":
			p.met = true
		case known && e.Event == "progress":
			p.bytes = e.Bytes
		case known && e.Event == "end":
			p.resumed = e.Resumed
			p.said = append(p.said, line)
		case strings.TrimSpace(line) != "":
			p.said = append(p.said, line)
			p.said = p.said[max(0, len(p.said)-kept):]
		}
		close(p.changed)
		p.changed = make(chan struct{})
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// await waits until what the process said satisfies ok, or it ends.
func (p *process) await(ok func() bool) bool {
	for {
		p.mu.Lock()
		is, changed := ok(), p.changed
		p.mu.Unlock()
		if is {
			return true
		}
		select {
		case <-changed:
		case <-p.done:
			return false // everything it said was read by then
		}
	}
}

func (p *process) listening() (string, error) {
	if !p.await(func() bool { return p.address != "" }) {
		return "", errors.New("the receiver does not listen")
	}
	return p.address, nil
}

// kill is kill -9; the process may have ended.
func (p *process) kill() { _ = p.cmd.Process.Kill() }

// status is the exit status, or promise.Killed.
func (p *process) status() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// transfer is a run of both ends.
type transfer struct {
	p          *place
	send, recv *process
}

// await waits for the moment, or for the end of an end.
func (t *transfer) await(when moment) {
	const glance = time.Millisecond
	switch {
	case when.bytes > 0:
		t.recv.await(func() bool { return t.recv.bytes >= when.bytes })
	case when.names > 0:
		tick := time.NewTicker(glance)
		defer tick.Stop()
		for {
			if named, _ := t.p.count(); named >= when.names {
				return
			}
			select {
			case <-tick.C:
			case <-t.recv.done:
				return
			}
		}
	default:
		timer := time.NewTimer(when.after)
		defer timer.Stop()
		<-timer.C
	}
}

// wait waits for both and gives their statuses.
func (t *transfer) wait() (sender, receiver int) { return t.send.status(), t.recv.status() }

// said is what both ends said, for people.
func (t *transfer) said() string {
	var b strings.Builder
	for _, p := range []*process{t.send, t.recv} {
		if p == nil {
			continue
		}
		p.mu.Lock()
		fmt.Fprintf(&b, "\n  udtcp %s\n", strings.Join(p.args, " "))
		for _, line := range p.said {
			fmt.Fprintf(&b, "    %s\n", strings.TrimSpace(line))
		}
		p.mu.Unlock()
	}
	return b.String()
}
