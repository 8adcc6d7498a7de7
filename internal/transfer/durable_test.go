package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestOldOrNew replaces files while the disk fails in every way it can, at the first, second and third time it is asked:
// 7 here, 8 there, and under every name stands the old file or the complete new one.
func TestOldOrNew(t *testing.T) {
	src := t.TempDir()
	top := filepath.Join(src, "top")
	for i := range 12 {
		put(t, filepath.Join(top, fmt.Sprint(i%3), fmt.Sprint(i)), randomBytes(uint64(i), 1+i*100))
	}
	put(t, filepath.Join(top, "large"), randomBytes(1, 2*minChunk+5))
	sparseFile(t, filepath.Join(top, "sparse"), 5*minChunk, 10)
	if err := os.Symlink("large", filepath.Join(top, "link")); err != nil {
		t.Fatal(err)
	}
	for _, op := range []string{"folder", "mkdir", "create", "write", "truncate", "chmod", "sync", "syncAll", "datasync", "publish", "symlink", "syncDir"} {
		for _, fault := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO} {
			for nth := range int32(3) {
				t.Run(fmt.Sprintf("%s %v %d", op, fault, nth), func(t *testing.T) {
					dst := t.TempDir()
					for i := range 12 {
						put(t, filepath.Join(dst, "top", fmt.Sprint(i%3), fmt.Sprint(i)), []byte("old"))
					}
					put(t, filepath.Join(dst, "top", "large"), []byte("old"))
					put(t, filepath.Join(dst, "top", "link"), []byte("old"))
					var count atomic.Int32
					open := func(dir string) (store, error) {
						st, err := openStore(dir)
						return &faulty{store: st, fail: func(on, _ string) error {
							if on == op && count.Add(1) > nth {
								return &fs.PathError{Op: op, Path: "/some/where", Err: fault}
							}
							return nil
						}}, err
					}
					so := SendOptions{Paths: []string{top}, Links: true, Preserve: true}
					ro := RecvOptions{Dir: dst, Links: true, Preserve: true, Overwrite: true}
					o := moveWith(t, newWire(1<<16), so, ro, open)
					if o.gotErr == nil && o.sendErr == nil {
						o.well(t) // it was not asked so often, or there was another way
					} else {
						o.badly(t, KindRemoteIO, KindLocalIO)
						if !errors.Is(o.gotErr, fault) {
							t.Errorf("%v", o.gotErr)
						}
					}
					oldOrNew(t, src, dst, o.gotErr == nil)
				})
			}
		}
	}
}

