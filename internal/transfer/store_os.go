package transfer

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// errBusy is a part file that another receiver is writing.
var errBusy = errors.New("another udtcp is receiving this file")

// osStore is a directory of the system, held by an os.Root.
type osStore struct {
	root   *os.Root
	self   *os.File // the root directory, for syncAll: errors count from its opening on
	device uint64
	whole  bool        // syncAll is to be trusted here
	linked atomic.Bool // files are published with a link: no rename here leaves alone what has the name

	mu   sync.Mutex
	open map[string]*osFolder // in use, or among the idle
	idle []*osFolder          // oldest first
}

// idleFolders is how many directories stay open without anybody using them, for the next file in them.
const idleFolders = 16

func openStore(dir string) (*osStore, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	self, err := openSelf(root)
	if err != nil {
		return nil, err
	}
	s := &osStore{root: root, self: self, open: make(map[string]*osFolder)}
	if info, err := self.Stat(); err == nil {
		s.device = deviceOf(info)
	}
	s.whole = wholeSync(self)
	return s, nil
}

// openSelf opens the root's own directory, for what an os.Root cannot do. If that fails it closes the root.
func openSelf(root *os.Root) (*os.File, error) {
	self, err := root.OpenFile(".", os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return self, nil
}

func (s *osStore) folder(dir string) (folder, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.open[dir]; f != nil {
		s.take(f)
		return f, nil
	}
	f, err := s.openFolder(dir)
	if err != nil {
		return nil, err
	}
	s.open[dir] = f
	return f, nil
}

func (s *osStore) openFolder(dir string) (*osFolder, error) {
	root, err := s.root.OpenRoot(local(dir))
	if err != nil {
		return nil, err
	}
	self, err := openSelf(root)
	if err != nil {
		return nil, err
	}
	f := &osFolder{store: s, name: dir, root: root, self: self, uses: 1}
	if info, err := self.Stat(); err == nil {
		f.inside = deviceOf(info) == s.device
	}
	return f, nil
}

// take counts one more user.
func (s *osStore) take(f *osFolder) {
	if f.uses == 0 {
		for i, g := range s.idle {
			if g == f {
				s.idle = append(s.idle[:i], s.idle[i+1:]...)
				break
			}
		}
	}
	f.uses++
}

// release counts one user less and closes the folder that was idle longest if there are too many.
func (s *osStore) release(f *osFolder) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.uses--; f.uses > 0 {
		return nil
	}
	s.idle = append(s.idle, f)
	if len(s.idle) <= idleFolders {
		return nil
	}
	old := s.idle[0]
	s.idle = s.idle[1:]
	delete(s.open, old.name)
	return old.shut()
}

func (s *osStore) mkdir(dir string, perm fs.FileMode) (bool, error) {
	err := s.root.Mkdir(local(dir), perm)
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return false, err
	}
	info, statErr := s.root.Stat(local(dir))
	if statErr != nil {
		return false, statErr
	}
	if !info.IsDir() {
		return false, err
	}
	return false, nil
}

func (s *osStore) setDir(dir string, perm fs.FileMode, mtime time.Time) error {
	f, err := s.root.Open(local(dir))
	if err != nil {
		return err
	}
	defer f.Close()
	if !mtime.IsZero() {
		if err := s.root.Chtimes(local(dir), time.Time{}, mtime); err != nil {
			return err
		}
	}
	return f.Chmod(perm)
}

func (s *osStore) resolve(path string) error {
	_, err := s.root.Stat(path)
	return err
}

func (s *osStore) free() (int64, bool) { return freeSpace(s.self) }

func (s *osStore) syncAll() (bool, error) {
	if !s.whole {
		return false, nil
	}
	return true, syncFileSystem(s.self)
}

func (s *osStore) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, f := range s.open {
		errs = append(errs, f.shut())
	}
	s.open, s.idle = nil, nil
	return errors.Join(append(errs, s.self.Close(), s.root.Close())...)
}

// local is how os.Root wants a relative path.
func local(dir string) string {
	if dir == "" {
		return "."
	}
	return dir
}

// osFolder is shared by all who work in the directory.
type osFolder struct {
	store  *osStore
	name   string
	root   *os.Root
	self   *os.File // the directory: its errors count from its opening on
	inside bool     // on the same file system as the store's root
	uses   int      // under store.mu
}

