package cli

import (
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBufferAdvice(t *testing.T) {
	const mib = 1 << 20
	both := socketBuffers{Read: mib, Write: mib, WantRead: 8 * mib, WantWrite: 8 * mib}
	for _, c := range []struct {
		name    string
		b       socketBuffers
		in, out float64 // Mbit/s
		drops   int64
		want    string // behind "sysctl -w ", "" for silence
	}{
		{name: "slow", b: both, in: 100, out: 100},
		{name: "just enough", b: both, in: 838, out: 4194},
		{name: "receiving too fast", b: both, in: 839, want: "net.core.rmem_max=8388608"},
		{name: "sending too fast", b: both, out: 4195, want: "net.core.wmem_max=8388608"},
		{name: "both too fast", b: both, in: 5000, out: 5000, want: "net.core.rmem_max=8388608 net.core.wmem_max=8388608"},
		{name: "drops", b: both, in: 1, drops: 1, want: "net.core.rmem_max=8388608"},
		{name: "as asked", b: socketBuffers{Read: 8 * mib, Write: 8 * mib, WantRead: 8 * mib, WantWrite: 8 * mib}, in: 1e5, out: 1e5, drops: 9},
		{name: "unknown", b: socketBuffers{WantRead: 8 * mib, WantWrite: 8 * mib}, in: 1e5, out: 1e5, drops: 9},
	} {
		st := stats{MbpsRecvRate: c.in, MbpsSendRate: c.out, PktSockDropTotal: c.drops}
		advice := bufferAdvice(c.b, &st)
		_, line, _ := strings.Cut(advice, "sysctl -w ")
		if line != c.want || (advice == "") != (c.want == "") {
			t.Errorf("%s: %q", c.name, advice)
		}
		if advice != "" && strings.Contains(advice, "(1 packet dropped so far)") != (c.drops == 1) {
			t.Errorf("%s: %q", c.name, advice)
		}
	}
}

// The warning comes once, while the run lasts and although nothing else is shown; -q silences it.
func TestBufferWarning(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the sysctls are Linux's")
	}
	for _, quiet := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n := newMemNet()
			n.tune = func(l *memLink) {
				l.buffers = socketBuffers{Read: 212992, WantRead: 8 << 20}
				l.tune = func(st *stats) { st.PktSockDropTotal = 17 }
			}
			lis, err := n.Listen("udp", ":7000", linkOptions{})
			if err != nil {
				t.Fatal(err)
			}
			verbosity := "-v"
			if quiet {
				verbosity = "-q"
			}
			l := start(t, procOptions{net: n}, "cat", "--stay", verbosity, "127.0.0.1:7000")
			there, err := (&app{net: n}).accept(t.Context(), lis)
			if err != nil {
				t.Fatal(err)
			}
			<-time.After(1500 * time.Millisecond)
			const want = "udtcp: warning: the kernel's receive buffer is 208 KiB instead of 8.0 MiB, too small for this rate " +
				"(17 packets dropped so far); as root, before the next run: sysctl -w net.core.rmem_max=8388608\n"
			if strings.Contains(l.stderr.String(), want) == quiet {
				t.Errorf("quiet %v: %q", quiet, l.stderr)
			}
			<-time.After(5 * time.Second)
			if err := there.Close(); err != nil {
				t.Error(err)
			}
			l.ends(0)
			if got := strings.Count(l.stderr.String(), "sysctl"); quiet && got != 0 || !quiet && got != 1 {
				t.Errorf("quiet %v: told %d times", quiet, got)
			}
			if strings.Contains(l.stderr.String(), "the kernel dropped 17 packets on arrival") == quiet {
				t.Errorf("quiet %v: %q", quiet, l.stderr)
			}
		})
	}
}
