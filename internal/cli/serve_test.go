package cli

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// recv -k takes senders side by side, and tells each one's outcome.
func TestKeepOpen(t *testing.T) {
	n, dir := newMemNet(), t.TempDir()
	out := filepath.Join(dir, "in")
	r := start(t, procOptions{net: n}, "recv", "-k", "--listen=:0", "-o", out+"/", "--json")
	to := "127.0.0.1:" + r.listening()
	for _, name := range []string{"a", "b"} {
		run(t, procOptions{net: n}, "send", to, writeFile(t, dir, name, []byte(name))).ends(0)
	}
	run(t, procOptions{net: n}, "send", to, writeFile(t, dir, "a", []byte("another"))).ends(9)
	r.signals <- syscall.SIGTERM
	r.ends(0)
	for _, name := range []string{"a", "b"} {
		if got, err := os.ReadFile(filepath.Join(out, name)); err != nil || string(got) != name {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	var codes []any
	for _, ev := range events(t, r.stdout.String()) {
		if ev["event"] == "end" && ev["peer"] != nil {
			codes = append(codes, ev["exit_code"])
		}
	}
	if len(codes) != 3 {
		t.Errorf("outcomes %v, want 3", codes)
	}
	if ev := lastEvent(t, r.stdout.String()); ev["exit_code"] != 0.0 || ev["peer"] != nil || ev["files"] != 2.0 {
		t.Errorf("end %v", ev)
	}
	r.says(`udtcp: 127.0.0.1:\d+: .*exists`)
}

// On a signal a server takes no more peers and finishes what is in flight.
func TestDrain(t *testing.T) {
	n, dir := newMemNet(), t.TempDir()
	data := strings.Repeat("0123456789abcdef", 1<<18)
	s := start(t, procOptions{net: n}, "send", "-k", "--listen", ":0", writeFile(t, dir, "big", []byte(data)))
	to := "127.0.0.1:" + s.listening()
	reader, out := io.Pipe()
	r := start(t, procOptions{net: n, stdout: out}, "recv", "-o", "-", to)
	first := make([]byte, 1000)
	if _, err := io.ReadFull(reader, first); err != nil {
		t.Fatal(err)
	}
	s.signals <- syscall.SIGTERM
	s.stderr.await("finishing what is in flight", s.done)
	<-s.released // a second signal would kill
	run(t, procOptions{net: n}, "recv", "-o", "-", "--connect-timeout", "50ms", to).ends(3)
	select {
	case <-s.done:
		t.Fatal("the server ended with a transfer in flight")
	default:
	}
	rest := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(reader)
		rest <- b
	}()
	r.ends(0)
	s.ends(0)
	out.Close()
	if string(first)+string(<-rest) != data {
		t.Error("the transfer in flight was damaged")
	}
}

// So does one that receives. A peer that would have to come back has no way in any more: what came of its file is kept.
func TestDrainReceiver(t *testing.T) {
	n, dir := newMemNet(), t.TempDir()
	data := strings.Repeat("0123456789abcdef", 1<<18)
	r := start(t, procOptions{net: n}, "recv", "-k", "-v", "--insecure", "--listen=:0", "-o", filepath.Join(dir, "stream"))
	in, feed := io.Pipe()
	s := start(t, procOptions{net: n, stdin: in}, "send", "--insecure", "127.0.0.1:"+r.listening(), "-")
	r.stderr.await("connected to", r.done)
	r.signals <- syscall.SIGTERM
	r.stderr.await("finishing what is in flight", r.done)
	<-r.released // a second signal would kill
	if _, err := io.WriteString(feed, data); err != nil {
		t.Fatal(err)
	}
	feed.Close()
	s.ends(0)
	r.ends(0)
	if got, err := os.ReadFile(filepath.Join(dir, "stream")); err != nil || string(got) != data {
		t.Errorf("%d bytes, %v", len(got), err)
	}

	breaking(n, 1, 3<<20)
	r = start(t, procOptions{net: n}, "recv", "-k", "--insecure", "--retry-for", "1h", "--listen=:0", "-o", dir+"/in/")
	run(t, procOptions{net: n}, "send", "--insecure", "127.0.0.1:"+r.listening(), writeFile(t, dir, "lost", []byte(data))).ends(5)
	r.stderr.await("trying for", r.done)
	r.signals <- syscall.SIGTERM
	r.ends(0).says("takes no more connections")
	for name, there := range map[string]bool{"lost": false, ".lost.udtcp-part": true, ".lost.udtcp-journal": true} {
		if _, err := os.Stat(filepath.Join(dir, "in", name)); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSendKeepOpen(t *testing.T) {
	n, dir := newMemNet(), t.TempDir()
	s := start(t, procOptions{net: n}, "send", "-k", "--listen", ":0", writeFile(t, dir, "a", []byte("again")))
	to := "127.0.0.1:" + s.listening()
	for range 3 {
		if r := run(t, procOptions{net: n}, "recv", "-o", "-", to).ends(0); r.stdout.String() != "again" {
			t.Errorf("received %q", r.stdout)
		}
	}
	s.signals <- os.Interrupt
	s.ends(0)
	if c := strings.Count(s.stderr.String(), "sent 5 B"); c != 3 {
		t.Errorf("%d outcomes: %s", c, s.stderr)
	}
}

// -k serves as many at once as --max-sessions says; who comes after them waits and is served then.
func TestMaxSessions(t *testing.T) {
	for most, want := range map[string]string{"1": "listening connected file end connected file end end", "2": "listening connected connected "} {
		n, dir := newMemNet(), t.TempDir()
		data := strings.Repeat("0123456789abcdef", 1<<18)
		s := start(t, procOptions{net: n}, "send", "-k", "--max-sessions", most, "--json", "--interval", "1h", "--listen", ":0", writeFile(t, dir, "big", []byte(data)))
		to := "127.0.0.1:" + s.listening()
		reader, out := io.Pipe()
		first := start(t, procOptions{net: n, stdout: out}, "recv", "-o", "-", to)
		if _, err := io.ReadFull(reader, make([]byte, 1000)); err != nil { // and no more: it is being served
			t.Fatal(err)
		}
		second := start(t, procOptions{net: n}, "recv", "-v", "-o", "-", to)
		if most == "2" {
			second.ends(0) // beside the first
		} else {
			second.stderr.await("connected to", second.done)
		}
		rest := make(chan error)
		go func() {
			_, err := io.Copy(io.Discard, reader)
			rest <- err
		}()
		first.ends(0)
		second.ends(0)
		out.Close()
		if err := <-rest; err != nil {
			t.Error(err)
		}
		s.signals <- syscall.SIGTERM
		s.ends(0)
		var order []string
		for _, ev := range events(t, s.stdout.String()) {
			order = append(order, ev["event"].(string))
		}
		if got := strings.Join(order, " "); !strings.HasPrefix(got, want) || len(order) != 8 {
			t.Errorf("at most %s: %s", most, got)
		}
	}
}
