package cli

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// Both ends of UDT4's exchange are ours: events, digests, messages and progress are those of other transfers.
func TestCompat(t *testing.T) {
	n, dir := newMemNet(), t.TempDir()
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	src, dst := writeFile(t, dir, "a.bin", data), filepath.Join(dir, "got")
	s := start(t, procOptions{net: n}, "send", "--listen", ":0", "--compat", "sendfile", "--json", "-v", src)
	r := run(t, procOptions{net: n}, "recv", "--compat", "sendfile", "127.0.0.1:"+s.listening(), "a.bin", "-o", dst, "--json").ends(0)
	s.ends(0)
	if got, err := os.ReadFile(dst); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	s.says(`sent 1.0 MiB in .*, blake3 [0-9a-f]{64}`)
	for _, p := range []*process{s, r} {
		if c := strings.Count(p.stderr.String(), "neither verified nor encrypted"); c != 1 {
			t.Errorf("the caution comes %d times: %s", c, p.stderr)
		}
	}
	se, re := lastEvent(t, s.stdout.String()), lastEvent(t, r.stdout.String())
	for _, ev := range []map[string]any{se, re} {
		if ev["exit_code"] != 0.0 || ev["files"] != 1.0 || ev["bytes"] != float64(len(data)) || ev["digest_algorithm"] != "blake3" {
			t.Errorf("end %v", ev)
		}
	}
	if se["digest"] != re["digest"] || len(se["digest"].(string)) != 64 {
		t.Errorf("digests %v and %v", se["digest"], re["digest"])
	}
	names := map[any]bool{}
	for _, ev := range events(t, r.stdout.String()) {
		names[ev["event"]] = true
		if ev["event"] == "file" && (ev["name"] != "a.bin" || ev["size"] != float64(len(data)) || ev["digest"] != re["digest"]) {
			t.Errorf("file %v", ev)
		}
	}
	if !names["connected"] || !names["file"] {
		t.Errorf("events %v", names)
	}
}

// What is in the environment is meant for other runs.
func TestCompatEnvironment(t *testing.T) {
	n, dir := newMemNet(), t.TempDir()
	env := map[string]string{"UDTCP_NO_PRESERVE": "1", "UDTCP_COMPAT": "sendfile"}
	s := start(t, procOptions{net: n, env: env}, "send", "--listen", ":0", writeFile(t, dir, "a", []byte("hello")))
	r := run(t, procOptions{net: n, env: env}, "recv", "127.0.0.1:"+s.listening(), "a", "-o", "-").ends(0)
	s.ends(0)
	if r.stdout.String() != "hello" {
		t.Errorf("%q", r.stdout)
	}
}

// send -k serves clients side by side, each with its own outcome; without -k the first client's outcome is the run's.
func TestCompatKeepOpen(t *testing.T) {
	n, dir := newMemNet(), t.TempDir()
	t.Chdir(dir)
	if err := os.Mkdir("d", 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "a", []byte("a"))
	writeFile(t, dir, "d/b", []byte(strings.Repeat("b", 1<<20)))
	s := start(t, procOptions{net: n}, "send", "-k", "--listen=:0", "--compat=sendfile", "a", "d/b", "--json")
	to := "127.0.0.1:" + s.listening()
	// The first client's reader stands still while others come and go.
	hung, out := io.Pipe()
	first := start(t, procOptions{net: n, stdout: out}, "recv", "--compat=sendfile", to, "b", "-o", "-")
	if _, err := io.ReadFull(hung, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "d/b", "b"} {
		run(t, procOptions{net: n}, "recv", "--compat=sendfile", to, name, "-o", "got", "--overwrite").ends(0)
	}
	run(t, procOptions{net: n}, "recv", "--compat=sendfile", to, "./a", "-o", "none").ends(8).says(`"\./a": there is no such file to be had`, "hint: ")
	s.signals <- syscall.SIGTERM
	s.stderr.await("finishing what is in flight", s.done)
	go func() { _, _ = io.Copy(io.Discard, hung) }()
	first.ends(0)
	s.ends(0).says(`udtcp: 127\.0\.0\.1:\d+: refuse: the client asks for "\./a", which is not served`)
	codes := map[any]int{}
	for _, ev := range events(t, s.stdout.String()) {
		if ev["event"] == "end" && ev["peer"] != nil {
			codes[ev["exit_code"]]++
		}
	}
	if ev := lastEvent(t, s.stdout.String()); codes[0.0] != 4 || codes[9.0] != 1 || ev["files"] != 4.0 {
		t.Errorf("outcomes %v, end %v", codes, ev)
	}

	s = start(t, procOptions{net: n}, "send", "--listen=:0", "--compat=sendfile", "a")
	run(t, procOptions{net: n}, "recv", "--compat=sendfile", "127.0.0.1:"+s.listening(), "b").ends(8)
	s.ends(9)
	if _, err := os.Stat("b"); !os.IsNotExist(err) {
		t.Error(err)
	}
}

