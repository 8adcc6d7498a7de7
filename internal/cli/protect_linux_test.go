package cli

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestProtectMemory(t *testing.T) {
	if err := protectMemory(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
			t.Error(err)
		}
	}()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil || limit.Cur != 0 {
		t.Errorf("core dumps of %d bytes, %v", limit.Cur, err)
	}
	if d, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || d != 0 {
		t.Errorf("dumpable %d, %v", d, err)
	}
}

// Every command that holds a private key keeps its memory to itself first; others have no need to.
func TestWhoProtectsMemory(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want bool
	}{
		{[]string{"key", "show"}, true},
		{[]string{"key", "new"}, true},
		{[]string{"recv", "--connect-timeout", "10ms", "127.0.0.1:1"}, true},
		{[]string{"perf", "--secure", "--connect-timeout", "10ms", "127.0.0.1:1"}, true},
		{[]string{"recv", "--insecure", "--connect-timeout", "10ms", "127.0.0.1:1"}, false},
		{[]string{"key", "path"}, false},
	} {
		called := false
		run(t, procOptions{protect: func() error { called = true; return nil }}, tc.args...)
		if called != tc.want {
			t.Errorf("udtcp %v: %v", tc.args, called)
		}
	}
}
