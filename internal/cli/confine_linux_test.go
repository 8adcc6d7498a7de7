package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"

	"github.com/udtcp/udtcp/internal/transfer"
)

// hasLandlock tells whether this kernel can confine a process.
func hasLandlock() bool {
	v, err := ll.LandlockGetABIVersion()
	return err == nil && v >= 1
}

// tryReach is a program that confines itself as "recv -o DIR" does, with the keys in RING, and then tries what a receiver
// that was taken over would try; its arguments are DIR, RING and a directory outside.
func tryReach() {
	dir, ring, outside := os.Args[1], os.Args[2], os.Args[3]
	if err := confineProcess(reachOf(transfer.RecvOptions{Dir: dir}, ring)); err != nil {
		panic(err)
	}
	write := func(path string) error { return os.WriteFile(path, []byte("taken"), 0o600) }
	read := func(path string) error { _, err := os.ReadFile(path); return err }
	for _, try := range []struct {
		what string
		err  error
	}{
		{"make the destination", os.MkdirAll(dir, 0o700)},
		{"write in it", write(filepath.Join(dir, "f"))},
		{"link in it", os.Link(filepath.Join(dir, "f"), filepath.Join(dir, "g"))},
		{"rename in it", os.Rename(filepath.Join(dir, "g"), filepath.Join(dir, "h"))},
		{"read the keys", read(filepath.Join(ring, "trusted"))},
		{"read /etc/hosts", read("/etc/hosts")},
		{"write the keys", write(filepath.Join(ring, "trusted"))},
		{"write outside", write(filepath.Join(outside, "f"))},
		{"read outside", read(filepath.Join(outside, "f"))},
		{"remove outside", os.Remove(filepath.Join(outside, "f"))},
		{"make a directory outside", os.Mkdir(filepath.Join(outside, "d"), 0o700)},
		{"link out", os.Link(filepath.Join(dir, "f"), filepath.Join(outside, "g"))},
		{"move out", os.Rename(filepath.Join(dir, "f"), filepath.Join(outside, "g"))},
	} {
		outcome := "yes"
		switch {
		case errors.Is(try.err, syscall.EACCES), errors.Is(try.err, syscall.EXDEV):
			outcome = "no"
		case try.err != nil:
			outcome = try.err.Error()
		}
		fmt.Fprintf(os.Stdout, "%s: %s\n", try.what, outcome)
	}
}

// A receiver's process reaches its destination, reads its keys and what it needs to dial again, and nothing else.
func TestConfined(t *testing.T) {
	if !hasLandlock() {
		t.Skip("NOT TESTED: this kernel has no Landlock")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	base := t.TempDir()
	for _, d := range []string{"in", "ring", "outside"} {
		if err := os.Mkdir(filepath.Join(base, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, filepath.Join(base, "ring"), "trusted", nil)
	writeFile(t, filepath.Join(base, "outside"), "f", []byte("keep"))
	cmd := exec.Command(self, filepath.Join(base, "in", "new"), filepath.Join(base, "ring"), filepath.Join(base, "outside"))
	cmd.Env = append(os.Environ(), tryReachVariable+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		want := "yes"
		if i >= 6 {
			want = "no"
		}
		if !strings.HasSuffix(line, ": "+want) {
			t.Errorf("%s; want %s", line, want)
		}
	}
	if n := strings.Count(string(out), "\n"); n != 13 {
		t.Errorf("%d tries: %s", n, out)
	}
	if b, err := os.ReadFile(filepath.Join(base, "outside", "f")); err != nil || string(b) != "keep" {
		t.Errorf("outside: %q, %v", b, err)
	}
}

// A destination that is still to be made is reached by way of the directory that it will be made in.
func TestReach(t *testing.T) {
	base := t.TempDir()
	for _, c := range []struct {
		o    transfer.RecvOptions
		want []string
	}{
		{transfer.RecvOptions{Dir: base}, []string{base}},
		{transfer.RecvOptions{Dir: base + "/a/b/"}, []string{base}},
		{transfer.RecvOptions{Dir: "."}, []string{"."}},
		{transfer.RecvOptions{Dir: "new"}, []string{"."}},
		{transfer.RecvOptions{File: base + "/f"}, []string{base}},
		{transfer.RecvOptions{File: "f"}, []string{"."}},
		{transfer.RecvOptions{Stdout: os.Stdout}, nil},
	} {
		r := reachOf(c.o, base+"/ring")
		if !slices.Equal(r.write, c.want) || !slices.Contains(r.read, base) {
			t.Errorf("%+v: %+v", c.o, r)
		}
	}
}
