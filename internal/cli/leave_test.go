package cli

import (
	"testing"
)

// TestEndsLeave: ends that both know that all is well do not stay a round trip for that.
func TestEndsLeave(t *testing.T) {
	dir := t.TempDir()
	src := writeFile(t, dir, "a", []byte("payload"))
	for name, flags := range map[string][]string{"secure": nil, "plain": {"--insecure"}} {
		n := newMemNet()
		l := start(t, procOptions{net: n}, append([]string{"recv", "-o", dir + "/" + name + "/", "--listen=:0"}, flags...)...)
		run(t, procOptions{net: n}, append([]string{"send", "127.0.0.1:" + l.listening(), src}, flags...)...).ends(0)
		l.ends(0)
		if n.left != 2 {
			t.Errorf("%s: %d ends left", name, n.left)
		}
	}
}
