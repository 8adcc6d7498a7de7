package transfer

import (
	"errors"
	"io/fs"
	"sync"
	"time"
)

// part is a file being received, under its temporary name, and the directory it is in.
type part struct {
	dir  folder
	file partFile
	temp string
	name string
	left int64 // bytes that were in it when it was opened
	out  bool  // published: not ours to remove any more

	reach   int64     // the end of what was written, or left as a hole; the lane's own
	id      *identity // of the source; nil: nothing of it outlives this attempt
	journal *journal  // nil until there is something to record; while syncing is set the background's own

	mu      sync.Mutex
	idle    sync.Cond  // syncing is over
	syncing bool       // a background sync runs
	syncErr error      // of a background sync: final
	values  [][32]byte // digests of the chunks behind those recorded, in order, come or still to come
	through int64      // everything before is in the file
	every   int64      // bytes between two syncs
	dirty   int64      // bytes written since the last sync began
	busy    int64      // bytes that the running sync is about
	since   time.Time  // of the first dirty byte
}

// openPart opens the part file for name in dir (a path relative to the store), with whatever is in it. free tells that the
// name was free not long ago; whether it still is shows when the file is published.
func openPart(st store, dir, name string, replace, free bool) (*part, error) {
	d, err := st.folder(dir)
	if err != nil {
		return nil, err
	}
	p := &part{dir: d, temp: partName(name), name: name, every: syncEvery}
	p.idle.L = &p.mu
	if replace || !free {
		err = mayPublish(d, name, replace)
	}
	if err == nil {
		p.file, p.left, err = d.create(p.temp)
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return p, nil
}

// errExists and errKeep are answers of mayPublish.
var (
	errExists = errors.New("it exists")
	errKeep   = errors.New("it exists and is not a file")
)

// mayPublish tells whether a file may be put under a name, as things stand.
func mayPublish(d folder, name string, replace bool) error {
	info, err := d.lookup(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular() && info.Mode().Type() != fs.ModeSymlink:
		return errKeep
	case !replace:
		return errExists
	}
	return nil
}

// A large file is synced in the background: so that the last sync, which everybody waits for, is short, and so that
// little is lost with this process. What is not recorded as durable is at most syncMost and a chunk; a disk that cannot
// keep up holds up the writer.
const (
	syncEvery = 32 << 20 // bytes
	syncMost  = 64 << 20 // bytes
	syncAge   = 2 * time.Second
)

// note tells of the digest of the next chunk, before or after its bytes are written.
func (p *part) note(sum [32]byte) {
	if p.id == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.values = append(p.values, sum)
}

// write puts bytes into the file. With them everything before the offset through is there.
func (p *part) write(b []byte, offset, through int64) error {
	if _, err := p.file.WriteAt(b, offset); err != nil {
		return err
	}
	p.reach = max(p.reach, offset+int64(len(b)))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.through = max(p.through, through)
	if p.dirty == 0 {
		p.since = time.Now()
	}
	p.dirty += int64(len(b))
	if !p.syncing && p.syncErr == nil && (p.dirty >= p.every || time.Since(p.since) >= syncAge) {
		p.syncing, p.busy, p.dirty = true, p.dirty, 0
		go p.syncBehind(p.due())
	}
	for p.syncing && p.busy+p.dirty >= syncMost {
		p.idle.Wait()
	}
	return p.syncErr
}

// due takes the digests of chunks that are in the file and not recorded.
func (p *part) due() [][32]byte {
	if p.id == nil {
		return nil
	}
	n := p.through / p.id.Chunk
	if p.through == p.id.Size {
		n = p.id.chunks()
	}
	if p.journal != nil {
		n -= p.journal.end.chunks
	}
	n = min(n, int64(len(p.values)))
	due := p.values[:n:n]
	p.values = p.values[n:]
	return due
}

// syncBehind makes what is written durable, and records it.
func (p *part) syncBehind(due [][32]byte) {
	err := p.checkpoint(due)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.syncErr == nil {
		p.syncErr = err
	}
	p.syncing, p.busy = false, 0
	p.idle.Broadcast()
}

func (p *part) checkpoint(due [][32]byte) error {
	if err := p.file.datasync(); err != nil || len(due) == 0 {
		return err
	}
	if p.journal != nil {
		return p.journal.record(due)
	}
	file, _, err := p.dir.create(journalName(p.name))
	if err != nil {
		return err
	}
	p.journal = &journal{file: file}
	if err := p.journal.begin(p.id); err != nil {
		return err
	}
	if err := p.journal.record(due); err != nil {
		return err
	}
	return p.dir.sync() // the names of both
}

// settle waits for the background, and gives its failure, if there was one. That is final: what the kernel could not
// write it may have forgotten, and a second sync would succeed.
func (p *part) settle() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.syncing {
		p.idle.Wait()
	}
	return p.syncErr
}

// publish gives the file its name. Its content is durable by now. The journal has served.
func (p *part) publish(replace bool) error {
	if err := p.dir.publish(p.temp, p.name, replace); err != nil {
		return err
	}
	p.out = true
	return p.dropJournal()
}

// dropJournal removes the journal, if there is one.
func (p *part) dropJournal() error {
	if p.journal == nil {
		return nil
	}
	err := errors.Join(p.dir.remove(journalName(p.name)), p.journal.file.Close())
	p.journal = nil
	return err
}

// close lets go of everything.
func (p *part) close() error {
	err := p.file.Close()
	if p.journal != nil {
		err = errors.Join(err, p.journal.file.Close())
	}
	return errors.Join(err, p.dir.close())
}

// keeping is what becomes of a part file whose transfer ended.
type keeping int

const (
	keepNothing  keeping = iota // it is removed
	keepRecorded                // what is recorded as durable is kept
	keepAll                     // so is what can be made durable now
)

// leave gives the part file up. It is kept only if there is something recorded.
func (p *part) leave(k keeping) error {
	var err error
	if failed := p.settle(); failed == nil && k == keepAll && !p.out {
		p.mu.Lock()
		due := p.due()
		p.mu.Unlock()
		err = p.checkpoint(due)
	}
	if k != keepNothing && p.journal != nil && p.journal.end.chunks > 0 {
		return errors.Join(err, p.close())
	}
	return errors.Join(err, p.discard())
}

// discard removes the part file and its journal. They are removed while still locked: they cannot be anybody else's.
func (p *part) discard() error {
	_ = p.settle() // nothing hangs on it any more
	var err error
	if !p.out {
		err = errors.Join(p.dir.remove(p.temp), p.dropJournal())
	}
	return errors.Join(err, p.close())
}
