//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// interval is how often the ends of a transfer tell how far they are.
const interval = 50 * time.Millisecond

// patience is how long a receiver may take to come up and to end after its sender.
const patience = 15 * time.Second

// event is a line of udtcp --json, or of our own TCP ends, which speak alike.
type event struct {
	Event   string    `json:"event"`
	Time    time.Time `json:"time"`
	Address string    `json:"address"`
	Bytes   int64     `json:"bytes"`
	Stats   *struct {
		RTT           float64 `json:"ms_rtt"`
		Retransmitted int64   `json:"pkt_retrans_total"`
		Received      int64   `json:"pkt_recv_total"`
	} `json:"stats"`
}

// watch is a process that writes events.
type watch struct {
	*process
	mu        sync.Mutex
	events    []event
	listening chan string // its address
}

func startWatch(c *exec.Cmd) (*watch, error) {
	w := &watch{listening: make(chan string, 1)}
	var err error
	w.process, err = startProcess(c, w.take)
	return w, err
}

func (w *watch) take(line []byte) {
	var e event
	if json.Unmarshal(line, &e) != nil {
		return
	}
	if e.Event == "listening" {
		w.listening <- e.Address
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// samples gives the progress so far, timed from start.
func (w *watch) samples(start time.Time) (out []sample) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Event != "progress" {
			continue
		}
		s := sample{At: e.Time.Sub(start).Seconds(), Bytes: e.Bytes}
		if e.Stats != nil {
			s.RTT = e.Stats.RTT / 1000
			s.Arrived = e.Stats.Received * packetBytes
		}
		out = append(out, s)
	}
	return out
}

// retransmitted is the last count there is.
func (w *watch) retransmitted() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.events) - 1; i >= 0; i-- {
		if s := w.events[i].Stats; s != nil {
			return s.Retransmitted
		}
	}
	return 0
}

// received is how many bytes the last event tells of.
func (w *watch) received() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.events) == 0 {
		return 0
	}
	return w.events[len(w.events)-1].Bytes
}

// awaitListening waits for a receiver to be ready.
func (w *watch) awaitListening() error {
	select {
	case <-w.listening:
		return nil
	case <-w.done:
		return fmt.Errorf("the receiver ended: %w", errors.Join(w.failure(), errors.New("without listening")))
	case <-time.After(patience):
		return errors.New("the receiver does not listen")
	}
}

// exchange runs a sender against a receiver that is up, and gathers what both tell.
func (r *runner) exchange(receiver, sender *exec.Cmd) (*trace, error) {
	in, err := startWatch(receiver)
	if err != nil {
		return nil, err
	}
	defer in.kill()
	if err := in.awaitListening(); err != nil {
		return nil, err
	}
	out, err := startWatch(sender)
	if err != nil {
		return nil, err
	}
	t := r.follow(out.process)
	t.retransmitted = out.retransmitted()
	t.sent = out.samples(t.start)
	if !t.finished {
		t.received = in.samples(t.start)
		return t, nil
	}
	if err := out.failure(); err != nil {
		return t, err
	}
	if !in.wait(patience) {
		return t, errors.New("the receiver does not end")
	}
	t.received = in.samples(t.start)
	return t, in.failure()
}

// Ports on the far host, which is our own.
const (
	port  = "9001"
	port2 = "9002"
)

// oursWith is the common part of a udtcp command line.
func (r *runner) oursWith(command string, args ...string) []string {
	return append([]string{r.udtcp, command, "--json", "--no-progress", "-q", "--interval", interval.String()}, args...)
}

func (r *runner) sendOurs(w *wan, cc, source, got string) (*trace, error) {
	to := got
	if info, err := os.Stat(source); err != nil {
		return nil, err
	} else if info.IsDir() {
		to, got = got+"/", filepath.Join(got, filepath.Base(source))
	}
	t, err := r.exchange(
		command(w.far, r.oursWith("recv", "--insecure", "--listen="+w.address+":"+port, "-o", to)...),
		command(w.near, r.oursWith("send", "--insecure", "--cc", cc, w.address+":"+port, source)...))
	if err == nil && t.finished {
		err = same(source, got)
	}
	return t, err
}

func (r *runner) sendTCP(w *wan, cc, source, got string) (*trace, error) {
	t, err := r.exchange(
		command(w.far, r.self, "tcp-recv", w.address+":"+port, got),
		command(w.near, r.self, "tcp-send", "-cc", cc, "-file", source, w.address+":"+port))
	if err == nil && t.finished {
		err = same(source, got)
	}
	return t, err
}

// sendLibudt moves as many bytes from memory to memory: its end for tests has no files.
func (r *runner) sendLibudt(w *wan, source string) (*trace, error) {
	ready := make(chan struct{})
	in, err := startProcess(command(w.far, r.udtpeer, "serve", "--bind", w.address, "--port", port, "--mode", "sink",
		"--raw", "--limit", r.libudtLimit()), func(line []byte) {
		if strings.HasPrefix(string(line), "listening ") { // once
			close(ready)
		}
	})
	if err != nil {
		return nil, err
	}
	defer in.kill()
	select {
	case <-ready:
	case <-in.done:
		return nil, fmt.Errorf("the receiver ended: %w", in.failure())
	case <-time.After(patience):
		return nil, errors.New("the receiver does not listen")
	}
	return r.libudtSource(w, source)
}

// sendLibudtToOurs is sendLibudt with udtcp as the receiver.
func (r *runner) sendLibudtToOurs(w *wan, source string) (*trace, error) {
	// Its events come on standard error, since what it receives is on standard output.
	in, err := startWatch(command(w.far, "sh", "-c", `exec "$@" 2>&1 >/dev/null`, "sh",
		r.udtcp, "cat", "--stay", "--json", "-q", "--listen="+w.address+":"+port))
	if err != nil {
		return nil, err
	}
	defer in.kill()
	if err := in.awaitListening(); err != nil {
		return nil, err
	}
	t, err := r.libudtSource(w, source)
	if err != nil || !t.finished {
		return t, err
	}
	if !in.wait(patience) {
		return t, errors.New("the receiver does not end")
	}
	info, err := os.Stat(source)
	if err == nil {
		err = in.failure()
	}
	if err == nil && in.received() != info.Size() {
		err = fmt.Errorf("%d bytes arrived of %d", in.received(), info.Size())
	}
	return t, err
}

// libudtSource sends with libudt to a receiver that is up.
func (r *runner) libudtSource(w *wan, source string) (*trace, error) {
	info, err := os.Stat(source)
	if err != nil {
		return nil, err
	}
	out, err := startProcess(command(w.near, r.udtpeer, "dial", w.address, port, "--mode", "source",
		"--bytes", fmt.Sprint(info.Size()), "--raw", "--limit", r.libudtLimit()), func([]byte) {})
	if err != nil {
		return nil, err
	}
	t := r.follow(out)
	if t.finished {
		return t, out.failure()
	}
	return t, nil
}

// libudtLimit is when its ends give up by themselves, in seconds.
func (r *runner) libudtLimit() string { return fmt.Sprint(int((r.limit + patience).Seconds())) }
