package transfer

import (
	"errors"
	"io"
)

// mend is the mender goroutine: it sends chunks again that did not arrive well. Those of a file are read again, by a
// path that may lead elsewhere by now; those of a pipe are still there.
func (s *sender) mend() {
	own := newPool(1, 1)
	for {
		select {
		case r := <-s.asked:
			if err := s.resend(own, r); err != nil {
				s.end(err)
				return
			}
		case <-s.stop:
			return
		}
	}
}

// request is for a chunk that did not arrive well, and the line that it came on: on another it is made anew.
type request struct {
	againBody
	line *line
}

func (s *sender) resend(own *pool, b request) error {
	e := s.backlog.find(b.ID)
	if e == nil || e.Kind != entryFile && e.Kind != entryStream {
		return damaged("request for a chunk of entry %d", b.ID)
	}
	var c *chunk
	if s.keep != nil {
		if c = s.keep.lend(b.Offset, int(b.Length)); c == nil {
			return damaged("request for a chunk at %d that is not on its way", b.Offset)
		}
	} else {
		chunk := int64(s.terms.chunk)
		if b.Offset%chunk != 0 || b.Offset >= e.Size || b.Length != min(chunk, e.Size-b.Offset) {
			return damaged("request for a chunk at %d that there is not", b.Offset)
		}
		if c = own.get(s.stop); c == nil {
			return errOver
		}
		c.home = own
		c.id, c.offset, c.n = b.ID, b.Offset, int(b.Length)
		if err := s.reread(e, c); err != nil {
			return err
		}
		c.sum = c.hash()
	}
	return s.post(parcel{c: c, repair: true, line: b.line, extra: true})
}

// reread reads a chunk of a file once more.
func (s *sender) reread(e *outbound, c *chunk) error {
	f, err := openSource(e.from)
	if err != nil {
		return localIO("open", e.from, e.path, err)
	}
	defer f.Close() // read only
	_, err = io.ReadFull(io.NewSectionReader(f, c.offset, int64(c.n)), c.space(s.terms.chunk)[:c.n])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return e.changedError()
	}
	if err != nil {
		return localIO("read", e.from, e.path, err)
	}
	return e.intact(f)
}
