package transfer

import (
	"io/fs"
	"math"
	"path"
	"syscall"
	"time"
)

// diskStore is a disk as a receiver uses it: it does to a disk, step by step, what osStore does to the system.
// TestDiskStore holds the two against each other.
type diskStore struct {
	*disk
	whole  bool // syncAll is to be trusted
	linked bool // files are published with a link
}

func (s *diskStore) folder(dir string) (folder, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	number, err := s.find(dir)
	if err != nil {
		return nil, err
	}
	if s.nodes[number].names == nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: syscall.ENOTDIR}
	}
	return &diskFolder{s, number}, nil
}

func (s *diskStore) mkdir(dir string, perm fs.FileMode) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	up, err := s.find(path.Dir(dir))
	if err != nil {
		return false, err
	}
	if there, ok := s.nodes[up].names[path.Base(dir)]; ok {
		if s.nodes[there].names == nil {
			return false, &fs.PathError{Op: "mkdir", Path: dir, Err: fs.ErrExist}
		}
		return false, nil
	}
	s.do(s.make(up, path.Base(dir), &node{names: map[string]int{}, perm: perm}))
	return true, nil
}

func (s *diskStore) setDir(dir string, perm fs.FileMode, mtime time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	number, err := s.find(dir)
	if err != nil {
		return err
	}
	if !mtime.IsZero() {
		s.do(step{kind: stepTime, node: number, mtime: mtime})
	}
	s.do(step{kind: stepPerm, node: number, perm: perm})
	return nil
}

func (s *diskStore) resolve(path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.find(path)
	return err
}

func (s *diskStore) free() (int64, bool) { return math.MaxInt64, true }

func (s *diskStore) syncAll() (bool, error) {
	if !s.whole {
		return false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.do(step{kind: stepSyncAll})
	return true, nil
}

func (s *diskStore) close() error { return nil }

type diskFolder struct {
	s      *diskStore
	number int
}

// child is the number of a name.
func (f *diskFolder) child(name string) (int, error) {
	if number, ok := f.s.nodes[f.number].names[name]; ok {
		return number, nil
	}
	return 0, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (f *diskFolder) lookup(name string) (fs.FileInfo, error) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	number, err := f.child(name)
	if err != nil {
		return nil, err
	}
	n := *f.s.nodes[number]
	return nodeInfo{name, &n}, nil
}

func (f *diskFolder) create(part string) (partFile, int64, error) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	number, err := f.child(part)
	if err == nil && f.s.links(number) > 1 {
		f.s.do(step{kind: stepUnlink, node: f.number, name: part, child: number})
		err = fs.ErrNotExist
	}
	if err != nil {
		s := f.s.make(f.number, part, &node{perm: 0o600})
		f.s.do(s)
		number = s.child
	}
	n := f.s.nodes[number]
	switch {
	case n.names != nil || n.target != "":
		return nil, 0, &fs.PathError{Op: "open", Path: part, Err: syscall.EISDIR}
	case f.s.locked[number]:
		return nil, 0, errBusy
	}
	f.s.locked[number] = true
	if n.perm != 0o600 {
		f.s.do(step{kind: stepPerm, node: number, perm: 0o600})
	}
	return &diskPart{f.s, number}, n.size, nil
}

func (f *diskFolder) open(name string) (partFile, error) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	number, err := f.child(name)
	if err != nil {
		return nil, err
	}
	if f.s.nodes[number].names != nil {
		return nil, notRegular(name)
	}
	return &diskReader{diskPart{f.s, number}}, nil
}

func (f *diskFolder) publish(part, name string, replace bool) error {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	number, err := f.child(part)
	if err != nil {
		return err
	}
	if old, err := f.child(name); err == nil && (!replace || f.s.nodes[old].names != nil) {
		return &fs.PathError{Op: "rename", Path: name, Err: fs.ErrExist}
	}
	if replace || !f.s.linked {
		f.s.do(step{kind: stepRename, node: f.number, name: part, to: name, child: number})
		return nil
	}
	f.s.do(step{kind: stepLink, node: f.number, name: name, child: number})
	f.s.do(step{kind: stepUnlink, node: f.number, name: part, child: number})
	return nil
}

func (f *diskFolder) remove(name string) error {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	number, err := f.child(name)
	if err != nil {
		return err
	}
	f.s.do(step{kind: stepUnlink, node: f.number, name: name, child: number})
	return nil
}

func (f *diskFolder) symlink(target, name string) error {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if _, err := f.child(name); err == nil {
		return &fs.PathError{Op: "symlink", Path: name, Err: fs.ErrExist}
	}
	f.s.do(f.s.make(f.number, name, &node{target: target, perm: 0o777}))
	return nil
}

func (f *diskFolder) readlink(name string) (string, error) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	number, err := f.child(name)
	if err == nil && f.s.nodes[number].target == "" {
		err = &fs.PathError{Op: "readlink", Path: name, Err: syscall.EINVAL}
	}
	if err != nil {
		return "", err
	}
	return f.s.nodes[number].target, nil
}

func (f *diskFolder) setTime(name string, mtime time.Time) error {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	number, err := f.child(name)
	if err != nil {
		return err
	}
	f.s.do(step{kind: stepTime, node: number, mtime: mtime})
	return nil
}

func (f *diskFolder) there() error { return nil } // directories are not moved

func (f *diskFolder) covered() bool { return true }

func (f *diskFolder) sync() error {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	f.s.do(step{kind: stepSync, node: f.number})
	return nil
}

func (f *diskFolder) close() error { return nil }

type diskPart struct {
	s      *diskStore
	number int
}

func (p *diskPart) WriteAt(b []byte, offset int64) (int, error) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.s.do(p.s.writing(p.number, b, offset)...)
	return len(b), nil
}

func (p *diskPart) ReadAt(b []byte, offset int64) (int, error) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	return p.s.nodes[p.number].read(b, offset)
}

// one makes a single change to the file.
func (p *diskPart) one(s step) error {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	s.node = p.number
	p.s.do(s)
	return nil
}

func (p *diskPart) chmod(perm fs.FileMode) error { return p.one(step{kind: stepPerm, perm: perm}) }
func (p *diskPart) truncate(size int64) error    { return p.one(step{kind: stepSize, size: size}) }
func (p *diskPart) datasync() error              { return p.one(step{kind: stepDatasync}) }
func (p *diskPart) sync() error                  { return p.one(step{kind: stepSync}) }

func (p *diskPart) Close() error {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	delete(p.s.locked, p.number)
	return nil
}

// diskReader is a file that was there before. It has no lock.
type diskReader struct{ diskPart }

func (*diskReader) Close() error { return nil }
