//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// runner runs transfers one after the other and keeps their results.
type runner struct {
	options
	self    string // this program, for its TCP ends
	results *os.File
	ours    []string // congestion controllers of udtcp
	others  []string // peers to compare with
	runs    int
	failed  int
}

func newRunner(o options) (*runner, error) {
	r := &runner{options: o}
	var err error
	if r.self, err = os.Executable(); err != nil {
		return nil, err
	}
	r.results, err = os.OpenFile(filepath.Join(o.out, "results.jsonl"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	if err := r.findPeers(); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *runner) close() {
	if err := r.results.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "benchwan:", err)
	}
}

// findPeers tries out who can take part.
func (r *runner) findPeers() error {
	asked := func(name string) bool { return len(r.peers) == 0 || slices.Contains(r.peers, name) }
	for _, cc := range []string{"bbr", "native"} {
		if !asked(cc) {
			continue
		}
		// No packet leaves the process: this only tells whether there is such a controller.
		err := exec.Command(r.udtcp, "perf", "--cc", cc, "--emulate", "rate=100Mbit", "-n", "1K", "-q", "--no-progress").Run()
		var status *exec.ExitError
		switch {
		case err == nil:
			r.ours = append(r.ours, cc)
		case errors.As(err, &status) && status.ExitCode() == 2:
			say("udtcp has no --cc %s: left out", cc)
		default:
			return fmt.Errorf("%s perf --cc %s: %w", r.udtcp, cc, err)
		}
	}
	for _, cc := range []string{"bbr", "cubic"} {
		if !asked("tcp-" + cc) {
			continue
		}
		if err := tcpHas(cc); err != nil {
			say("no TCP %s: left out: %v", cc, err)
			continue
		}
		r.others = append(r.others, "tcp-"+cc)
	}
	if asked("libudt") {
		if r.udtpeer == "" {
			say("no libudt: left out: make peers needs g++ and libudt-dev")
		} else {
			r.others = append(r.others, "libudt")
		}
	}
	return nil
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// result is one run, as a line of results.jsonl. Rates are bits a second, times seconds.
type result struct {
	Suite    string  `json:"suite"`
	Link     string  `json:"link"`
	Path     string  `json:"path"`
	Peer     string  `json:"peer"`
	Bytes    int64   `json:"bytes"`
	Finished bool    `json:"finished"`
	Seconds  float64 `json:"seconds"` // the sender's, from start to exit
	Goodput  float64 `json:"goodput_bps"`
	Share    float64 `json:"share"` // of what the link can carry
	// Steady is the share without the first and the last second; 0 where that leaves less than a second.
	Steady float64 `json:"steady_share,omitempty"`
	// Retransmitted is packets sent again, for each that had to be sent; RTT the mean of the smoothed round-trip time
	// after the first quarter. Of udtcp and TCP alone.
	Retransmitted float64            `json:"retransmitted,omitempty"`
	RTT           float64            `json:"rtt_s,omitempty"`
	Measures      map[string]float64 `json:"measures,omitempty"` // what the suite is about
	Samples       []sample           `json:"samples,omitempty"`
	WAN           json.RawMessage    `json:"wan,omitempty"` // what the link counted
	Error         string             `json:"error,omitempty"`
}

// sample is how far a transfer had come.
type sample struct {
	At    float64 `json:"at"` // seconds from the start of the sender
	Bytes int64   `json:"bytes"`
	RTT   float64 `json:"rtt_s,omitempty"`
	// Arrived is the payload of all packets that came to udtcp, repeated ones too: its files grow by whole MiB only.
	Arrived int64 `json:"arrived,omitempty"`
}

// keep writes a result down.
func (r *runner) keep(v any) error {
	line, err := json.Marshal(v)
	if err == nil {
		_, err = r.results.Write(append(line, '\n'))
	}
	return err
}

// size is how much goes over a link, bytes.
func (r *runner) size(l link) int64 {
	if l.size < mB {
		return l.size
	}
	return max(1, int64(float64(l.size)*r.scale))
}

// transferOver sends a file over a link of its own.
func (r *runner) transferOver(suiteName string, l link, peer string) (*result, *trace, error) {
	size := r.size(l)
	source, err := r.source(size)
	if err != nil {
		return nil, nil, err
	}
	return r.send(suiteName, l, peer, source, size)
}

// send sends what source names, of so many bytes, over a link of its own.
func (r *runner) send(suiteName string, l link, peer, source string, size int64) (*result, *trace, error) {
	path, err := simnet.ParsePath(l.path)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", l.path, err)
	}
	w, err := startWAN(r.wanlink, l.path, r.limit+time.Minute, traceFlags(path)...)
	if err != nil {
		return nil, nil, err
	}
	r.runs++
	res := &result{Suite: suiteName, Link: l.name, Path: l.path, Peer: peer, Bytes: size}
	t, err := r.transfer(w, peer, source)
	counts, stopErr := w.stop()
	if stopErr != nil {
		return nil, nil, fmt.Errorf("the link: %w", stopErr)
	}
	res.WAN = counts.line
	if err != nil {
		r.failed++
		res.Error = err.Error()
		say("  %s over %s failed: %v", peer, l.name, err)
		return res, t, nil
	}
	counts.warn()
	select {
	case t.began = <-w.began:
	default:
	}
	t.link = counts.There.Trace.samples(t.at(t.began), (path.There.Delay + path.Back.Delay).Seconds())
	res.summarise(t, path)
	if r.brief && isOurs(peer) && !res.Finished {
		r.failed++
		say("  %s over %s did not finish in %v", peer, l.name, r.limit)
	}
	return res, t, nil
}

