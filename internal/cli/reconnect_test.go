package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// breaking makes the first n links that are dialled break after some bytes from the end that dials.
func breaking(n *memNet, links int32, after int) {
	var made atomic.Int32
	n.tune = func(l *memLink) {
		if made.Add(1) <= links {
			l.breakAfter(after)
		}
	}
}

// TestReconnect: links break again and again; a file and a pipe arrive whole, and both ends tell of it.
func TestReconnect(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	for _, sends := range []bool{true, false} {
		for _, pipe := range []bool{true, false} {
			n, dir := newMemNet(), t.TempDir()
			breaking(n, 3, 1<<20)
			if !sends {
				breaking(n, 3, 60) // in the receiver's answers
			}
			src, out := writeFile(t, dir, "a.bin", data), filepath.Join(dir, "got")
			o := procOptions{net: n}
			if pipe {
				o.stdin, src = strings.NewReader(string(data)), "-"
			}
			var s, r *process
			if sends {
				r = start(t, procOptions{net: n}, "recv", "--insecure", "--retry-for", "1m", "--listen=:0", "-o", out, "--json")
				s = run(t, o, "send", "--insecure", "--retry-for", "1m", "--json", "127.0.0.1:"+r.listening(), src)
			} else {
				s = start(t, o, "send", "--insecure", "--retry-for", "1m", "--json", "--listen=:0", src)
				r = run(t, procOptions{net: n}, "recv", "--insecure", "--retry-for", "1m", "-o", out, "--json", "127.0.0.1:"+s.listening())
			}
			s.ends(0)
			r.ends(0)
			if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			for _, p := range []*process{s, r} {
				if !strings.Contains(p.stdout.String(), `"event":"reconnect"`) {
					t.Errorf("no event: %s", p.stdout)
				}
				p.says("connection lost after .*; trying for 60", "connected again")
			}
		}
	}
}

// TestStranger: while recv waits for its sender to come back another one is refused, in words.
func TestStranger(t *testing.T) {
	n, dir := newMemNet(), t.TempDir()
	src := writeFile(t, dir, "a.bin", bytes.Repeat([]byte("x"), 4<<20))
	breaking(n, 1, 1<<20)
	r := start(t, procOptions{net: n}, "recv", "--insecure", "--retry-for", "1m", "--listen=:0", "-o", dir+"/in/")
	to := "127.0.0.1:" + r.listening()
	run(t, procOptions{net: n}, "send", "--insecure", to, src).ends(5)
	r.stderr.await("trying for", r.done)
	run(t, procOptions{net: n}, "send", "--insecure", to, src).ends(9).says("busy with another transfer", "-k")
	r.signals <- os.Interrupt
	r.ends(130)
}

// TestKilledSenderComesBack: recv -k serves it although the session that was lost has the file.
func TestKilledSenderComesBack(t *testing.T) {
	n, dir := newMemNet(), t.TempDir()
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	src := writeFile(t, dir, "a.bin", data)
	breaking(n, 1, 3<<20)
	r := start(t, procOptions{net: n}, "recv", "-k", "--insecure", "--retry-for", "1h", "--listen=:0", "-o", dir+"/in/", "--json")
	to := "127.0.0.1:" + r.listening()
	run(t, procOptions{net: n}, "send", "--insecure", to, src).ends(5)
	run(t, procOptions{net: n}, "send", "--insecure", to, src).ends(0)
	r.signals <- os.Interrupt
	r.ends(0)
	if got, err := os.ReadFile(filepath.Join(dir, "in", "a.bin")); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
