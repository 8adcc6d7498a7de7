package transfer

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Two names of one transfer may be one name here: where case does not count, or where different ways to write an accented
// letter are the same. Then the second must not replace the first. Which names fall together only the file system knows, so
// it is asked: a name that leads to a file which this transfer has made under another name is refused.

// namesakes remembers what the transfer has made, in directories that are open, where names may fall together.
type namesakes struct {
	turn chan struct{} // one token: there, names are taken one at a time

	mu   sync.Mutex
	dirs map[string]*dirNames
}

// dirNames is what is known of a directory.
type dirNames struct {
	probed bool // folds is known
	folds  bool // case does not count
	made   map[fileKey]string
}

func newNamesakes() *namesakes {
	return &namesakes{turn: make(chan struct{}, 1), dirs: make(map[string]*dirNames)}
}

// namesakeError says which name fell together with which.
type namesakeError struct{ other string }

func (e *namesakeError) Error() string { return "it is one name here with " + e.other }

// watches tells whether a name may fall together with another: it is not plain ASCII, or case does not count, or nobody
// knows yet.
func (n *namesakes) watches(dir, name string) bool {
	if strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	d := n.dirs[dir]
	return d == nil || !d.probed || d.folds
}

// find gives the name under which this transfer made what name leads to.
func (n *namesakes) find(dir string, d folder, name string) (string, bool) {
	info, err := d.lookup(name)
	if err != nil {
		return "", false
	}
	key, ok := keyOf(info, name)
	n.mu.Lock()
	defer n.mu.Unlock()
	if !ok || n.dirs[dir] == nil {
		return "", false
	}
	other, ok := n.dirs[dir].made[key]
	return other, ok
}

// add remembers what stands under a name now, made for the name that it has, or will have.
func (n *namesakes) add(dir string, d folder, at, name string) {
	info, err := d.lookup(at)
	if err != nil {
		return // it is gone already: then nothing can fall together with it
	}
	key, ok := keyOf(info, name)
	n.mu.Lock()
	known := n.dirs[dir]
	if known == nil {
		known = &dirNames{made: make(map[fileKey]string)}
		n.dirs[dir] = known
	}
	probed := known.probed
	n.mu.Unlock()
	folds := false
	if other := swapCase(at); !probed && other != at {
		twin, err := d.lookup(other)
		folds, probed = err == nil && os.SameFile(info, twin), true
	}
	n.mu.Lock()
	known.probed = probed
	known.folds = known.folds || folds
	n.mu.Unlock()
	if ok && n.watches(dir, name) {
		n.mu.Lock()
		defer n.mu.Unlock()
		known.made[key] = name
	}
}

// forget is told when a directory is left: no more names come to it.
func (n *namesakes) forget(dir string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.dirs, dir)
}

// swapCase changes the case of the ASCII letters of a name.
func swapCase(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return unicode.ToUpper(r)
		case 'A' <= r && r <= 'Z':
			return unicode.ToLower(r)
		}
		return r
	}, name)
}

// alone calls make to put something under a name, unless the name is one here with another of this transfer. at is where
// what was made stands: under its name or a temporary one. If that shows only afterwards the caller has to undo it.
func (s *fileSink) alone(e *inbound, at string, make func() error) (err error) {
	name := s.name(e)
	if !s.names.watches(e.dir, name) {
		return make()
	}
	select {
	case s.names.turn <- struct{}{}:
		defer func() { <-s.names.turn }()
	case <-s.r.stop:
		return errOver
	}
	d, err := s.st.folder(e.dir)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := d.close(); err == nil {
			err = closeErr
		}
	}()
	if err := s.namesake(e, d, name); err != nil {
		return err
	}
	err = make()
	// Meanwhile the other may have got from its temporary name to its own.
	if other, ok := s.names.find(e.dir, d, partName(name)); ok && err != nil {
		return &namesakeError{other}
	}
	if err := s.namesake(e, d, name); err != nil {
		return err
	}
	if err == nil {
		s.names.add(e.dir, d, at, name)
	}
	return err
}

// namesake is the error of an entry whose name leads to another of this transfer.
func (s *fileSink) namesake(e *inbound, d folder, name string) error {
	if other, ok := s.names.find(e.dir, d, name); ok && (e.Kind != entryDir || other != name) {
		return &namesakeError{other}
	}
	return nil
}

// refusal is the error for the user.
func (e *namesakeError) refusal(path, name string) *Error {
	return refused(path, name, fmt.Sprintf("on this file system its name is one with that of %s, which came in the same transfer", Quote(e.other)),
		"rename one of them at the sender, or receive onto a file system that tells them apart")
}