// summarise fills in what a trace tells.
func (res *result) summarise(t *trace, path simnet.Path) {
	res.Finished = t.finished
	res.Seconds = t.seconds
	res.Goodput = float64(res.Bytes) * 8 / t.seconds
	res.Share = res.Goodput / capacity(path.There)
	if span := t.seconds - 2; t.finished && span >= 1 && len(t.received) > 0 {
		steps := progress(t.received)
		bytes := bytesAt(steps, t.seconds-1) - bytesAt(steps, 1)
		res.Steady = bytes * 8 / span / capacity(path.There)
	}
	needed := float64(res.Bytes) / packetBytes
	if t.finished && needed > 100 {
		res.Retransmitted = float64(t.retransmitted) / needed
	}
	res.RTT = meanRTT(t.sent, t.seconds/4, t.seconds)
	res.Samples = t.samples()
}

// source gives a file of that size, whose bytes no link makes smaller.
func (r *runner) source(size int64) (string, error) {
	name := filepath.Join(r.work, fmt.Sprintf("source-%d", size))
	if _, err := os.Stat(name); err == nil {
		return name, nil
	}
	if err := r.removeFiles("source-*"); err != nil {
		return "", err
	}
	var seed [32]byte
	block := make([]byte, 1<<20)
	f, err := os.Create(name)
	if err != nil {
		return "", err
	}
	random := rand.NewChaCha8(seed)
	for left := size; left > 0 && err == nil; left -= int64(len(block)) {
		_, _ = random.Read(block) // never fails
		_, err = f.Write(block[:min(left, int64(len(block)))])
	}
	return name, errors.Join(err, f.Close())
}

// removeFiles makes room in the working directory.
func (r *runner) removeFiles(pattern string) error {
	names, err := filepath.Glob(filepath.Join(r.work, pattern))
	for _, name := range names {
		err = errors.Join(err, os.RemoveAll(name))
	}
	return err
}

// same compares what arrived, a file or a tree, with what was sent.
func same(a, b string) error {
	out, err := exec.Command("diff", "-rq", a, b).CombinedOutput()
	if err != nil {
		return fmt.Errorf("what arrived differs: %s", bytes.TrimSpace(out))
	}
	return nil
}

// transfer sends a file from near to far as the peer does it.
func (r *runner) transfer(w *wan, peer, source string) (*trace, error) {
	if err := r.removeFiles("got*"); err != nil {
		return nil, err
	}
	got := filepath.Join(r.work, "got")
	switch {
	case strings.HasPrefix(peer, "tcp-"):
		return r.sendTCP(w, strings.TrimPrefix(peer, "tcp-"), source, got)
	case peer == "libudt":
		return r.sendLibudt(w, source)
	case peer == toOurs:
		return r.sendLibudtToOurs(w, source)
	}
	return r.sendOurs(w, peer, source, got)
}
