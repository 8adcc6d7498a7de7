package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	maxParts   = 256 // part files open at a time
	syncFew    = 8   // up to so many files or directories are synced one by one, side by side
	enoughDirs = 4   // from so many directories on one sync of everything is cheaper
)

// errTaken is a name that was free when its part file was opened and is not any more.
var errTaken = errors.New("it has come to exist")

// fileSink writes below a directory.
type fileSink struct {
	r      *receiver
	st     store
	at     string      // the directory, for messages
	single string      // the one name to write to, if there is only that
	perm   fs.FileMode // of files whose mode is not preserved
	tokens chan struct{}
	absent atomic.Pointer[absence]
	space  atomic.Pointer[space]

	mu    sync.Mutex
	parts map[*part]struct{} // not yet committed
	names *namesakes

	syncsBegun, syncsDone uint64 // of everything
}

func newFileSink(r *receiver, st store, at, single string) *fileSink {
	return &fileSink{
		r: r, st: st, at: at, single: single, perm: 0o666 &^ umask(),
		tokens: make(chan struct{}, maxParts), parts: make(map[*part]struct{}),
		names: newNamesakes(),
	}
}

func (s *fileSink) ordered() bool { return false }

func (s *fileSink) where(e *inbound) string {
	if s.single != "" {
		return filepath.Join(s.at, s.single)
	}
	return filepath.Join(s.at, filepath.FromSlash(e.path))
}

func (s *fileSink) offer(b *offerBody) error {
	switch {
	case s.single != "" && b.Shape == shapeMany:
		return refused(filepath.Join(s.at, s.single), "", "the sender offers several files, this is the name of one",
			"give a directory with -o DIR/")
	case s.single == "" && b.Shape == shapeStream:
		return refused("", "", "the sender offers a stream, which has no name", "give the receiver one with -o FILE, or -o - for a pipe")
	}
	if s.r.terms.skip {
		return nil // much of it may be there; the answers say how much
	}
	return s.room(b.Bytes)
}

// space is the room that there was.
type space struct {
	free int64 // bytes
	when time.Time
}

// room makes sure that there is space for n more bytes.
func (s *fileSink) room(n int64) error {
	if was := s.space.Load(); was != nil && n <= was.free/2 && time.Since(was.when) < seenFor {
		return nil
	}
	free, ok := s.st.free()
	if !ok {
		return nil
	}
	s.space.Store(&space{free, time.Now()})
	if n > free {
		e := localIO("write below", s.at, "", syscall.ENOSPC)
		e.Msg = fmt.Sprintf("%d bytes are to come and %d are free", n, free)
		return e
	}
	return nil
}

func (s *fileSink) open(e *inbound) error {
	switch e.Kind {
	case entryFile, entryStream:
		select {
		case s.tokens <- struct{}{}: // given back with the part
		case <-s.r.stop:
			return errOver
		}
		if s.r.resumes(e) {
			if err := s.find(e); err != nil {
				return err
			}
		}
		return s.room(e.Size - max(e.here, e.Holes))
	case entryDir:
		perm := fs.FileMode(0o777)
		if p, ok := e.perm(); ok && s.r.o.Preserve {
			perm = p | 0o700 // we have to write there; what was asked for comes with its end
		}
		err := s.alone(e, e.Name, func() (err error) {
			e.made, err = s.st.mkdir(e.path, perm)
			return err
		})
		if err != nil {
			return s.r.fault("make directory", e, err)
		}
		if !e.made && s.r.terms.links {
			return s.realDir(e)
		}
	}
	return nil
}

func (s *fileSink) small(e *inbound, b []byte) error {
	if s.stands(e, b) {
		<-s.tokens // there will be no part
		return s.keep(e)
	}
	if err := s.begin(e); err != nil {
		return err
	}
	if len(b) > 0 {
		if err := s.write(e, b, 0); err != nil {
			return err
		}
	}
	return s.finish(e)
}

func (s *fileSink) begin(e *inbound) error {
	if e.part != nil {
		return nil // opened with the entry
	}
	if err := s.openPart(e); err != nil {
		return s.r.fault("create", e, err)
	}
	if err := e.part.fresh(); err != nil {
		return s.r.fault("create", e, err)
	}
	return nil
}

// name is the last component of the entry's path here.
func (s *fileSink) name(e *inbound) string {
	if s.single != "" {
		return s.single
	}
	return e.Name
}

func (s *fileSink) openAlone(e *inbound) (p *part, err error) {
	err = s.alone(e, partName(s.name(e)), func() (err error) {
		p, err = openPart(s.st, e.dir, s.name(e), s.r.o.Overwrite, e.free && s.r.small(e))
		return err
	})
	if err != nil && p != nil {
		return nil, errors.Join(err, p.discard())
	}
	return p, err
}

