package udt_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Peers are C++ programs on libudt 4.11; see testdata/peers. They are built
// once a run. Where that is not possible the tests are skipped, unless this
// variable is set, as it is in CI.
const requireInterop = "UDTCP_REQUIRE_INTEROP"

const (
	testTimeout = 60 * time.Second // of one test case
	peerLimit   = 55               // seconds after which a peer gives up by itself
)

// lab builds and starts peers.
type lab struct{ udtpeer string }

func newLab(t *testing.T) *lab {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "make", "-C", filepath.Join("..", "..", "testdata", "peers"), "OUT="+dir).CombinedOutput()
	if err == nil {
		return &lab{udtpeer: filepath.Join(dir, "udtpeer")}
	}
	if v := os.Getenv(requireInterop); v != "" && v != "0" {
		t.Fatalf("cannot build the libudt peer: %v\n%s", err, out)
	}
	const rule = "*************************************************************************"
	t.Skipf("\n%s\nINTEROP NOT TESTED: cannot build the libudt peer (%v).\nInstall it: apt-get install g++ make libudt-dev\n%s\n%s", rule, err, out, rule)
	return nil
}

// peer is one running udtpeer.
type peer struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  chan string   // every line of stdout
	ended  chan struct{} // closed when the process is gone
	stderr strings.Builder
	seen   []string
	port   uint16
}

// serve starts a listener and waits for its port. Args are separated by spaces
// in flags.
func (l *lab) serve(t *testing.T, flags string) *peer {
	t.Helper()
	p := l.start(t, append([]string{"serve"}, strings.Fields(flags)...)...)
	port, err := strconv.ParseUint(strings.TrimPrefix(p.await("listening "), "listening "), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	p.port = uint16(port)
	return p
}

// dial starts a client of addr.
func (l *lab) dial(t *testing.T, addr netip.AddrPort, flags string) *peer {
	t.Helper()
	return l.start(t, append([]string{"dial", addr.Addr().String(), strconv.Itoa(int(addr.Port()))}, strings.Fields(flags)...)...)
}

func (l *lab) start(t *testing.T, args ...string) *peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	args = append(args, "--limit", strconv.Itoa(peerLimit))
	p := &peer{
		t: t, cmd: exec.CommandContext(ctx, l.udtpeer, args...),
		lines: make(chan string, 1024), ended: make(chan struct{}),
	}
	p.cmd.Stderr = &p.stderr
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		defer close(p.lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			p.lines <- s.Text()
		}
		_ = p.cmd.Wait() // the exit status is read from ProcessState
	}()
	t.Cleanup(func() {
		cancel() // kills what is still there
		for range p.lines {
			continue
		}
		<-p.ended
		if t.Failed() {
			t.Logf("udtpeer %s: %v\n%s\n%s", strings.Join(args, " "), p.cmd.ProcessState, strings.Join(p.seen, "\n"), p.stderr.String())
		}
	})
	return p
}

// loopback is where a serving peer is found.
func (p *peer) loopback() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), p.port)
}

func (p *peer) loopback6() netip.AddrPort {
	return netip.AddrPortFrom(netip.IPv6Loopback(), p.port)
}

// await gives the next line that begins with prefix.
func (p *peer) await(prefix string) string {
	p.t.Helper()
	for line := range p.lines {
		p.seen = append(p.seen, line)
		if strings.HasPrefix(line, prefix) {
			return line
		}
	}
	p.t.Fatalf("udtpeer ended without saying %q", prefix)
	return ""
}

// release ends a peer's wait for its standard input.
func (p *peer) release() { _ = p.stdin.Close() }

// kill ends the process on the spot: no shutdown packet, no goodbye.
func (p *peer) kill() { _ = p.cmd.Process.Kill() }

// report is what a peer says of one connection.
type report struct {
	index                   int
	ok                      bool
	code                    int // libudt's error code, 0 without one
	sent, received          int64
	messages                int64  // sent or received
	digestSent, digestGiven uint64 // of what it sent, of what it was given
	badAt                   int64
	retransmitted           int64
}

// reports waits for the end of the process and gives what it said of its
// connections, and its exit status.
func (p *peer) reports() ([]report, int) {
	p.t.Helper()
	for line := range p.lines {
		p.seen = append(p.seen, line)
	}
	<-p.ended
	var rs []report
	for _, line := range p.seen {
		if rest, ok := strings.CutPrefix(line, "conn "); ok {
			r, err := parseReport(rest)
			if err != nil {
				p.t.Fatalf("%q: %v", line, err)
			}
			rs = append(rs, r)
		}
	}
	return rs, p.cmd.ProcessState.ExitCode()
}

// report waits for the end of a peer with one connection.
func (p *peer) report() report {
	p.t.Helper()
	rs, status := p.reports()
	if len(rs) != 1 {
		p.t.Fatalf("%d connections reported, want 1; exit status %d", len(rs), status)
	}
	return rs[0]
}

// good is report for a connection that must have done its job.
func (p *peer) good() report {
	p.t.Helper()
	r := p.report()
	if !r.ok {
		p.t.Fatalf("libudt's end failed: %+v", r)
	}
	return r
}

func parseReport(line string) (r report, err error) {
	r.badAt = -1
	for field := range strings.FieldsSeq(line) {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "index":
			r.index, err = strconv.Atoi(value)
		case "ok":
			r.ok = value == "1"
		case "code":
			r.code, err = strconv.Atoi(value)
		case "sent":
			r.sent, err = strconv.ParseInt(value, 10, 64)
		case "received":
			r.received, err = strconv.ParseInt(value, 10, 64)
		case "messages":
			r.messages, err = strconv.ParseInt(value, 10, 64)
		case "digest_sent":
			r.digestSent, err = strconv.ParseUint(value, 16, 64)
		case "digest_received":
			r.digestGiven, err = strconv.ParseUint(value, 16, 64)
		case "bad_at":
			r.badAt, err = strconv.ParseInt(value, 10, 64)
		case "retransmitted":
			r.retransmitted, err = strconv.ParseInt(value, 10, 64)
		}
		if err != nil {
			return r, fmt.Errorf("field %s: %w", field, err)
		}
	}
	return r, nil
}
