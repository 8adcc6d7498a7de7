package cli

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// countNet is a memNet that counts what crosses each link that is dialled, bytes either way.
type countNet struct {
	*memNet
	mu    sync.Mutex
	links []*countLink
}

func (n *countNet) Dial(ctx context.Context, local string, remote netip.AddrPort, o linkOptions) (link, error) {
	l, err := n.memNet.Dial(ctx, local, remote, o)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	c := &countLink{link: l}
	n.links = append(n.links, c)
	return c, nil
}

type countLink struct {
	link
	bytes atomic.Int64
}

func (l *countLink) Read(p []byte) (int, error) {
	n, err := l.link.Read(p)
	l.bytes.Add(int64(n))
	return n, err
}

func (l *countLink) Write(p []byte) (int, error) {
	n, err := l.link.Write(p)
	l.bytes.Add(int64(n))
	return n, err
}

// A secure session goes on over a fresh connection, with fresh keys, before one has carried too much: a file or a pipe,
// whoever dials, and nobody notices. A plain one has no keys to change.
func TestKeysAreChanged(t *testing.T) {
	t.Parallel()
	const (
		limit = 4 << 20
		slack = 5 << 20 // a chunk, what else is under way, and TLS's own
	)
	data := bytes.Repeat([]byte("0123456789abcdef"), 24<<16)
	for _, c := range []struct {
		name                  string
		sends, pipe, insecure bool
	}{
		{"file to a listener", true, false, false},
		{"pipe to a listener", true, true, false},
		{"file from a listener", false, false, false},
		{"pipe from a listener", false, true, false},
		{"plain", true, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n, dir := &countNet{memNet: newMemNet()}, t.TempDir()
			o := procOptions{net: n.memNet, network: n, limit: limit, env: map[string]string{"UDTCP_RETRY_FOR": "1h"}}
			run(t, o, "key", "show").ends(0)
			src, out := writeFile(t, dir, "a.bin", data), filepath.Join(dir, "got")
			so := o
			if c.pipe {
				so.stdin, src = bytes.NewReader(data), "-"
			}
			flags := func(args ...string) []string {
				if c.insecure {
					args = append(args, "--insecure")
				}
				return append(args, "--json")
			}
			var s, r *process
			if c.sends {
				r = start(t, o, flags("recv", "--listen=:0", "-o", out)...)
				s = run(t, so, flags("send", "127.0.0.1:"+r.listening(), src)...)
			} else {
				s = start(t, so, flags("send", "--listen=:0", src)...)
				r = run(t, o, flags("recv", "-o", out, "127.0.0.1:"+s.listening())...)
			}
			s.ends(0)
			r.ends(0)
			if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if c.insecure {
				if len(n.links) != 1 {
					t.Errorf("%d plain connections", len(n.links))
				}
				return
			}
			if least := len(data) / (limit + slack); len(n.links) < 1+least {
				t.Errorf("%d bytes over %d connections of %d", len(data), len(n.links), limit)
			}
			for i, l := range n.links {
				if b := l.bytes.Load(); b > limit+slack {
					t.Errorf("connection %d carried %d bytes", i, b)
				}
			}
			for _, p := range []*process{s, r} {
				if p.stderr.String() != "" && regexp.MustCompile(`(?i)warning|connect|lost|trying`).MatchString(p.stderr.String()) ||
					strings.Count(p.stdout.String(), `"event":"connected"`) != 1 || strings.Contains(p.stdout.String(), `"event":"reconnect"`) {
					t.Errorf("it tells:\n%s%s", p.stderr, p.stdout)
				}
			}
		})
	}
}

// TestSeatIsKept: a session goes on over another connection also where -k serves as many as it may.
func TestSeatIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := procOptions{net: newMemNet(), limit: 1 << 20, env: map[string]string{"UDTCP_RETRY_FOR": "1h"}}
	run(t, o, "key", "show").ends(0)
	data := bytes.Repeat([]byte("0123456789abcdef"), 8<<16)
	r := start(t, o, "recv", "-k", "-v", "--max-sessions", "1", "--json", "--listen=:0", "-o", filepath.Join(dir, "got")+"/")
	run(t, o, "send", "127.0.0.1:"+r.listening(), writeFile(t, dir, "a.bin", data)).ends(0)
	r.signals <- os.Interrupt
	r.ends(0)
	if got, err := os.ReadFile(filepath.Join(dir, "got", "a.bin")); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if !strings.Contains(r.stderr.String(), "fresh connection") {
		t.Errorf("it was one connection: %s", r.stderr)
	}
}
