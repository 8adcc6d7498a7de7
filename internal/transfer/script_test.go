package transfer

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"
	"testing"
	"time"
)

// script is a peer that says exactly what a test wants it to say.
type script struct {
	t   testing.TB
	end *wireEnd
	fr  *frameReader
}

func newScript(t testing.TB, end *wireEnd) *script {
	return &script{t: t, end: end, fr: newFrameReader(end)}
}

func (p *script) write(b []byte) {
	p.t.Helper()
	if _, err := p.end.Write(b); err != nil {
		p.t.Log("script: write:", err)
	}
}

// oldFeatures are those of the first version: a script asks and answers no questions unless its test says so.
var oldFeatures = []string{"again", "sha256", "stream", "tree"}

// greet exchanges hellos as the given role; change may spoil ours.
func (p *script) greet(role string, change func(*helloBody)) (peer helloBody) {
	p.t.Helper()
	h := ownHello(role, BLAKE3, "script")
	h.Features = oldFeatures
	if change != nil {
		change(h)
	}
	first, err := appendFrame(prelude(), frameHello, h)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(first)
	var b [preludeLen]byte
	if err := p.fr.raw(b[:]); err != nil {
		p.t.Error("script: prelude:", err)
		return peer
	}
	p.expect(frameHello, &peer)
	return peer
}

func (p *script) send(kind frameType, b body) {
	p.t.Helper()
	f, err := appendFrame(nil, kind, b)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(f)
}

func (p *script) data(id uint64, offset int64, flags byte, b []byte) {
	p.t.Helper()
	p.dataSum(id, offset, flags, b, chunkSum(b, offset, flags&flagPiece != 0))
}

func (p *script) dataSum(id uint64, offset int64, flags byte, b []byte, sum [32]byte) {
	p.t.Helper()
	f := make([]byte, headRoom, headRoom+len(b))
	putPlace(f[headerLen:], place{id, offset, sum})
	putHeader(f, frameData, flags, dataHead+len(b), f[headerLen:])
	p.write(append(f, b...))
}

// fileEnd closes a file with the right digest.
func (p *script) fileEnd(id uint64, content []byte) {
	p.t.Helper()
	sum := blake3Of(content)
	p.send(frameFileEnd, &fileEndBody{ID: id, Size: int64(len(content)), Digest: sum[:]})
}

// small sends a whole file of less than a chunk.
func (p *script) small(id uint64, name string, content []byte) {
	p.t.Helper()
	p.send(frameEntry, &entryBody{ID: id, Kind: entryFile, Name: name, Size: int64(len(content))})
	if len(content) > 0 {
		p.data(id, 0, 0, content)
	}
	p.fileEnd(id, content)
}

// expect reads frames until one of the given kind, and parses it. Frames that only count are passed over.
func (p *script) expect(kind frameType, b body) {
	p.t.Helper()
	for {
		h, raw, err := p.fr.next()
		if err != nil {
			p.t.Errorf("script: waiting for %v: %v", kind, err)
			return
		}
		if h.kind == frameData {
			if err := p.fr.payload(make([]byte, h.length-dataHead)); err != nil {
				p.t.Errorf("script: %v", err)
				return
			}
		}
		if h.kind == kind {
			if b != nil {
				if err := parseBody(kind, raw, b); err != nil {
					p.t.Error("script:", err)
				}
			}
			return
		}
		if h.kind == frameFail {
			var f failBody
			err := parseBody(h.kind, raw, &f)
			p.t.Errorf("script: waiting for %v, the peer fails: %+v %v", kind, f, err)
			return
		}
	}
}

// expectFail reads frames until the peer says why it fails.
func (p *script) expectFail(kind Kind) {
	p.t.Helper()
	var f failBody
	p.expect(frameFail, &f)
	if Kind(f.Kind) != kind {
		p.t.Errorf("script: the peer fails with %v, want %v: %s", Kind(f.Kind), kind, f.Msg)
	}
}

// against runs Recv, or Send, against a script, and returns how that ended. The script's end is closed when it returns.
func against(t testing.TB, run func(ctx context.Context, conn io.ReadWriteCloser) error, peer func(*script)) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w := newWire(8 << 20)
	var wg sync.WaitGroup
	wg.Go(func() {
		peer(newScript(t, w.a))
		w.a.Close()
	})
	err := run(ctx, w.b)
	w.b.Close()
	wg.Wait()
	return err
}

