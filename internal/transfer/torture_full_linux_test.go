package transfer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/promise"
)

// TestTortureFullDisk has a real file system run full after any number of bytes, then makes room and runs it again.
func TestTortureFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: only root can mount a small file system")
	}
	run := newTorture(t, "a disk that runs full", "FULL", 20)
	mount := t.TempDir()
	if err := syscall.Mount("udtcp-test", mount, "tmpfs", 0, "size=12m"); err != nil {
		t.Skip("NOT TESTED: no small file system: ", err)
	}
	defer func() {
		if err := syscall.Unmount(mount, 0); err != nil {
			t.Error(err)
		}
	}()
	list := tortures(t)
	full := 0
	for i := range run.Cases {
		c := list[i%len(list)]
		// Of what was there something may be kept.
		total := int64(2*blockSize) + max(c.sent.room()-c.old.room(), blockSize)
		// As many offsets as there are cases, a page apart at least, from the first byte to the last.
		offset := total * int64(i) / int64(run.Cases)
		wasFull, err := c.fillUp(t, run, filepath.Join(mount, fmt.Sprint(i)), offset, i%3 == 0)
		if err != nil {
			run.failed("%s: case %d, %d bytes of %d are free: %v", c.name, i, offset, total, err)
		}
		if wasFull {
			full++
		}
	}
	if full < run.Cases*3/4 {
		t.Errorf("the disk was full in %d cases of %d", full, run.Cases)
	}
}

// room is what all files of a disk take, bytes.
func (d *disk) room() (total int64) {
	for _, n := range d.nodes {
		for _, b := range n.blocks {
			if b != nil {
				total += blockSize
			}
		}
	}
	return total
}

// fillUp runs a transfer into a directory of a file system on which some bytes are free, then frees more and runs it again.
// told has the receiver know how much is free.
func (c *tortured) fillUp(t *testing.T, run *torture, dst string, free int64, told bool) (full bool, err error) {
	if err := os.CopyFS(dst, c.old); err != nil {
		return false, err
	}
	old := load(t, dst, ".")
	balloon := filepath.Join(filepath.Dir(dst), "balloon")
	if err := inflate(balloon, free); err != nil {
		return false, err
	}
	ro := c.ro
	ro.Dir = dst
	open := func(dir string) (store, error) {
		st, err := openStore(dir)
		if told {
			return st, err
		}
		return &boundless{st}, err
	}
	run.Runs.Add(2)
	begin := time.Now()
	o := moveWith(t, newWire(1<<16), c.so, ro, open)
	took := time.Since(begin)
	if err := os.Remove(balloon); err != nil {
		return false, err
	}
	outcome := promise.Outcome{
		Old: old, New: c.sent, Now: os.DirFS(dst), Attributes: true,
		Sender: KindOf(o.sendErr).ExitCode(), Receiver: KindOf(o.gotErr).ExitCode(),
	}
	for _, f := range o.sentFiles {
		outcome.Kept = append(outcome.Kept, f.Name)
	}
	if err := promise.Check(outcome); err != nil {
		return false, err
	}
	if full = o.gotErr != nil; full {
		const prompt = 30 * time.Second // TestFullDisk is stricter; here many run at a time
		switch {
		case KindOf(o.sendErr) != KindRemoteIO || KindOf(o.gotErr) != KindLocalIO || !errors.Is(o.gotErr, syscall.ENOSPC):
			return full, fmt.Errorf("send: %w, recv: %w", o.sendErr, o.gotErr)
		case took > prompt:
			return full, fmt.Errorf("it took %v to say so", took)
		}
	}
	ro.Overwrite = true
	o = moveWith(t, newWire(1<<16), c.so, ro, open)
	if o.sendErr != nil || o.gotErr != nil {
		return full, fmt.Errorf("run again with room: send: %w, recv: %w", o.sendErr, o.gotErr)
	}
	outcome.Sender, outcome.Receiver = 0, 0
	return full, errors.Join(promise.Check(outcome), os.RemoveAll(dst))
}

// inflate makes a file that leaves so many bytes of its file system free.
func inflate(name string, free int64) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	room, ok := freeSpace(f)
	if !ok {
		return errors.Join(errors.New("the system does not say how much is free"), f.Close())
	}
	err = syscall.Fallocate(int(f.Fd()), 0, 0, max(1, room-free/blockSize*blockSize))
	return errors.Join(err, f.Close())
}
