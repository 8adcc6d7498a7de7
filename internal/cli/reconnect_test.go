package cli

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/udtcp/udtcp/internal/transfer/secure"
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

// divertedNet leads every dial after the first, once, to another port.
type divertedNet struct {
	*memNet
	to    uint16
	dials atomic.Int32
}

func (n *divertedNet) Dial(ctx context.Context, local string, remote netip.AddrPort, o linkOptions) (link, error) {
	if n.dials.Add(1) == 2 {
		remote = netip.AddrPortFrom(remote.Addr(), n.to)
	}
	return n.memNet.Dial(ctx, local, remote, o)
}

// TestAnotherFriend: a transfer that was lost goes on with the end it began with. Another one that is trusted as well gets
// nothing of it.
func TestAnotherFriend(t *testing.T) {
	t.Parallel()
	n, dir := newMemNet(), t.TempDir()
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	src := writeFile(t, dir, "a.bin", data)
	own, first, second := secure.NewIdentity(), secure.NewIdentity(), secure.NewIdentity()
	as := func(id secure.Identity) procOptions {
		return procOptions{net: n, env: map[string]string{"UDTCP_IDENTITY": id.Secret()}}
	}
	peer := own.Public().String()
	r := start(t, as(first), "recv", "--retry-for", "1m", "--listen=:0", "--peer", peer, "-o", dir+"/first/")
	other := start(t, as(second), "recv", "--listen=:0", "--retry-for", "0", "--peer", peer, "-o", dir+"/second/")
	port, err := strconv.ParseUint(other.listening(), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	breaking(n, 1, 1<<20)
	o := as(own)
	o.network = &divertedNet{memNet: n, to: uint16(port)}
	s := run(t, o, "send", "--retry-for", "1m", "--peer", first.Public().String(), "--peer", second.Public().String(), "127.0.0.1:"+r.listening(), src).ends(0)
	s.says("warning: an end with another key answers, \"" + second.Public().String() + "\"")
	r.ends(0)
	other.signals <- os.Interrupt
	if code := other.wait(); code != 5 && code != 130 { // whether it has let the sender in, or not yet, when that leaves
		t.Errorf("the other end ends with %d: %s", code, other.stderr)
	}
	if got, err := os.ReadFile(dir + "/first/a.bin"); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := os.Stat(dir + "/second"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the other end got something: %v", err)
	}
}