func receiving(o RecvOptions) func(context.Context, io.ReadWriteCloser) error {
	return func(ctx context.Context, conn io.ReadWriteCloser) error {
		_, err := Recv(ctx, conn, o)
		return err
	}
}

func sending(o SendOptions) func(context.Context, io.ReadWriteCloser) error {
	return func(ctx context.Context, conn io.ReadWriteCloser) error {
		_, err := Send(ctx, conn, o)
		return err
	}
}

func wantKind(t *testing.T, err error, want Kind) {
	t.Helper()
	if got := KindOf(err); got != want {
		t.Errorf("%v, want %v: %v", got, want, err)
	}
}

// faulty is a store that fails where a test wants it to.
type faulty struct {
	store
	fail func(op, name string) error // nil: do it
	lazy bool                        // sync nothing
}

func (s *faulty) folder(dir string) (folder, error) {
	if err := s.fail("folder", dir); err != nil {
		return nil, err
	}
	f, err := s.store.folder(dir)
	if err != nil {
		return nil, err
	}
	return &faultyFolder{f, s}, nil
}

func (s *faulty) mkdir(dir string, perm fs.FileMode) (bool, error) {
	if err := s.fail("mkdir", dir); err != nil {
		return false, err
	}
	return s.store.mkdir(dir, perm)
}

func (s *faulty) syncAll() (bool, error) {
	if err := s.fail("syncAll", ""); err != nil {
		return true, err
	}
	if s.lazy {
		return true, nil
	}
	return s.store.syncAll()
}

func (s *faulty) free() (int64, bool) {
	if err := s.fail("free", ""); err != nil {
		return 10, true
	}
	return s.store.free()
}

// openUnsynced opens a store that leaves out what takes long, for tests that open many.
func openUnsynced(dir string) (store, error) {
	st, err := openStore(dir)
	return &faulty{store: st, fail: func(string, string) error { return nil }, lazy: true}, err
}

type faultyFolder struct {
	folder
	s *faulty
}

func (f *faultyFolder) create(part string) (partFile, int64, error) {
	if err := f.s.fail("create", part); err != nil {
		return nil, 0, err
	}
	p, size, err := f.folder.create(part)
	if err != nil {
		return nil, 0, err
	}
	return &faultyPart{p, f.s, part}, size, nil
}

func (f *faultyFolder) publish(part, name string, replace bool) error {
	if err := f.s.fail("publish", name); err != nil {
		return err
	}
	return f.folder.publish(part, name, replace)
}

func (f *faultyFolder) symlink(target, name string) error {
	if err := f.s.fail("symlink", name); err != nil {
		return err
	}
	return f.folder.symlink(target, name)
}

func (f *faultyFolder) setTime(name string, mtime time.Time) error {
	if err := f.s.fail("setTime", name); err != nil {
		return err
	}
	return f.folder.setTime(name, mtime)
}

func (f *faultyFolder) sync() error {
	if err := f.s.fail("syncDir", ""); err != nil {
		return err
	}
	if f.s.lazy {
		return nil
	}
	return f.folder.sync()
}

type faultyPart struct {
	partFile
	s    *faulty
	name string
}

func (p *faultyPart) WriteAt(b []byte, offset int64) (int, error) {
	if err := p.s.fail("write", p.name); err != nil {
		n, writeErr := p.partFile.WriteAt(b[:len(b)/2], offset)
		return n, errors.Join(err, writeErr)
	}
	return p.partFile.WriteAt(b, offset)
}

func (p *faultyPart) ReadAt(b []byte, offset int64) (int, error) {
	if err := p.s.fail("read", p.name); err != nil {
		return 0, err
	}
	return p.partFile.ReadAt(b, offset)
}

func (p *faultyPart) truncate(size int64) error {
	if err := p.s.fail("truncate", p.name); err != nil {
		return err
	}
	return p.partFile.truncate(size)
}

func (p *faultyPart) chmod(perm fs.FileMode) error {
	if err := p.s.fail("chmod", p.name); err != nil {
		return err
	}
	return p.partFile.chmod(perm)
}

func (p *faultyPart) sync() error {
	if err := p.s.fail("sync", p.name); err != nil {
		return err
	}
	if p.s.lazy {
		return nil
	}
	return p.partFile.sync()
}

func (p *faultyPart) datasync() error {
	if err := p.s.fail("datasync", p.name); err != nil {
		return err
	}
	return p.partFile.datasync()
}

func (p *faultyPart) Close() error {
	err := p.partFile.Close()
	if f := p.s.fail("close", p.name); f != nil {
		return f
	}
	return err
}
