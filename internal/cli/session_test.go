package cli

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// writeFile makes a file under dir and gives its path.
func writeFile(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSendAndReceive(t *testing.T) {
	n, dir := newMemNet(), t.TempDir()
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	src := writeFile(t, dir, "a.bin", data)
	r := start(t, procOptions{net: n}, "recv", "--listen=:0", "-o", dir+"/in/", "--json", "--interval", "10ms")
	s := run(t, procOptions{net: n}, "send", "--json", "-v", "127.0.0.1:"+r.listening(), src).ends(0)
	r.ends(0)
	got, err := os.ReadFile(filepath.Join(dir, "in", "a.bin"))
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	s.says(`sent 1.0 MiB in .*, blake3 [0-9a-f]{64}`)
	se, re := lastEvent(t, s.stdout.String()), lastEvent(t, r.stdout.String())
	for _, ev := range []map[string]any{se, re} {
		if ev["exit_code"] != 0.0 || ev["files"] != 1.0 || ev["bytes"] != float64(len(data)) || ev["digest_algorithm"] != "blake3" || ev["reason"] != "complete" {
			t.Errorf("end %v", ev)
		}
		if _, ok := ev["stats"].(map[string]any)["ms_rtt"]; !ok {
			t.Errorf("stats %v", ev["stats"])
		}
	}
	if se["digest"] != re["digest"] || se["digest"] == "" {
		t.Errorf("digests %v and %v", se["digest"], re["digest"])
	}
	names := map[any]bool{}
	for _, ev := range events(t, r.stdout.String()) {
		names[ev["event"]] = true
		if ev["event"] == "file" && (ev["name"] != "a.bin" || ev["size"] != float64(len(data)) || ev["digest"] != re["digest"] || ev["resumed_bytes"] != 0.0) {
			t.Errorf("file %v", ev)
		}
	}
	if !names["listening"] || !names["connected"] || !names["file"] {
		t.Errorf("events %v", names)
	}
}

// The other direction: the sender listens, its address a word of its own.
func TestSenderListens(t *testing.T) {
	n, dir := newMemNet(), t.TempDir()
	src := writeFile(t, dir, "a", []byte("hello"))
	for _, args := range [][]string{
		{"send", "--insecure", "--listen", ":0", src},
		{"send", "--insecure", src, "--listen", ":0"},
		{"send", "--insecure", "--listen", "-v", ":0", src},
		{"send", "--insecure", "--listen", "--bind", ":0", src},
	} {
		s := start(t, procOptions{net: n}, args...)
		r := run(t, procOptions{net: n}, "recv", "-o", "-", "--insecure", "127.0.0.1:"+s.listening()).ends(0)
		s.ends(0)
		if r.stdout.String() != "hello" {
			t.Errorf("%v: %q", args, r.stdout)
		}
		s.says("warning: --insecure: nothing is encrypted")
		r.says("warning: --insecure: nothing is encrypted")
	}
}

func TestQuietSaysNothing(t *testing.T) {
	n := newMemNet()
	r := start(t, procOptions{net: n}, "recv", "--listen=:0", "-o", "-", "--json", "-q")
	s := run(t, procOptions{net: n, stdin: strings.NewReader("stream"), tty: true}, "send", "-q", "127.0.0.1:"+r.listening(), "-").ends(0)
	r.ends(0)
	if s.stderr.String() != "" {
		t.Errorf("send -q says %q", s.stderr)
	}
	if r.stdout.String() != "stream" {
		t.Errorf("received %q", r.stdout)
	}
	lastEvent(t, r.stderr.String())
}

func TestMissingSourceBeforeConnecting(t *testing.T) {
	n := newMemNet()
	run(t, procOptions{net: n}, "send", "127.0.0.1", "/nonexistent/file").ends(7).says("udtcp: .*nonexistent", "hint: ")
	if len(n.dialled) != 0 {
		t.Error("it dialled all the same")
	}
}

func TestExistingFileBeforeListening(t *testing.T) {
	n, path := newMemNet(), writeFile(t, t.TempDir(), "there", []byte("old"))
	run(t, procOptions{net: n}, "recv", "--listen=:0", "-o", path).ends(9).says("exists", "hint: .*--overwrite")
	if len(n.asked) != 0 {
		t.Error("it listened all the same")
	}
}

// Each failing end tells the other, and both end with the statuses of the contract.
func TestRefusedByReceiver(t *testing.T) {
	n, dir := newMemNet(), t.TempDir()
	src := writeFile(t, t.TempDir(), "a", []byte("hello"))
	writeFile(t, dir, "a", []byte("another"))
	r := start(t, procOptions{net: n}, "recv", "--listen=:0", "-o", dir, "--json")
	s := run(t, procOptions{net: n}, "send", "--json", "127.0.0.1:"+r.listening(), src).ends(9)
	r.ends(9)
	for _, p := range []*process{s, r} {
		if ev := lastEvent(t, p.stdout.String()); ev["exit_code"] != 9.0 || !strings.Contains(ev["reason"].(string), "exists") {
			t.Errorf("end %v", ev)
		}
	}
	r = start(t, procOptions{net: n}, "recv", "--listen=:0", "-o", dir+"/new/", "--max-size", "4")
	run(t, procOptions{net: n}, "send", "127.0.0.1:"+r.listening(), src).ends(9)
	r.ends(9)
}

func TestClosedOutput(t *testing.T) {
	n := newMemNet()
	r := start(t, procOptions{net: n, stdout: brokenPipe{}}, "recv", "--listen=:0", "-o", "-")
	run(t, procOptions{net: n, stdin: strings.NewReader(strings.Repeat("x", 1<<20))}, "send", "127.0.0.1:"+r.listening(), "-").ends(8)
	r.ends(7)
}

func TestInterrupted(t *testing.T) {
	for sig, code := range map[os.Signal]int{os.Interrupt: 130, syscall.SIGTERM: 143} {
		// While waiting for a peer.
		p := start(t, procOptions{}, "recv", "--listen=:0", "--json", "-o", t.TempDir())
		p.listening()
		p.signals <- sig
		p.ends(code)
		if ev := lastEvent(t, p.stdout.String()); ev["exit_code"] != float64(code) {
			t.Errorf("end %v", ev)
		}
		<-p.released // the next one kills

		// In the middle of a stream.
		n, dir := newMemNet(), t.TempDir()
		in, feed := io.Pipe()
		r := start(t, procOptions{net: n}, "recv", "--listen=:0", "-o", dir+"/f")
		s := start(t, procOptions{net: n, stdin: in}, "send", "-v", "127.0.0.1:"+r.listening(), "-")
		s.stderr.await("connected to", s.done)
		s.signals <- sig
		s.ends(code)
		r.ends(5)
		feed.Close()
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

func TestDialFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		n.silent = true
		began := time.Now()
		p := run(t, procOptions{net: n}, "recv", "--connect-timeout", "4s", "127.0.0.1:7", "--json").ends(3)
		p.says(`no connection to 127.0.0.1:7 within 4.00 s; tried 127.0.0.1:7 \(no answer\)`, "hint: .*port 7 ")
		if d := time.Since(began); d < 3*time.Second || d > 5*time.Second {
			t.Errorf("after %v", d)
		}
		lastEvent(t, p.stdout.String())
	})
	n := newMemNet()
	n.rejects = true
	run(t, procOptions{net: n}, "recv", "[::1]:7").ends(3).says(`tried \[::1\]:7 \(refused\)`)
	run(t, procOptions{net: n}, "recv", "-4", "[::1]:7").ends(3).says("has no address of the family")
	run(t, procOptions{net: n}, "recv", "--bind", "127.0.0.1", "::1").ends(3).says("has no address of the family")
}

