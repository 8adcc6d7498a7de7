package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFullDisk has a real small file system run full.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: only root can mount a small file system")
	}
	dst := t.TempDir()
	if err := syscall.Mount("udtcp-test", dst, "tmpfs", 0, "size=4m"); err != nil {
		t.Skip("NOT TESTED: no small file system: ", err)
	}
	defer func() {
		if err := syscall.Unmount(dst, 0); err != nil {
			t.Error(err)
		}
	}()
	put(t, filepath.Join(dst, "f"), []byte("old"))
	content := randomBytes(1, 6*minChunk)
	_, file := oneFile(t, content)
	many := filepath.Join(t.TempDir(), "top")
	for i := range 60 {
		put(t, filepath.Join(many, fmt.Sprint(i)), content[:100_000])
	}
	for name, so := range map[string]SendOptions{
		"known": file, "pipe": {Paths: []string{"-"}, Stdin: bytes.NewReader(content)}, "many": {Paths: []string{many}},
	} {
		ro := RecvOptions{File: filepath.Join(dst, "f"), Overwrite: true}
		if name == "many" {
			ro.File, ro.Dir = "", dst
		}
		begin := time.Now()
		o := move(t, newWire(1<<16), so, ro)
		o.badly(t, KindRemoteIO, KindLocalIO)
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
		if !errors.Is(o.gotErr, syscall.ENOSPC) || !strings.Contains(o.gotErr.Error(), "make room") {
			t.Errorf("%s: %v", name, o.gotErr)
		}
		if b, err := os.ReadFile(filepath.Join(dst, "f")); string(b) != "old" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
		for _, n := range names(t, dst) {
			if strings.HasSuffix(n, partSuffix) {
				t.Errorf("%s: left behind: %s", name, n)
			}
		}
	}
	// Without the announcement: the space goes while the file comes.
	t.Run("unannounced", func(t *testing.T) {
		open := func(dir string) (store, error) {
			st, err := openStore(dir)
			return &boundless{st}, err
		}
		o := moveWith(t, newWire(1<<16), file, RecvOptions{File: filepath.Join(dst, "f"), Overwrite: true}, open)
		o.badly(t, KindRemoteIO, KindLocalIO)
		if b, err := os.ReadFile(filepath.Join(dst, "f")); string(b) != "old" {
			t.Errorf("%q, %v", b, err)
		}
	})
}

func TestKernelVersion(t *testing.T) {
	if !kernelAtLeast(2, 6) || kernelAtLeast(99, 0) {
		t.Error("the kernel's version is misread")
	}
}
