package transfer

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"time"
)

// standing is a plain file that was there before the transfer.
type standing struct {
	info    fs.FileInfo
	covered bool   // syncAll reaches it
	seen    uint64 // how many syncs of everything had begun when it was seen
}

func (s *fileSink) existing(path string) (there *standing, free bool) {
	d, name, err := s.seek(path)
	if err != nil {
		return nil, errors.Is(err, fs.ErrNotExist) // what else is wrong is for those to find out who write there
	}
	s.mu.Lock()
	there = &standing{covered: d.covered(), seen: s.syncsBegun}
	s.mu.Unlock()
	there.info, err = d.lookup(name)
	if closeErr := d.close(); err != nil || closeErr != nil || !there.info.Mode().IsRegular() {
		return nil, errors.Is(err, fs.ErrNotExist)
	}
	return there, false
}

func (s *fileSink) openExisting(path string) (partFile, error) {
	d, name, err := s.spot(path)
	if err != nil {
		return nil, err
	}
	f, err := d.open(name)
	if closeErr := d.close(); err == nil {
		err = closeErr
	}
	return f, err
}

// stands tells whether a small file that came unasked need not be written: as with one that was asked for, the very file
// is there, and it would be refused or keeps its time. What cannot be read is not there, see desk.digest.
func (s *fileSink) stands(e *inbound, b []byte) bool {
	if e.Ask != 0 || !s.r.terms.skip {
		return false
	}
	there, free := s.existing(e.path)
	e.free = free
	if there == nil || there.info.Size() != int64(len(b)) {
		return false
	}
	replaces := s.r.o.Overwrite && !s.r.o.Checksum
	if replaces && !there.info.ModTime().Equal(e.mtime()) {
		return false
	}
	f, err := s.openExisting(e.path)
	if err != nil {
		return false
	}
	defer f.Close()               // read only
	was := make([]byte, len(b)+1) // if it grows it is another
	n, err := io.ReadFull(io.NewSectionReader(f, 0, int64(len(was))), was)
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) || !bytes.Equal(was[:n], b) {
		return false
	}
	e.there = there
	return true
}

// spot opens the directory of a path.
func (s *fileSink) spot(path string) (folder, string, error) {
	dir, name := s.split(path)
	d, err := s.st.folder(dir)
	return d, name, err
}

// split gives a path's directory and its last component here.
func (s *fileSink) split(path string) (dir, name string) {
	name = path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		dir, name = path[:i], path[i+1:]
	}
	if s.single != "" {
		name = s.single
	}
	return dir, name
}

// seenFor is how long what was seen of the file system is believed where nothing hangs on it.
const seenFor = 50 * time.Millisecond

// absence is a directory that was not there when it was looked for.
type absence struct {
	dir  string
	when time.Time
}

// seek is spot for what may be there. Questions come before the directories that they are about are made: one that was
// not there is not looked for again with each of its files.
func (s *fileSink) seek(path string) (folder, string, error) {
	dir, name := s.split(path)
	if a := s.absent.Load(); a != nil && a.dir == dir && time.Since(a.when) < seenFor {
		return nil, "", fs.ErrNotExist
	}
	d, err := s.st.folder(dir)
	if errors.Is(err, fs.ErrNotExist) {
		s.absent.Store(&absence{dir, time.Now()})
	}
	return d, name, err
}

// keep makes sure that a file that need not come still is what it was, and removes what an attempt to receive it may have
// left that ended at the last moment.
func (s *fileSink) keep(e *inbound) error {
	now, _ := s.existing(e.path)
	if was := e.there.info; now == nil || now.info.Size() != was.Size() || !now.info.ModTime().Equal(was.ModTime()) {
		return &Error{
			Kind: KindIntegrity, Op: "receive", Path: s.where(e), name: e.path,
			Msg: "the file there was left as it is, and has changed since", Hint: "run it again once nothing writes to it",
		}
	}
	if err := s.alone(e, s.name(e), func() error { return nil }); err != nil {
		return s.r.fault("keep", e, err)
	}
	if err := s.tidy(e.path); err != nil {
		return s.r.fault("tidy up beside", e, err)
	}
	return nil
}

// tidy removes the part file and the journal beside a path, unless somebody is writing them.
func (s *fileSink) tidy(path string) (err error) {
	d, name, err := s.spot(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	for _, temp := range []string{partName(name), journalName(name)} {
		if _, err := d.lookup(temp); err != nil {
			if notThere(err) != nil {
				return err
			}
			continue
		}
		f, _, err := d.create(temp) // which takes it over
		if errors.Is(err, errBusy) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := errors.Join(d.remove(temp), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// notThere is nil for the error that says so.
func notThere(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// syncAll makes everything durable in one go, where that can be done, and remembers what it reached.
func (s *fileSink) syncAll() (bool, error) {
	s.mu.Lock()
	s.syncsBegun++
	number := s.syncsBegun
	s.mu.Unlock()
	ok, err := s.st.syncAll()
	if err != nil {
		return false, localIO("sync", s.at, "", err)
	}
	if ok {
		s.mu.Lock()
		s.syncsDone = max(s.syncsDone, number)
		s.mu.Unlock()
	}
	return ok, nil
}

// unsure tells whether an entry is a file that was there and that whoever wrote it may not have made durable.
func (s *fileSink) unsure(e *inbound) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return e.there != nil && (!e.there.covered || s.syncsDone <= e.there.seen)
}

// sync makes the content of an entry's file durable.
func (s *fileSink) sync(e *inbound) error {
	if e.part != nil {
		return e.part.file.sync()
	}
	f, err := s.openExisting(e.path)
	if err != nil {
		return err
	}
	return errors.Join(f.sync(), f.Close())
}

func (s *streamSink) existing(string) (*standing, bool)     { return nil, false }
func (s *streamSink) openExisting(string) (partFile, error) { return nil, syscall.ENOENT }
func (s *streamSink) keep(*inbound) error                   { return nil } // no questions are answered for a pipe
func (s *streamSink) left(string) (int64, bool)             { return 0, false }
func (s *streamSink) room(int64) error                      { return nil }
