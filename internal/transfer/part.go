package transfer

import (
	"errors"
	"io/fs"
	"sync"
)

// part is a file being received, under its temporary name, and the directory it is in.
type part struct {
	dir  folder
	file partFile
	temp string
	name string
	out  bool // published: not ours to remove any more

	unsynced int64 // bytes written since the last background sync; the lane's own
	syncing  sync.WaitGroup
	busy     chan struct{} // one token while a background sync runs
	mu       sync.Mutex
	syncErr  error // of a background sync: final
}

// openPart creates the part file for name in dir (a path relative to the store).
func openPart(st store, dir, name string, replace bool) (*part, error) {
	d, err := st.folder(dir)
	if err != nil {
		return nil, err
	}
	p := &part{dir: d, temp: partName(name), name: name, busy: make(chan struct{}, 1)}
	if err = mayPublish(d, name, replace); err == nil {
		p.file, err = d.create(p.temp)
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

// syncEvery is how much may be written to a large file before it is synced in the background, bytes: so that the last
// sync, which everybody waits for, is short.
const syncEvery = 64 << 20

func (p *part) write(b []byte, offset int64) error {
	if _, err := p.file.WriteAt(b, offset); err != nil {
		return err
	}
	if p.unsynced += int64(len(b)); p.unsynced >= syncEvery {
		select {
		case p.busy <- struct{}{}:
			p.unsynced = 0
			p.syncing.Go(p.syncBehind)
		default: // the one before is still at it
		}
	}
	return p.failed()
}

func (p *part) syncBehind() {
	err := p.file.datasync()
	p.mu.Lock()
	if p.syncErr == nil {
		p.syncErr = err
	}
	p.mu.Unlock()
	<-p.busy
}

// failed is the failure of a background sync, if there was one. It is final: what the kernel could not write it may have
// forgotten, and a second sync would succeed.
func (p *part) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.syncErr
}

// settle waits for the background.
func (p *part) settle() error {
	p.syncing.Wait()
	return p.failed()
}

// publish gives the file its name. Its content is durable by now.
func (p *part) publish(replace bool) error {
	err := p.dir.publish(p.temp, p.name, replace)
	p.out = err == nil
	return err
}

// close lets go of file and directory.
func (p *part) close() error {
	p.syncing.Wait()
	return errors.Join(p.file.Close(), p.dir.close())
}

// discard removes the part file. It is removed while still locked: it cannot be anybody else's.
func (p *part) discard() error {
	p.syncing.Wait()
	var err error
	if !p.out {
		err = p.dir.remove(p.temp)
	}
	return errors.Join(err, p.close())
}
