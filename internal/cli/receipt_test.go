package cli

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
)

// heldWriter is an output whose reader does nothing until it is released.
type heldWriter struct{ release chan struct{} }

func (w heldWriter) Write(b []byte) (int, error) {
	<-w.release
	return len(b), nil
}

// TestReceiptLost: everything was sent, and the connection breaks before the receipt. Neither end knows what the other
// knows: 10 at both.
func TestReceiptLost(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(data, make([]byte, 3<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, senderListens := range map[string]bool{"receiver listens": false, "sender listens": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newMemNet()
				var dialled *memLink
				n.tune = func(l *memLink) { dialled = l }
				held := heldWriter{make(chan struct{})}
				receive := func(args ...string) *process {
					return start(t, procOptions{net: n, stdout: held}, append([]string{"recv", "--retry-for", "0", "-o", "-"}, args...)...)
				}
				send := func(args ...string) *process {
					return start(t, procOptions{net: n}, append([]string{"send", "--retry-for", "0", "--json"}, args...)...)
				}
				var s, r *process
				if senderListens {
					s = send("--listen=:0", data)
					r = receive("127.0.0.1:" + s.listening())
				} else {
					r = receive("--listen=:0")
					s = send("127.0.0.1:"+r.listening(), data)
				}
				synctest.Wait() // all is sent and held up at the output
				if err := dialled.Abort(); err != nil {
					t.Error(err)
				}
				synctest.Wait() // both ends have noticed
				close(held.release)
				s.ends(10).says("before the receipt", "hint: .*again")
				if e := lastEvent(t, s.stdout.String()); e["exit_code"] != 10.0 {
					t.Errorf("%v", e)
				}
				r.ends(10).says("before the sender could be told", "hint: ")
			})
		})
	}
}
