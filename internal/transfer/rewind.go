package transfer

import (
	"errors"
	"io"
	"os"
)

// This file is the sender's part of reconnecting: what the receiver has not read of what was sent is sent again. Entries are
// remembered until their receipts come (backlog); files are read once more, the chunks of a pipe are still there (keep).

// sentState is how far an entry has been sent; the writer's own.
type sentState struct {
	offset int64 // bytes of it
	gap    gap   // of these, what was passed over
	all    bool  // its end too
}

// position is how far a receiver has read its sender's manifest.
type position struct {
	Stage  uint8  `cbor:"1,keyasint"`
	Last   uint64 `cbor:"2,keyasint"` // number of the newest entry
	Offset int64  `cbor:"3,keyasint"` // inside a file: bytes of it that need not come
	Totals bool   `cbor:"4,keyasint"` // they are known
	Asked  uint64 `cbor:"5,keyasint"` // questions that have come
}

func (p *position) check() error {
	if int(p.Stage) >= len(stageNames) || p.Offset < 0 || stage(p.Stage) == stageInside && p.Last == 0 {
		return errors.New("a position that cannot be")
	}
	return nil
}

// rewind writes what came before on other lines and did not arrive.
func (s *sender) rewind(w *packer, at position) error {
	if at.Last > s.latest {
		return damaged("position at entry %d, which was not sent", at.Last)
	}
	if s.offered != nil && !at.Totals {
		if err := w.control(frameOffer, s.offered); err != nil {
			return err
		}
	}
	next := at.Last + 1
	if stage(at.Stage) == stageInside {
		e := s.backlog.find(at.Last)
		if e == nil || e.Kind != entryFile && e.Kind != entryStream || at.Offset > e.sent.offset {
			return damaged("position in entry %d at %d", at.Last, at.Offset)
		}
		if err := s.resume(w, e, at.Offset); err != nil {
			return err
		}
	} else if e := s.backlog.find(at.Last); e != nil && !e.sent.all {
		return damaged("position behind entry %d, which was not sent in full", at.Last)
	}
	for ; next <= s.latest; next++ {
		e := s.backlog.find(next)
		if e == nil {
			return damaged("position at entry %d, which was receipted before", at.Last)
		}
		if err := s.repeat(w, e); err != nil {
			return err
		}
	}
	if err := s.askAgain(w, at.Asked); err != nil {
		return err
	}
	if s.allSent.Load() && stage(at.Stage) != stageEnded {
		if err := w.control(frameEnd, &s.whole); err != nil {
			return err
		}
	}
	return w.flush()
}

// askAgain sends the questions after the first n.
func (s *sender) askAgain(w *packer, n uint64) error {
	for n++; n <= s.askedUpTo; n++ {
		q := s.answers.question(n)
		if q == nil {
			return damaged("position before question %d, which was answered", n)
		}
		if err := w.control(frameAsk, q); err != nil {
			return err
		}
	}
	return nil
}

// repeat sends an entry from its beginning, as far as it was sent.
func (s *sender) repeat(w *packer, e *outbound) error {
	if e.Kind == entryLeave {
		return w.control(frameDirEnd, &dirEndBody{ID: e.ID})
	}
	if err := w.control(frameEntry, &e.entryBody); err != nil {
		return err
	}
	if e.Kind != entryFile && e.Kind != entryStream {
		return nil
	}
	return s.resume(w, e, 0)
}

// resume sends a file or stream from an offset on, as far as it was sent.
func (s *sender) resume(w *packer, e *outbound, offset int64) error {
	var err error
	if s.keep != nil {
		err = s.resumeKept(w, e, offset)
	} else if offset < e.sent.offset {
		err = s.resumeFile(w, e, offset)
	}
	if err == nil && e.sent.all {
		err = w.control(frameFileEnd, &e.end)
	}
	return err
}

func (s *sender) resumeFile(w *packer, e *outbound, offset int64) error {
	f, err := openSource(e.from)
	if err != nil {
		return localIO("open", e.from, e.path, err)
	}
	defer f.Close() // read only
	for offset < e.sent.offset {
		if g := e.sent.gap; offset >= g.from && offset < g.to {
			offset = g.to
			continue
		}
		if offset, err = s.resumeChunk(w, e, f, offset); err != nil {
			return err
		}
	}
	return e.intact(f)
}

// resumeChunk reads and sends the chunk at offset.
func (s *sender) resumeChunk(w *packer, e *outbound, f *os.File, offset int64) (end int64, err error) {
	c := newChunk()
	if w.spare != nil {
		c, w.spare = w.spare, nil
	}
	c.id, c.offset, c.piece = e.ID, offset, false
	c.n = int(min(int64(s.terms.chunk), e.Size-offset))
	if _, err := io.ReadFull(io.NewSectionReader(f, offset, int64(c.n)), c.space(s.terms.chunk)[:c.n]); err != nil {
		return 0, e.readError(err)
	}
	c.sum = c.hash()
	err = w.write(c.frame(false))
	w.spare = c
	return c.end(), err
}

// resumeKept sends what is kept of a pipe's bytes.
func (s *sender) resumeKept(w *packer, e *outbound, offset int64) error {
	for offset < e.sent.offset {
		c := s.keep.lendAt(offset)
		if c == nil {
			return damaged("position at %d, which was taken before", offset)
		}
		err := w.write(c.frame(false))
		offset = c.end()
		s.keep.back(c)
		if err != nil {
			return err
		}
	}
	return nil
}
