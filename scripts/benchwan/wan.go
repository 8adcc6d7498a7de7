//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// wan is a running wanlink.
type wan struct {
	cmd       *exec.Cmd
	near, far string // namespaces
	address   string // of the far host
	began     chan time.Time
	ended     chan json.RawMessage // its counts; empty if it died
}

// wanEvent is a line of wanlink.
type wanEvent struct {
	Event   string    `json:"event"`
	Near    string    `json:"near"`
	Far     string    `json:"far"`
	Address string    `json:"far_address"`
	Time    time.Time `json:"time"`
}

// longestLine is more than what the link tells of an hour, with a trace.
const longestLine = 16 << 20

// startWAN makes the link. The time limit is for the whole life of it.
func startWAN(program, path string, limit time.Duration, flags ...string) (*wan, error) {
	args := append([]string{"-limit", limit.String()}, flags...)
	w := &wan{
		cmd:   exec.Command(program, append(args, path)...),
		began: make(chan time.Time, 1), ended: make(chan json.RawMessage, 1),
	}
	w.cmd.Stderr = os.Stderr
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, longestLine)
	var up wanEvent
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &up) != nil || up.Event != "up" {
		return nil, fmt.Errorf("the link %s did not come up: %w", path, errors.Join(lines.Err(), w.cmd.Wait()))
	}
	w.near, w.far, w.address = up.Near, up.Far, up.Address
	go w.read(lines)
	return w, nil
}

// read takes the lines that follow.
func (w *wan) read(lines *bufio.Scanner) {
	defer close(w.ended)
	for lines.Scan() {
		var e wanEvent
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		switch e.Event {
		case "begin":
			w.began <- e.Time
		case "end":
			w.ended <- append(json.RawMessage(nil), lines.Bytes()...)
		}
	}
}

// stop takes the link away and returns what it counted.
func (w *wan) stop() (*linkCounts, error) {
	if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return nil, err
	}
	line := <-w.ended
	if err := w.cmd.Wait(); err != nil {
		return nil, err
	}
	return readCounts(line)
}

// command is a program on one of the hosts. It dies with this one.
func command(namespace string, args ...string) *exec.Cmd {
	c := exec.Command("nsenter", append([]string{"--net=" + namespace, "--"}, args...)...)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c
}

// process is a running program whose lines on standard output are collected.
type process struct {
	cmd    *exec.Cmd
	start  time.Time
	end    time.Time
	err    error
	done   chan struct{}
	stderr tail
}

func startProcess(c *exec.Cmd, each func(line []byte)) (*process, error) {
	p := &process{cmd: c, done: make(chan struct{})}
	c.Stderr = &p.stderr
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.start = time.Now()
	if err := c.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		lines := bufio.NewReader(out)
		for {
			line, err := lines.ReadBytes('\n')
			if len(line) > 0 {
				each(line)
			}
			if err != nil {
				break
			}
		}
		p.err = c.Wait()
		p.end = time.Now()
	}()
	return p, nil
}

// wait waits for the end, until the limit; then it ends the process and returns false.
func (p *process) wait(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
		p.kill()
		return false
	}
}

// kill ends the process if it has not.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be over, which is as good
	<-p.done
}

// failure is why the process failed, with what it said.
func (p *process) failure() error {
	if p.err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %s", p.cmd.Args[len(p.cmd.Args)-1], p.err, p.stderr.text)
}

// tail keeps the end of what is written.
type tail struct{ text []byte }

var _ io.Writer = (*tail)(nil)

func (t *tail) Write(b []byte) (int, error) {
	t.text = append(t.text, b...)
	if extra := len(t.text) - 2000; extra > 0 {
		t.text = t.text[extra:]
	}
	return len(b), nil
}

// follow waits for the process that a run is about, and ends it when the limit is over.
func (r *runner) follow(p *process) *trace {
	t := &trace{start: p.start, finished: p.wait(r.limit)}
	if !t.finished {
		p.kill()
	}
	t.seconds = p.end.Sub(p.start).Seconds()
	return t
}
