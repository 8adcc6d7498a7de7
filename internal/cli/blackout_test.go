package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// blackout is a network that goes dark when so many bytes have passed. When it comes back the listener sees other addresses.
type blackout struct {
	*router

	mu   sync.Mutex
	left int // bytes until it goes dark; less than 0: it has been
	dark bool
}

func startBlackout(t *testing.T, port string, most int) *blackout {
	t.Helper()
	b := &blackout{left: most}
	var err error
	if b.router, err = newRouter(port, b.passes); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// passes counts n bytes, and tells whether they get through.
func (b *blackout) passes(_ bool, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left >= 0 && !b.dark {
		b.left -= n
		b.dark = b.left < 0
	}
	return !b.dark
}

func (b *blackout) comeBack() {
	b.forget()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dark = false
}

// TestBlackout: the network goes dark in the middle of a transfer and comes back with other addresses, when both ends have
// noticed: they find each other again and go on, with a file and a pipe, whoever dials.
func TestBlackout(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<19)
	patient := []string{"--timeout", "3s", "--retry-for", "5m"} // a busy machine may stand still for one
	for name, c := range map[string]struct{ senderDials, pipe bool }{
		"a file, the sender dials": {true, false}, "a pipe, the sender dials": {true, true},
		"a file, the receiver dials": {false, false}, "a pipe, the receiver dials": {false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, user := t.TempDir(), t.TempDir()
			out := filepath.Join(dir, "got")
			send := append([]string{"send"}, patient...)
			recv := append([]string{"recv", "-o", out}, patient...)
			source := writeFile(t, dir, "data", data)
			from := procOptions{udp: true, config: user}
			to := from
			if c.pipe {
				from.stdin, source = bytes.NewReader(data), "-"
			}
			var s, r *process
			if c.senderDials {
				r = start(t, to, append(recv, "--listen=127.0.0.1:0")...)
			} else {
				s = start(t, from, append(send, "--listen=127.0.0.1:0", source)...)
			}
			var between *blackout
			if c.senderDials {
				between = startBlackout(t, r.listening(), 3<<20)
				s = start(t, from, append(send, "127.0.0.1:"+between.port(), source)...)
			} else {
				between = startBlackout(t, s.listening(), 3<<20)
				r = start(t, to, append(recv, "127.0.0.1:"+between.port())...)
			}
			for _, p := range []*process{s, r} {
				p.stderr.await("trying for", p.done)
			}
			between.comeBack()
			s.ends(0).says("connected again")
			r.ends(0).says("connected again")
			if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}