// oldOrNew checks that every file that has its final name holds "old" or what the source holds, and with done the latter.
func oldOrNew(t *testing.T, src, dst string, done bool) {
	t.Helper()
	err := filepath.WalkDir(dst, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || reserved(d.Name()) {
			return err
		}
		rel, _ := filepath.Rel(dst, p)
		if d.Type() == fs.ModeSymlink {
			if target, err := os.Readlink(p); target != "large" || d.Name() != "link" {
				t.Errorf("%s leads to %q, %v", rel, target, err)
			}
			return nil
		}
		got, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		want, err := os.ReadFile(filepath.Join(src, rel))
		if old := string(got) == "old" && !done; err != nil || !old && !bytes.Equal(got, want) {
			t.Errorf("%s has %d bytes, want %d, or others: %v", rel, len(got), len(want), err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestReadFaults: what cannot be read, at either end.
func TestReadFaults(t *testing.T) {
	const memory = "/proc/self/mem" // address 0 cannot be read
	if _, err := os.Stat(memory); err == nil {
		err := CheckSources(SendOptions{Paths: []string{memory}})
		if wantKind(t, err, KindLocalIO); !errors.Is(err, syscall.EIO) {
			t.Error(err)
		}
	}

	// The receiver reads what it wrote where a second digest is wanted and a chunk came late.
	_, so := oneFile(t, randomBytes(1, 3*minChunk))
	so.Digest = SHA256
	dst := t.TempDir()
	put(t, filepath.Join(dst, "f"), []byte("old"))
	w := newWire(1 << 16)
	damaged := false
	w.a.out.alter = func(at int64, b []byte) {
		if at > minChunk/2 && !damaged {
			damaged = true
			b[len(b)-1] ^= 1
		}
	}
	open := func(dir string) (store, error) {
		st, err := openStore(dir)
		return &faulty{store: st, fail: func(op, _ string) error {
			if op == "read" {
				return &fs.PathError{Op: op, Path: "/some/where", Err: syscall.EIO}
			}
			return nil
		}}, err
	}
	o := moveWith(t, w, so, RecvOptions{Dir: dst, Overwrite: true}, open)
	o.badly(t, KindRemoteIO, KindLocalIO)
	if b, err := os.ReadFile(filepath.Join(dst, "f")); string(b) != "old" || !damaged {
		t.Errorf("%q, %v", b, err)
	}
}

// TestTwoReplace has two receivers replace one file at the same time: whoever is told that all is well, what stands there
// at the end is one of the two, whole.
func TestTwoReplace(t *testing.T) {
	dst := t.TempDir()
	put(t, filepath.Join(dst, "f"), []byte("old"))
	contents := [][]byte{randomBytes(1, 4*minChunk), randomBytes(2, 4*minChunk)}
	var wg sync.WaitGroup
	var errs [2]error
	for i, c := range contents {
		_, so := oneFile(t, c)
		wg.Go(func() { errs[i] = move(t, newWire(1<<16), so, RecvOptions{Dir: dst, Overwrite: true}).gotErr })
	}
	wg.Wait()
	got, err := os.ReadFile(filepath.Join(dst, "f"))
	if err != nil {
		t.Fatal(err)
	}
	which := slices.IndexFunc(contents, func(c []byte) bool { return bytes.Equal(c, got) })
	if which < 0 || errs[which] != nil {
		t.Errorf("%d bytes of neither, or of one that failed: %v", len(got), errs)
	}
	for _, err := range errs {
		if err != nil {
			wantKind(t, err, KindPolicy) // busy
		}
	}
}

// nowhere is a store that keeps nothing.
type nowhere struct{}

func (nowhere) folder(string) (folder, error)               { return nowhere{}, nil }
func (nowhere) mkdir(string, fs.FileMode) (bool, error)     { return true, nil }
func (nowhere) setDir(string, fs.FileMode, time.Time) error { return nil }
func (nowhere) resolve(string) error                        { return fs.ErrNotExist }
func (nowhere) free() (int64, bool)                         { return 0, false }
func (nowhere) syncAll() (bool, error)                      { return true, nil }
func (nowhere) close() error                                { return nil }
func (nowhere) lookup(string) (fs.FileInfo, error)          { return nil, fs.ErrNotExist }
func (nowhere) create(string) (partFile, int64, error)      { return nowhere{}, 0, nil }
func (nowhere) open(string) (partFile, error)               { return nil, fs.ErrNotExist }
func (nowhere) publish(string, string, bool) error          { return nil }
func (nowhere) remove(string) error                         { return nil }
func (nowhere) symlink(string, string) error                { return nil }
func (nowhere) readlink(string) (string, error)             { return "", fs.ErrNotExist }
func (nowhere) setTime(string, time.Time) error             { return nil }
func (nowhere) covered() bool                               { return true }
func (nowhere) there() error                                { return nil }
func (nowhere) WriteAt(b []byte, _ int64) (int, error)      { return len(b), nil }
func (nowhere) ReadAt([]byte, int64) (int, error)           { return 0, fs.ErrInvalid }
func (nowhere) chmod(fs.FileMode) error                     { return nil }
func (nowhere) truncate(int64) error                        { return nil }
func (nowhere) datasync() error                             { return nil }
func (nowhere) sync() error                                 { return nil }
func (nowhere) Close() error                                { return nil }

// TestTortureEntries moves a directory of very many files. Neither end holds more of it than what is on its way.
func TestTortureEntries(t *testing.T) {
	run := newTorture(t, "files in one directory, in bounded memory", "ENTRIES", 60_000)
	run.Cases = max(run.Cases, 25_000)
	run.Runs.Add(1)
	files := run.Cases
	src := filepath.Join(t.TempDir(), "top")
	if err := os.Mkdir(src, 0o755); err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("a-rather-long-name-", 5)
	for i := range files {
		f, err := os.OpenFile(filepath.Join(src, name+fmt.Sprint(i)), os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var early, most uint64
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	n := 0
	ctx := t.Context()
	w := newWire(1 << 16)
	var wg sync.WaitGroup
	var sendErr error
	wg.Go(func() {
		_, sendErr = Send(ctx, w.a, SendOptions{Paths: []string{src}, Preserve: true})
		w.a.Close()
	})
	res, err := receive(ctx, w.b, RecvOptions{Dir: t.TempDir(), Preserve: true, OnFile: func(FileDone) {
		if n++; n == 10_000 {
			early = heap()
		} else if n%10_000 == 0 {
			most = max(most, heap())
		}
	}}, func(string) (store, error) { return nowhere{}, nil })
	w.b.Close()
	wg.Wait()
	if err != nil || sendErr != nil || res.Files != files {
		t.Fatalf("%d files, %v, %v", res.Files, err, sendErr)
	}
	t.Logf("%d files: %.1f MiB after 10,000, at most %.1f MiB after that", files, float64(early)/(1<<20), float64(most)/(1<<20))
	if most > early+uint64(2<<20+32*files) {
		run.failed("the heap grew from %d to %d bytes with the number of files", early, most)
	}
}