func TestPortInUse(t *testing.T) {
	n := newMemNet()
	first := start(t, procOptions{net: n}, "cat", "--listen=:0")
	port := first.listening()
	run(t, procOptions{net: n}, "cat", "--listen", ":"+port).ends(3).says("port in use: :"+port, "hint: 'ss -ulpn'")
	first.signals <- os.Interrupt
	first.ends(130)
}

// A peer that stays connected and does nothing is given up after --timeout; one whose source is a pipe is not.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		r := start(t, procOptions{net: n}, "recv", "--insecure", "--listen=:0", "-o", "-", "--timeout", "20s")
		began := time.Now()
		c := start(t, procOptions{net: n}, "cat", "--stay", "127.0.0.1:"+r.listening()) // says nothing
		r.ends(5).says("no progress for 20.0 s", "hint: .*--timeout")
		if d := time.Since(began); d > 26*time.Second {
			t.Errorf("after %v", d)
		}
		c.wait()
	})
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		in, feed := io.Pipe()
		r := start(t, procOptions{net: n}, "recv", "--listen=:0", "-o", "-", "--timeout", "1s")
		s := start(t, procOptions{net: n, stdin: in}, "send", "--timeout", "1s", "127.0.0.1:"+r.listening(), "-")
		for range 3 {
			<-time.After(time.Hour) // in the bubble's own time
			_, _ = feed.Write([]byte("slowly "))
		}
		feed.Close()
		s.ends(0)
		r.ends(0)
		if r.stdout.String() != "slowly slowly slowly " {
			t.Errorf("received %q", r.stdout)
		}
	})
}
