package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// process is one run of Main inside the test.
type process struct {
	t              *testing.T
	stdout, stderr *watched
	all            *watched // both
	signals        chan os.Signal
	released       chan struct{} // closed when the run lets go of signals
	done           chan struct{}
	code           int
}

// options of a run; the zero value is a plain process.
type procOptions struct {
	net     *memNet
	udp     bool    // real UDT in place of net
	network network // something around net
	protect func() error
	limit   int64 // of bytes over one secure connection; 0 is that of udtcp
	stdin   io.Reader
	stdout  io.Writer // in place of the watched one
	env     map[string]string
	config  string // the user's XDG_CONFIG_HOME; empty: that of the network, so that both ends are one user
	tty     bool   // standard error is a terminal
	width   int
}

// start runs a command line.
func start(t *testing.T, o procOptions, args ...string) *process {
	t.Helper()
	if o.net == nil {
		o.net = newMemNet()
	}
	if o.config == "" {
		o.config = o.net.configHome(t)
	}
	p := &process{
		t: t, stdout: newWatched(), stderr: newWatched(), all: newWatched(),
		signals: make(chan os.Signal, 1), released: make(chan struct{}), done: make(chan struct{}),
	}
	env := Env{
		Stdin: o.stdin, Stdout: io.MultiWriter(p.stdout, p.all), Stderr: io.MultiWriter(p.stderr, p.all), StderrTerminal: o.tty,
		LookupEnv: func(name string) (string, bool) {
			v, ok := o.env[name]
			switch {
			case !ok && name == "XDG_CONFIG_HOME":
				return o.config, true
			case !ok && name == "UDTCP_RETRY_FOR":
				return "0", true // what is lost is to be lost at once, but where a test is about that
			}
			return v, ok
		},
		Width: func() int { return o.width },
		Notify: func() (<-chan os.Signal, func()) {
			return p.signals, sync.OnceFunc(func() { close(p.released) })
		},
		Protect: o.protect, network: o.net, lineLimit: o.limit,
	}
	switch {
	case o.udp:
		env.network = nil
	case o.network != nil:
		env.network = o.network
	}
	if o.stdout != nil {
		env.Stdout = o.stdout
	}
	go func() {
		defer close(p.done)
		p.code = Main(args, env)
	}()
	return p
}

// run runs a command line to its end.
func run(t *testing.T, o procOptions, args ...string) *process {
	t.Helper()
	p := start(t, o, args...)
	p.wait()
	return p
}

// wait waits for the end and gives the exit status.
func (p *process) wait() int {
	p.t.Helper()
	<-p.done
	return p.code
}

// ends waits for the end and checks the exit status.
func (p *process) ends(code int) *process {
	p.t.Helper()
	if got := p.wait(); got != code {
		p.t.Fatalf("exit status %d, want %d\nstderr: %s\nstdout: %s", got, code, p.stderr, p.stdout)
	}
	return p
}

// says checks standard error.
func (p *process) says(patterns ...string) *process {
	p.t.Helper()
	for _, re := range patterns {
		if !regexp.MustCompile(re).MatchString(p.stderr.String()) {
			p.t.Errorf("standard error has nothing of %q:\n%s", re, p.stderr)
		}
	}
	return p
}

// listening waits until the process listens and gives its port.
func (p *process) listening() string {
	p.t.Helper()
	m := p.all.await(`(?:listening on |"address":")\S+:(\d+)["\n]`, p.done)
	if m == nil {
		p.t.Fatalf("ended instead of listening: %s", p.stderr)
	}
	return m[1]
}

// watched is a writer whose content can be waited for.
type watched struct {
	mu      sync.Mutex
	b       bytes.Buffer
	changed chan struct{} // closed and replaced with every write
}

func newWatched() *watched { return &watched{changed: make(chan struct{})} }

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
	return w.b.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// await waits until the content matches, and gives the submatches; nil when done is closed first.
func (w *watched) await(pattern string, done <-chan struct{}) []string {
	re := regexp.MustCompile(pattern)
	for {
		w.mu.Lock()
		m, changed := re.FindStringSubmatch(w.b.String()), w.changed
		w.mu.Unlock()
		if m != nil {
			return m
		}
		select {
		case <-changed:
		case <-done:
			return re.FindStringSubmatch(w.String())
		}
	}
}

// awaitLen waits until so many bytes were written.
func (w *watched) awaitLen(n int) {
	for {
		w.mu.Lock()
		have, changed := w.b.Len(), w.changed
		w.mu.Unlock()
		if have >= n {
			return
		}
		<-changed
	}
}

// events parses JSON lines.
func events(t *testing.T, s string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range strings.Lines(s) {
		var ev map[string]any
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatalf("not JSON: %q: %v", line, err)
		}
		if _, err := time.Parse(time.RFC3339, ev["time"].(string)); err != nil {
			t.Errorf("time: %v", err)
		}
		out = append(out, ev)
	}
	return out
}

// lastEvent is the last JSON line, which must be the event "end".
func lastEvent(t *testing.T, s string) map[string]any {
	t.Helper()
	all := events(t, s)
	if len(all) == 0 {
		t.Fatal("no events")
	}
	last := all[len(all)-1]
	if last["event"] != "end" {
		t.Fatalf("the last event is %v", last["event"])
	}
	return last
}