// openPart opens the part file for the entry, with what there is in it.
func (s *fileSink) openPart(e *inbound) error {
	p, err := s.openAlone(e)
	if hub := s.r.hub; errors.Is(err, errBusy) && hub != nil {
		// Perhaps a sender that was killed and came back as another.
		tick := s.r.stillAtIt()
		for end := time.Now().Add(busyPatience); errors.Is(err, errBusy) && time.Now().Before(end) && !tick(); {
			if !hub.makeWay(s.r.session, aliveEvery) {
				break
			}
			p, err = s.openAlone(e)
		}
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts[p] = struct{}{}
	e.part = p
	return nil
}

func (s *fileSink) write(e *inbound, b []byte, offset int64) error {
	if e.Holes == 0 {
		return s.wrote(e, e.part.write(b, offset, e.lane.through))
	}
	err := eachData(b, func(from, to int) error { return e.part.write(b[from:to], offset+int64(from), 0) })
	if err == nil {
		err = e.part.extend(offset+int64(len(b)), e.lane.through) // what comes last may have been left out
	}
	return s.wrote(e, err)
}

func (s *fileSink) wrote(e *inbound, err error) error {
	if err != nil {
		return s.r.fault("write", e, err)
	}
	return nil
}

// finish gives the part file the mode and time the file will have.
func (s *fileSink) finish(e *inbound) error {
	perm, mtime := s.perm, time.Time{}
	if s.r.o.Preserve {
		if p, ok := e.perm(); ok {
			perm = p
		}
		mtime = e.mtime()
	}
	if err := e.part.file.chmod(perm); err != nil {
		if !unsupported(err) {
			return s.r.fault("set mode of", e, err)
		}
		s.r.notes.message("the mode of " + Quote(e.path) + " cannot be kept here: " + reason(err))
	}
	if !mtime.IsZero() {
		if err := e.part.dir.setTime(e.part.temp, mtime); err != nil {
			s.r.notes.message("the time of " + Quote(e.path) + " cannot be kept here: " + reason(err))
		}
	}
	return nil
}

// unsupported tells whether a file system has no such thing as was asked for.
func unsupported(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EINVAL)
}

func (s *fileSink) commit(batch []*inbound) error {
	if err := s.syncFiles(batch); err != nil {
		return err
	}
	dirs := make(map[string]*inbound) // one entry for each, for the message
	for _, e := range batch {
		if e.part != nil {
			if err := e.part.publish(s.r.o.Overwrite); err != nil {
				if errors.Is(err, fs.ErrExist) {
					err = errTaken
				}
				return s.r.fault("rename to", e, err)
			}
		}
		if e.Kind == entryLink {
			if err := s.link(e); err != nil {
				return err
			}
		}
		if e.part != nil || e.made || e.Kind == entryLink || s.unsure(e) {
			dirs[e.dir] = e
		}
	}
	if err := s.syncDirs(dirs); err != nil {
		return err
	}
	for _, e := range batch {
		if e.part == nil {
			continue
		}
		if err := s.forget(e.part).close(); err != nil {
			return s.r.fault("close", e, err)
		}
		<-s.tokens
	}
	return nil
}

func (s *fileSink) forget(p *part) *part {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.parts, p)
	return p
}

// syncFiles makes the content of the batch's files durable: a few side by side, many by one sync of the file system.
func (s *fileSink) syncFiles(batch []*inbound) error {
	n, covered := 0, true
	for _, e := range batch {
		switch {
		case e.part != nil:
			if err := e.part.settle(); err != nil {
				return s.r.fault("sync", e, err)
			}
			covered = covered && e.part.dir.covered()
		case s.unsure(e):
			covered = covered && e.there.covered
		default:
			continue
		}
		n++
	}
	if n > syncFew && covered {
		if ok, err := s.syncAll(); ok || err != nil {
			return err
		}
	}
	return sideBySide(batch, syncFew, func(e *inbound) error {
		if e.part == nil && !s.unsure(e) {
			return nil
		}
		if err := s.sync(e); err != nil {
			return s.r.fault("sync", e, err)
		}
		return nil
	})
}

// sideBySide calls f for each item, limit at a time, and returns one of the errors.
func sideBySide[T any](items []T, limit int, f func(T) error) error {
	var wg sync.WaitGroup
	slots := make(chan struct{}, limit)
	result := make(chan error, 1)
	for _, it := range items {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := f(it); err != nil {
				select {
				case result <- err:
				default: // one is enough
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-result:
		return err
	default:
		return nil
	}
}

// syncDirs makes new names durable. dirs has an entry for each directory, to name in a message.
func (s *fileSink) syncDirs(dirs map[string]*inbound) error {
	type open struct {
		folder
		e *inbound
	}
	var folders []open
	defer func() {
		for _, f := range folders {
			_ = f.close() // nothing was written through it
		}
	}()
	covered := true
	for dir, e := range dirs {
		f, err := s.st.folder(dir)
		if err != nil {
			return s.r.fault("sync the directory of", e, err)
		}
		folders = append(folders, open{f, e})
		if err := f.there(); err != nil {
			return s.r.fault("find again the directory of", e, err)
		}
		covered = covered && f.covered()
	}
	if len(dirs) >= enoughDirs && covered {
		if ok, err := s.syncAll(); ok || err != nil {
			return err
		}
	}
	return sideBySide(folders, syncFew, func(f open) error {
		if err := f.sync(); err != nil {
			return s.r.fault("sync the directory of", f.e, err)
		}
		return nil
	})
}

func (s *fileSink) leave(dir *inbound) error {
	s.names.forget(dir.path)
	perm, ok := dir.perm()
	if !dir.made && !s.r.o.Overwrite || !ok || !s.r.o.Preserve {
		return nil
	}
	if err := s.st.setDir(dir.path, perm, dir.mtime()); err != nil {
		s.r.notes.message("mode and time of " + Quote(dir.path) + " cannot be kept here: " + reason(err))
	}
	return nil
}

func (s *fileSink) abandon(k keeping) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for p := range s.parts {
		errs = append(errs, p.leave(k))
	}
	clear(s.parts)
	return errors.Join(append(errs, s.st.close())...)
}