// One end speaks UDT4's exchange and the other does not: both say so at once.
func TestCompatMismatch(t *testing.T) {
	n, dir := newMemNet(), t.TempDir()
	src := writeFile(t, dir, "a", []byte("hello"))
	run(t, procOptions{net: n}, "key", "show").ends(0)
	s := start(t, procOptions{net: n}, "send", "--listen=:0", "--compat=sendfile", src)
	run(t, procOptions{net: n}, "recv", "127.0.0.1:"+s.listening(), "-o", dir+"/got").ends(4).says("does not speak udtcp's")
	s.ends(9).says("is a udtcp that does not speak UDT4's sendfile exchange", "hint: .*--compat sendfile")
	s = start(t, procOptions{net: n}, "send", "--listen=:0", src)
	run(t, procOptions{net: n}, "recv", "--compat=sendfile", "127.0.0.1:"+s.listening(), "a", "-o", dir+"/got").ends(9).
		says("is a udtcp that does not speak UDT4's sendfile exchange", "hint: .*--compat sendfile")
	s.signals <- os.Interrupt // it waits for one that does
	s.ends(130)
}

// A name that does not fit one packet is not sent: a server would take a part for all of it.
func TestCompatSmallPackets(t *testing.T) {
	l := &memLink{mss: 576}
	if err := requestFits(l, strings.Repeat("n", 528)); err != nil {
		t.Error(err)
	}
	if err := requestFits(l, strings.Repeat("n", 529)); err == nil || judge(err).status != exitPolicy {
		t.Error(err)
	}
}

// A peer that keeps its connection alive and does nothing else is given up after --timeout: a client that does not take
// the file, whether or not all of it is written, and a server that does not answer.
func TestCompatStall(t *testing.T) {
	t.Parallel()
	const timeout = "3s" // keep-alives come every second
	for _, size := range []int{300 << 10, 20 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			src := writeFile(t, t.TempDir(), "a", make([]byte, size))
			s := start(t, procOptions{udp: true}, "send", "--listen=127.0.0.1:0", "--compat=sendfile", "--timeout", timeout, src)
			c := dialUDT(t, s.listening(), &udt.Config{Window: 64 << 10})
			if _, err := c.Write(append(binary.LittleEndian.AppendUint32(nil, 1), 'a')); err != nil {
				t.Fatal(err)
			}
			s.ends(5).says("no progress for 3.00 s")
		})
	}
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		lis, err := udt.Listen("udp", "127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer lis.Close()
		at := netip.MustParseAddrPort(lis.Addr().String())
		r := start(t, procOptions{udp: true}, "recv", "--compat=sendfile", "--timeout", timeout, at.String(), "a", "-o", "-")
		c, err := lis.AcceptUDT()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Abort()
		if _, err := c.Write([]byte{1, 0, 0}); err != nil { // a part of the size
			t.Fatal(err)
		}
		r.ends(5).says("no progress for 3.00 s")
	})
}

// A peer that takes its time is not given up: what is acknowledged is progress, also when everything is written.
func TestAcknowledgedIsProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const d = 20 * time.Second
		l := &memLink{}
		l.unacknowledged.Store(10)
		m := newMeter(l)
		ctx, stop := watchProgress(t.Context(), d, m.progress, func() bool { return true }, l.Silence)
		defer stop()
		for range 10 {
			<-time.After(d * 3 / 4)
			l.unacknowledged.Add(-1)
		}
		if ctx.Err() != nil {
			t.Fatal(context.Cause(ctx))
		}
		<-time.After(2 * d)
		if err := context.Cause(ctx); err == nil || judge(err).status != exitLost {
			t.Errorf("a standstill: %v", err)
		}
	})
}

// So is it for a server that has written everything.
func TestCompatSlowClient(t *testing.T) {
	dir := t.TempDir()
	src := writeFile(t, dir, "a", []byte("hello"))
	for _, c := range []struct {
		acknowledges bool
		code         int
	}{{true, 0}, {false, 5}} {
		synctest.Test(t, func(t *testing.T) {
			n := newMemNet()
			s := start(t, procOptions{net: n}, "send", "--listen=:1", "--compat=sendfile", "--timeout", "1s", src)
			s.listening()
			client, server := n.memLinks()
			server.unacknowledged.Store(100)
			n.listeners[1].queue <- server
			n.change()
			if _, err := client.Write(append(binary.LittleEndian.AppendUint32(nil, 1), 'a')); err != nil {
				t.Fatal(err)
			}
			for range 3 { // less than the server waits for the client to close first
				<-time.After(time.Second / 2)
				if c.acknowledges {
					server.unacknowledged.Add(-1)
				}
			}
			s.ends(c.code)
		})
	}
}

// dialUDT connects to a process of the test.
func dialUDT(t *testing.T, port string, cfg *udt.Config) *udt.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := udt.Dial(ctx, "udp", "127.0.0.1:"+port, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Abort() })
	return c
}
