package cli

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// peerPatience is for the slowest of machines.
const peerPatience = 3 * time.Minute

// libudtPeer is the C++ program that talks to us; see testdata/peers.
type libudtPeer struct{ path string }

// newLibudtPeer builds it. Where that is not possible the test is skipped, unless it is required.
func newLibudtPeer(t *testing.T) libudtPeer {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "make", "-C", filepath.Join("..", "..", "testdata", "peers"), "OUT="+dir).CombinedOutput()
	if err == nil {
		return libudtPeer{filepath.Join(dir, "udtpeer")}
	}
	if v := os.Getenv("UDTCP_REQUIRE_INTEROP"); v != "" && v != "0" {
		t.Fatalf("cannot build the libudt peer: %v\n%s", err, out)
	}
	t.Skipf("INTEROP NOT TESTED: cannot build the libudt peer: %v\n%s", err, out)
	return libudtPeer{}
}

// command is a run of the peer that ends with the test.
func (p libudtPeer) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), peerPatience)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, p.path, append(args, "--limit", fmt.Sprint(peerPatience.Seconds()))...)
}

// fetch is UDT4's recvfile; it gives what the peer said.
func (p libudtPeer) fetch(t *testing.T, port, name, file string, flags ...string) string {
	t.Helper()
	cmd := p.command(t, append([]string{"dial", "127.0.0.1", port, "--mode", "recvfile", "--name", name, "--file", file}, flags...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("recvfile: %v\n%s", err, out)
	}
	return string(out)
}

// serve is UDT4's sendfile, for so many clients. wait checks that it served them all well.
func (p libudtPeer) serve(t *testing.T, clients int) (address string, wait func()) {
	t.Helper()
	cmd := p.command(t, "serve", "--mode", "sendfile", "--conns", fmt.Sprint(clients))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(stdout)
	line, err := r.ReadString('\n')
	port, ok := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	if err != nil || !ok {
		t.Fatalf("sendfile: %q, %v", line, err)
	}
	return "127.0.0.1:" + port, func() {
		t.Helper()
		rest, readErr := io.ReadAll(r)
		if err := cmd.Wait(); err != nil || readErr != nil {
			t.Errorf("sendfile: %v, %v\n%s%s", err, readErr, rest, &stderr)
		}
	}
}

// TestInterop runs whole commands against programs on the C++ library.
func TestInterop(t *testing.T) {
	t.Parallel()
	p := newLibudtPeer(t)
	t.Run("Sizes", func(t *testing.T) { testSendfileSizes(t, p) })
	t.Run("Names", func(t *testing.T) { testSendfileNames(t, p) })
}

// unacknowledged is what the server says of a client whose shutdown came and whose last ACK did not: libudt's thread wakes the
// program before it sends the ACK, and on a busy machine the program is sometimes done before that thread goes on. Nobody at
// the server can know then that the client has everything.
const unacknowledged = "before the client had acknowledged it"

// Files go to and come from UDT4's own programs.
func testSendfileSizes(t *testing.T, p libudtPeer) {
	known := 0
	defer func() {
		if known == 0 {
			t.Error("not one client has acknowledged everything")
		}
	}()
	for _, size := range []int{0, 1, 1448, 1449, 1 << 20, 50_000_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			if size > 1<<20 && testing.Short() {
				t.Skip("short")
			}
			dir := t.TempDir()
			data := make([]byte, size)
			_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(data) // never fails
			src := writeFile(t, dir, "source", data)
			same := func(file string) {
				t.Helper()
				if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes, want %d, or others: %v", len(got), size, err)
				}
			}
			theirs, ours := filepath.Join(dir, "theirs"), filepath.Join(dir, "ours")

			s := start(t, procOptions{udp: true}, "send", "--listen=127.0.0.1:0", "--compat=sendfile", src)
			p.fetch(t, s.listening(), "source", theirs)
			if s.wait() == int(exitUnknown) {
				s.says(unacknowledged)
			} else {
				s.ends(0)
				known++
			}
			same(theirs)

			at, wait := p.serve(t, 1)
			run(t, procOptions{udp: true}, "recv", "--compat=sendfile", at, src, "-o", ours).ends(0)
			wait()
			same(ours)
		})
	}
}

// Names are as long as UDT4's server has room for, clients come side by side and one after another, and not every file is
// to be had.
func testSendfileNames(t *testing.T, p libudtPeer) {
	dir := t.TempDir()
	src := writeFile(t, dir, "source", []byte("hello"))
	long := dir + strings.Repeat("/", 1023-len(src)+1) + "source"
	got := filepath.Join(dir, "got")

	s := start(t, procOptions{udp: true}, "send", "-k", "--listen=127.0.0.1:0", "--compat=sendfile", long)
	port := s.listening()
	const clients = 8
	p.fetch(t, port, long, got, "--conns", fmt.Sprint(clients)) // side by side
	if b, err := os.ReadFile(got); string(b) != "hello" {
		t.Errorf("%q, %v", b, err)
	}
	if out := p.fetch(t, port, src, filepath.Join(dir, "none")); !strings.Contains(out, "absent size=-1") {
		t.Errorf("a file that is not served:\n%s", out)
	}
	s.signals <- syscall.SIGTERM
	s.wait()
	unknown := strings.Count(s.stderr.String(), unacknowledged)
	if unknown == 0 {
		s.ends(0)
	}
	if c := strings.Count(s.stderr.String(), "sent 5 B") + unknown; c != clients {
		t.Errorf("%d of %d: %s", c, clients, s.stderr)
	}

	at, wait := p.serve(t, clients+1)
	for range clients {
		r := run(t, procOptions{udp: true}, "recv", "--compat=sendfile", at, long, "-o", "-").ends(0)
		if r.stdout.String() != "hello" {
			t.Errorf("received %q", r.stdout)
		}
	}
	run(t, procOptions{udp: true}, "recv", "--compat=sendfile", at, long+"x", "-o", "-").ends(2)
	run(t, procOptions{udp: true}, "recv", "--compat=sendfile", at, long[1:], "-o", got, "--overwrite").ends(8).says("no such file to be had")
	wait()
	if b, err := os.ReadFile(got); string(b) != "hello" {
		t.Errorf("the old file is %q, %v", b, err)
	}
}
