// Package promise says what must hold after every fault of a transfer, whatever failed, in one function that all tests of
// faults call: those in memory, those on real disks, and scripts/torture, which kills processes.
package promise

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// Killed is the exit status of an end that did not come to choose one.
const Killed = -1

// Outcome is what a run of both ends left behind.
type Outcome struct {
	Old fs.FS // the destination before the first run; nil: empty
	New fs.FS // what the sender sends, under the names it gets; nil: a pipe
	Now fs.FS // the destination as it is; nil: a pipe
	// Kept are the names for which the sender holds a receipt, if it ended otherwise than well.
	Kept []string

	Input, Output []byte // of a pipe: all that was to come, and all that came out

	Sender, Receiver int  // exit statuses, or Killed
	Attributes       bool // mode and time are preserved
}

// Check gives the first promise that an outcome breaks; nil if it keeps them all:
//
//   - each name is absent, or has the old file untouched, or the complete new one
//   - partial bytes are only in .NAME.udtcp-part and .NAME.udtcp-journal
//   - an old file is never absent
//   - standard output has a prefix of what was to come: no gap, no repeat
//   - a sender that ends with 0 has a receiver that does
//   - after an end with 0, at either side, and after a receipt for a name, the new file is there; after an end of the
//     receiver with 0 nothing is left beside it
func Check(o Outcome) error {
	if o.Sender == 0 && o.Receiver != 0 && o.Receiver != Killed {
		return fmt.Errorf("the sender ended with 0, the receiver with %d", o.Receiver)
	}
	well := o.Sender == 0 || o.Receiver == 0
	if o.New == nil {
		return checkOutput(o, well)
	}
	if err := checkNames(o); err != nil {
		return err
	}
	if err := o.checkOld(); err != nil {
		return err
	}
	kept := o.Kept
	if well {
		var err error
		if kept, err = list(o.New); err != nil {
			return err
		}
	}
	for _, name := range kept {
		if err := same(o.New, o.Now, name, o.Attributes); err != nil {
			return fmt.Errorf("%s is promised, and not there: %w", name, err)
		}
	}
	return nil
}

func checkOutput(o Outcome, well bool) error {
	if !bytes.HasPrefix(o.Input, o.Output) {
		n := 0
		for n < len(o.Input) && n < len(o.Output) && o.Input[n] == o.Output[n] {
			n++
		}
		return fmt.Errorf("the output has %d bytes and is no prefix of the input, which has %d: they differ from byte %d on",
			len(o.Output), len(o.Input), n)
	}
	if well && len(o.Output) != len(o.Input) {
		return fmt.Errorf("all is well with %d bytes of %d", len(o.Output), len(o.Input))
	}
	return nil
}

// checkNames looks at everything there is.
func checkNames(o Outcome) error {
	return fs.WalkDir(o.Now, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if d.IsDir() {
			if !isDir(o.New, name) && !isDir(o.Old, name) {
				return fmt.Errorf("%s is a directory that nobody sent", name)
			}
			return nil
		}
		if of, is := partial(name); is {
			switch {
			case o.Receiver == 0:
				return fmt.Errorf("%s is left behind", name)
			case !exists(o.New, of):
				return fmt.Errorf("%s belongs to no file that is sent", name)
			}
			return nil
		}
		asNew := same(o.New, o.Now, name, o.Attributes)
		if asNew == nil {
			return nil
		}
		if o.Old == nil || !exists(o.Old, name) {
			return fmt.Errorf("%s is not the sender's: %w", name, asNew)
		}
		if asOld := same(o.Old, o.Now, name, o.Attributes); asOld != nil {
			return fmt.Errorf("%s is a mixture: as against the new file, %w; as against the old one, %w", name, asNew, asOld)
		}
		return nil
	})
}

// checkOld makes sure that nothing that was there has gone.
func (o Outcome) checkOld() error {
	if o.Old == nil {
		return nil
	}
	names, err := list(o.Old)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, partOfOne := partial(name); partOfOne || exists(o.Now, name) {
			continue
		}
		return fmt.Errorf("%s was there and is gone", name)
	}
	return nil
}

// partial tells whether a path is one that bytes may have while they come, and of what file.
func partial(name string) (of string, is bool) {
	dir, base := "", name
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		dir, base = name[:i+1], name[i+1:]
	}
	base, hidden := strings.CutPrefix(base, ".")
	for _, suffix := range []string{".udtcp-part", ".udtcp-journal"} {
		if b, ok := strings.CutSuffix(base, suffix); ok && hidden {
			return dir + b, true
		}
	}
	return "", false
}

// list gives every file's and directory's name.
func list(fsys fs.FS) (names []string, err error) {
	err = fs.WalkDir(fsys, ".", func(name string, _ fs.DirEntry, err error) error {
		if err == nil && name != "." {
			names = append(names, name)
		}
		return err
	})
	return names, err
}

func exists(fsys fs.FS, name string) bool {
	_, err := fs.Lstat(fsys, name)
	return err == nil
}

func isDir(fsys fs.FS, name string) bool {
	if fsys == nil {
		return false
	}
	info, err := fs.Lstat(fsys, name)
	return err == nil && info.IsDir()
}

// same compares a file or a symbolic link, or the existence of a directory.
func same(want, have fs.FS, name string, attributes bool) error {
	a, err := fs.Lstat(want, name)
	if err != nil {
		return err
	}
	b, err := fs.Lstat(have, name)
	if err != nil {
		return err
	}
	switch {
	case a.IsDir() && b.IsDir():
		return nil // its mode and time come last, and promise nothing
	case a.Mode().Type() != b.Mode().Type():
		return fmt.Errorf("its type is %v, wanted %v", b.Mode().Type(), a.Mode().Type())
	case a.Mode().Type() == fs.ModeSymlink:
		return sameTarget(want, have, name)
	case a.Size() != b.Size():
		return fmt.Errorf("it has %d bytes, wanted %d", b.Size(), a.Size())
	case attributes && a.Mode() != b.Mode():
		return fmt.Errorf("its mode is %v, wanted %v", b.Mode(), a.Mode())
	case attributes && !a.ModTime().Equal(b.ModTime()):
		return fmt.Errorf("its time is %v, wanted %v", b.ModTime(), a.ModTime())
	}
	return sameBytes(want, have, name)
}

func sameTarget(want, have fs.FS, name string) error {
	a, err := fs.ReadLink(want, name)
	if err != nil {
		return err
	}
	b, err := fs.ReadLink(have, name)
	if err == nil && a != b {
		err = fmt.Errorf("it leads to %q, wanted %q", b, a)
	}
	return err
}

func sameBytes(want, have fs.FS, name string) error {
	f, err := want.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	g, err := have.Open(name)
	if err != nil {
		return err
	}
	defer g.Close()
	const piece = 16 << 10
	a, b := make([]byte, piece), make([]byte, piece)
	for at := int64(0); ; {
		n, errA := io.ReadFull(f, a)
		m, errB := io.ReadFull(g, b)
		if n != m || !bytes.Equal(a[:n], b[:m]) {
			return fmt.Errorf("it differs between bytes %d and %d", at, at+piece)
		}
		at += int64(n)
		if ended(errA) && ended(errB) {
			return nil
		}
		if err := errors.Join(errA, errB); err != nil {
			return err
		}
	}
}

func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