func (f *osFolder) shut() error { return errors.Join(f.self.Close(), f.root.Close()) }

func (f *osFolder) lookup(name string) (fs.FileInfo, error) { return f.root.Lstat(name) }

func (f *osFolder) create(part string) (partFile, int64, error) {
	const tries = 3 // each lost to another receiver that was just giving up
	for range tries {
		file, err := f.root.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_EXCL|openFlags, 0o600)
		if errors.Is(err, fs.ErrExist) {
			file, err = f.root.OpenFile(part, os.O_RDWR|openFlags, 0o600)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
		}
		if err != nil {
			return nil, 0, err
		}
		ours, size, err := f.claim(file, part)
		if ours && err == nil {
			return osPart{file}, size, nil
		}
		if err = errors.Join(err, file.Close()); err != nil {
			return nil, 0, err
		}
	}
	return nil, 0, errBusy
}

// claim locks a part file that was just opened and makes sure that it still is the one with that name.
func (f *osFolder) claim(file *os.File, part string) (ours bool, size int64, err error) {
	if err := lockFile(file); err != nil {
		return false, 0, err
	}
	opened, err := file.Stat()
	if err != nil {
		return false, 0, err
	}
	if !opened.Mode().IsRegular() {
		return false, 0, notRegular(part)
	}
	named, err := f.root.Lstat(part)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(opened, named) {
		return false, 0, nil
	}
	if err != nil {
		return false, 0, err
	}
	if linksOf(opened) > 1 {
		// An earlier receiver died between giving it its final name and taking this one away: it is that file now.
		return false, 0, f.root.Remove(part)
	}
	if opened.Mode().Perm() != 0o600 {
		err = file.Chmod(0o600)
	}
	return true, opened.Size(), err
}

func notRegular(name string) error {
	return &fs.PathError{Op: "open", Path: name, Err: errors.New("not a regular file")}
}

func (f *osFolder) open(name string) (partFile, error) {
	file, err := f.root.OpenFile(name, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = notRegular(name)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return osPart{file}, nil
}

func (f *osFolder) publish(part, name string, replace bool) error {
	if replace {
		return f.root.Rename(part, name)
	}
	// Both ways, unlike a mere rename, fail when the name is taken, however short ago.
	if !f.store.linked.Load() {
		err := renameNew(f.self, part, name)
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		f.store.linked.Store(true)
	}
	err := f.root.Link(part, name)
	switch {
	case err == nil:
		return f.root.Remove(part)
	case errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrNotExist):
		return err
	}
	// A file system without hard links. What is left is to look first.
	if _, err := f.root.Lstat(name); err == nil {
		return &fs.PathError{Op: "rename", Path: name, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return f.root.Rename(part, name)
}

func (f *osFolder) remove(name string) error { return f.root.Remove(name) }

func (f *osFolder) symlink(target, name string) error { return f.root.Symlink(target, name) }

func (f *osFolder) readlink(name string) (string, error) { return f.root.Readlink(name) }

func (f *osFolder) setTime(name string, mtime time.Time) error {
	return f.root.Chtimes(name, time.Time{}, mtime)
}

// errMoved is a directory that was moved away, or replaced, while it was in use.
var errMoved = errors.New("something else has taken its place")

func (f *osFolder) there() error {
	own, err := f.self.Stat()
	if err != nil {
		return err
	}
	named, err := f.store.root.Stat(local(f.name))
	if err == nil && !os.SameFile(own, named) {
		err = errMoved
	}
	return err
}

func (f *osFolder) covered() bool { return f.inside }

func (f *osFolder) sync() error { return syncDir(f.self) }

func (f *osFolder) close() error { return f.store.release(f) }

// osPart is a part file of the system.
type osPart struct{ *os.File }

func (p osPart) chmod(perm fs.FileMode) error { return p.Chmod(perm) }
func (p osPart) truncate(size int64) error    { return p.Truncate(size) }
func (p osPart) sync() error                  { return p.Sync() }
func (p osPart) datasync() error              { return datasync(p.File) }

// fallbackUmask is the file mode mask where the process's own cannot be read.
const fallbackUmask = 0o022
