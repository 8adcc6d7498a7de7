package transfer

import (
	"errors"
	"io"
	"sync"
	"time"
)

// stream sends standard input. Full chunks go as they are. When the writer has nothing to do, what has been read so far
// goes as a piece, so that a slow pipe is not held up until a chunk is full.
func (s *sender) stream(e *outbound) error {
	if !s.backlog.add(e, s.stop) {
		return errOver
	}
	if err := s.push(parcel{e: e, head: true}); err != nil {
		return err
	}
	t := &tap{s: s, e: e}
	result := make(chan error, 1)
	ended := make(chan struct{})
	go func() { // not in s.works: a Read may hang for ever
		defer close(ended)
		result <- t.read(s.o.Stdin)
	}()
	for {
		select {
		case <-s.idle:
			if err := t.flush(); err != nil {
				return err
			}
		case err := <-result:
			if err != nil {
				return err
			}
			return s.push(parcel{e: e, tail: true})
		case <-s.stop:
			if d, ok := s.o.Stdin.(interface{ SetReadDeadline(time.Time) error }); ok && d.SetReadDeadline(time.Unix(1, 0)) == nil {
				await(ended, pipePatience)
				_ = d.SetReadDeadline(time.Time{}) // it worked a moment ago, and is only good manners
				return errOver
			}
			await(ended, pipePatience)
			return errOver
		}
	}
}

// tap is the chunk of a stream that is being filled. One goroutine reads into it, behind what is filled; another may
// take away what is filled.
type tap struct {
	s *sender
	e *outbound

	mu     sync.Mutex
	c      *chunk
	offset int64 // of the first byte in c
	size   int   // bytes c may take: up to the next multiple of the chunk size
	fill   int   // bytes read
	gone   int   // of these, sent as pieces
}

const emptyReads = 100 // reads without bytes or error, in a row, that are put up with

func (t *tap) read(in io.Reader) error {
	idle := 0
	for {
		buf, err := t.room()
		if err != nil {
			return err
		}
		n, err := in.Read(buf)
		if n > len(buf) || n < 0 {
			return localIO("read standard input", "", "", errors.New("the reader counts wrong"))
		}
		if idle++; n > 0 {
			idle = 0
		}
		if idle == emptyReads {
			err = io.ErrNoProgress
		}
		if pushErr := t.got(n, err != nil); pushErr != nil {
			return pushErr
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return localIO("read standard input", "", "", err)
		}
	}
}

// room is where the next bytes go.
func (t *tap) room() ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.c == nil {
		t.mu.Unlock()
		c := t.s.pool.get(t.s.stop)
		t.mu.Lock()
		if c == nil {
			return nil, errOver
		}
		chunk := t.s.terms.chunk
		t.c, t.size = c, chunk-int(t.offset%int64(chunk))
	}
	return t.c.space(t.s.terms.chunk)[t.fill:t.size], nil
}

// got counts n bytes more, and passes the chunk on if it is full, or the last, or the writer would wait.
func (t *tap) got(n int, last bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fill += n
	if t.fill < t.size && !last && !t.s.quiet() {
		return nil
	}
	return t.send()
}

// quiet tells whether a piece may go early: the writer has nothing to do, and few chunks are on their way, so that a fast
// pipe on a long path still fills the window with full ones.
func (s *sender) quiet() bool { return s.pending.Load() == 0 && s.keep.len() < quietChunks }

const quietChunks = 4

// send passes the chunk on. Part of it may have gone before.
func (t *tap) send() error {
	c := t.c
	n := t.fill - t.gone
	if n == 0 && t.fill < t.size {
		return nil // nothing new; the rest of the chunk is still to be filled
	}
	b := c.space(t.s.terms.chunk)
	copy(b, b[t.gone:t.fill])
	c.id, c.offset, c.n = t.e.ID, t.offset+int64(t.gone), n
	chunk := t.s.terms.chunk
	c.piece = n < chunk || c.offset%int64(chunk) != 0
	t.offset += int64(t.fill)
	t.c, t.fill, t.gone = nil, 0, 0
	if n == 0 {
		t.s.pool.put(c)
		return nil
	}
	return t.s.push(parcel{e: t.e, c: c})
}

// flush sends what is filled as a piece, in a chunk of its own: a Read may be under way behind it.
func (t *tap) flush() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.c == nil || t.fill == t.gone || !t.s.quiet() {
		return nil
	}
	c := t.s.pool.try()
	if c == nil {
		return nil // all are on their way; when one comes back we are here again
	}
	c.id, c.offset, c.n, c.piece = t.e.ID, t.offset+int64(t.gone), t.fill-t.gone, true
	copy(c.space(t.s.terms.chunk), t.c.space(t.s.terms.chunk)[t.gone:t.fill])
	t.gone = t.fill
	return t.s.push(parcel{e: t.e, c: c})
}
