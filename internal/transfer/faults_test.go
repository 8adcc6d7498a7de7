package transfer

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
)

// faults are failures of this end's file system, each as the errors that a real one gives.
var faults = []struct {
	op   string
	err  error
	kind Kind
}{
	{"free", syscall.ENOSPC, KindLocalIO}, {"folder", syscall.EMFILE, KindLocalIO}, {"mkdir", syscall.EACCES, KindLocalIO},
	{"create", syscall.EROFS, KindLocalIO}, {"create", errBusy, KindPolicy}, {"write", syscall.ENOSPC, KindLocalIO},
	{"write", syscall.EDQUOT, KindLocalIO}, {"write", syscall.EIO, KindLocalIO}, {"chmod", syscall.EIO, KindLocalIO},
	{"sync", syscall.EIO, KindLocalIO}, {"syncAll", syscall.EIO, KindLocalIO}, {"publish", syscall.EIO, KindLocalIO},
	{"publish", syscall.EEXIST, KindPolicy}, {"syncDir", syscall.EIO, KindLocalIO}, {"close", syscall.EIO, KindLocalIO},
}

func TestRecvFaults(t *testing.T) {
	src := t.TempDir()
	for i := range 40 {
		put(t, filepath.Join(src, "top", fmt.Sprint(i%8), fmt.Sprint(i)), randomBytes(uint64(i), i*100))
	}
	put(t, filepath.Join(src, "top", "large"), randomBytes(1, 3*minChunk))
	for _, f := range faults {
		for nth := range int32(3) {
			t.Run(fmt.Sprintf("%s %v %d", f.op, f.err, nth), func(t *testing.T) {
				dst := t.TempDir()
				var count atomic.Int32
				open := func(dir string) (store, error) {
					st, err := openStore(dir)
					return &faulty{store: st, fail: func(op, _ string) error {
						if op == f.op && count.Add(1) > nth {
							return &fs.PathError{Op: op, Path: "/some/where", Err: f.err}
						}
						return nil
					}}, err
				}
				o := moveWith(t, newWire(1<<16), SendOptions{Paths: []string{filepath.Join(src, "top")}}, RecvOptions{Dir: dst}, open)
				if count.Load() <= nth {
					// Not every transfer syncs in every way.
					o.well(t)
					return
				}
				there := KindRemoteIO
				if f.kind == KindPolicy {
					there = KindPolicy
				}
				o.badly(t, there, f.kind)
				rightOrAbsent(t, src, dst)
			})
		}
	}
}

// rightOrAbsent checks that everything that has a final name is right.
func rightOrAbsent(t *testing.T, src, dst string) {
	t.Helper()
	err := filepath.WalkDir(dst, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || reserved(d.Name()) { // what is kept for a later attempt
			return err
		}
		rel, _ := filepath.Rel(dst, p)
		got, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		want, err := os.ReadFile(filepath.Join(src, rel))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s has %d bytes, want %d, or others: %v", rel, len(got), len(want), err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestAttributesNotKept: a file system that has no modes or times is no reason to fail.
func TestAttributesNotKept(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	put(t, filepath.Join(src, "f"), []byte("x"))
	open := func(dir string) (store, error) {
		st, err := openStore(dir)
		return &faulty{store: st, fail: func(op, _ string) error {
			if op == "chmod" || op == "setTime" {
				return syscall.EPERM
			}
			return nil
		}}, err
	}
	o := moveWith(t, newWire(1<<16), SendOptions{Paths: []string{filepath.Join(src, "f")}, Preserve: true},
		RecvOptions{Dir: dst, Preserve: true}, open)
	o.well(t)
	if len(o.messages) != 2 {
		t.Errorf("%q", o.messages)
	}
}
