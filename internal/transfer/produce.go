package transfer

import (
	"errors"
	"io"
	"os"
	"time"
)

// countPatience is how long the first entry waits for the totals. A tree that takes longer to count is sent all the same
// and the totals follow.
const countPatience = time.Second

// count works out the totals.
func (s *sender) count() {
	var t totals
	w := &walker{o: &s.o, stop: s.stop, keep: "they are not counted", visit: func(e *outbound) error {
		t.add(e)
		return nil
	}}
	if err := w.walk(s.sources); err != nil {
		t = totals{files: -1, bytes: -1} // sending will come to it and say what is wrong
	}
	s.totals <- t
}

// produce is the producer goroutine: the offer, every entry, the end.
func (s *sender) produce() error {
	if err := s.offer(); err != nil {
		return err
	}
	for {
		var st found
		select {
		case st = <-s.found:
		case <-s.stop:
			return errOver
		}
		if st.err != nil {
			return st.err
		}
		if st.over {
			break
		}
		if err := s.entry(st.e); err != nil {
			return err
		}
	}
	s.whole.Entries = s.backlog.last()
	return s.push(parcel{kind: frameEnd})
}

// entry sends what the walk comes to.
func (s *sender) entry(e *outbound) error {
	if err := s.lateOffer(); err != nil {
		return err
	}
	switch e.Kind {
	case entryStream:
		return s.stream(e)
	case entryLink:
		if !s.backlog.add(e, s.stop) {
			return errOver
		}
		return s.push(parcel{e: e, kind: frameLink, ctl: &linkBody{ID: e.ID, Name: e.Name, Target: e.target}})
	case entryFile:
		if there, err := s.spared(e); there || err != nil {
			return err
		}
		return s.file(e)
	}
	if !s.backlog.add(e, s.stop) {
		return errOver
	}
	if e.Kind == entryLeave {
		return s.push(parcel{e: e, kind: frameDirEnd, ctl: &dirEndBody{ID: e.ID}})
	}
	if s.o.Preserve {
		e.setAttributes(e.info)
	}
	return s.push(parcel{e: e, kind: frameEntry, ctl: &e.entryBody})
}

// offer sends the totals if they are known soon enough.
func (s *sender) offer() error {
	t := totals{files: -1, bytes: -1}
	timer := time.NewTimer(countPatience)
	defer timer.Stop()
	select {
	case t = <-s.totals:
	case <-timer.C:
	case <-s.stop:
		return errOver
	}
	return s.offerTotals(t)
}

// lateOffer sends the totals if they have become known.
func (s *sender) lateOffer() error {
	select {
	case t := <-s.totals:
		if t.bytes >= 0 {
			return s.offerTotals(t)
		}
	default:
	}
	return nil
}

func (s *sender) offerTotals(t totals) error {
	b := &offerBody{Shape: shapeMany, Files: t.files, Bytes: t.bytes}
	switch only := s.only(); {
	case only == nil:
	case only.stream:
		b.Shape = shapeStream
	case only.info.Mode().IsRegular():
		b.Shape, b.Files = shapeOne, 1
	}
	s.progress.setTotals(b.Bytes, b.Files)
	return s.push(parcel{kind: frameOffer, ctl: b})
}

// push gives a parcel to the hashers and the sealer.
func (s *sender) push(p parcel) error {
	if p.c != nil {
		s.hash <- p.c // has room for every chunk there is
	}
	return s.queue(p)
}

// queue gives a parcel, whose chunk the hashers have, to the sealer.
func (s *sender) queue(p parcel) error {
	s.pending.Add(1)
	select {
	case s.seal <- p:
		return nil
	case <-s.stop:
		return errOver
	}
}

// file sends a file. Its chunks are queued one by one; a file that fits one is a single parcel.
func (s *sender) file(e *outbound) error {
	f, err := openSource(e.from)
	if err != nil {
		return localIO("open", e.from, e.path, err)
	}
	defer f.Close() // read only
	if e.info, err = f.Stat(); err != nil {
		return localIO("look at", e.from, e.path, err)
	}
	if !e.info.Mode().IsRegular() {
		return e.changedError()
	}
	e.Size = e.info.Size()
	if s.terms.sparse {
		e.Holes = holesOf(e.info)
	}
	if s.o.Preserve {
		e.setAttributes(e.info)
	}
	if e.Size > int64(s.terms.chunk) {
		e.Stamp, e.answer = e.info.ModTime().UnixNano(), newAnswer()
	}
	if !s.backlog.add(e, s.stop) {
		return errOver
	}
	if e.Size == 0 {
		if err := e.unchanged(f); err != nil {
			return err
		}
		return s.push(parcel{e: e, head: true, tail: true})
	}
	if e.Size > int64(s.terms.chunk) {
		return s.large(e, f)
	}
	c := s.pool.get(s.stop)
	if c == nil {
		return errOver
	}
	c.id, c.n = e.ID, int(e.Size)
	if _, err := io.ReadFull(f, c.space(s.terms.chunk)[:c.n]); err != nil {
		return e.readError(err)
	}
	if err := e.unchanged(f); err != nil {
		return err
	}
	return s.push(parcel{e: e, c: c, head: true, tail: true})
}

// large sends a file of several chunks, but for what the receiver has of it. The hashers read them; the last one is
// passed on when all are read and the file is found unchanged.
func (s *sender) large(e *outbound, f *os.File) error {
	if err := s.push(parcel{e: e, head: true}); err != nil {
		return err
	}
	if err := s.awaitAnswer(e); err != nil {
		return err
	}
	r := &reading{e: e, f: f, done: make(chan struct{}, cap(s.hash)+1)}
	finder := &holeFinder{f: f, blind: e.Holes == 0}
	r.look = e.Holes > 0 && !tellsHoles
	missing := 0 // reads that are not known to be done
	for offset := int64(0); offset < e.Size; {
		p := parcel{e: e}
		if there := e.answer.offset.Load(); there > offset {
			p.gap = &gap{e: e, from: offset, to: there, done: make(chan struct{})}
			s.do(func() { s.readGap(p.gap) })
			offset = there
		} else {
			c := s.pool.get(s.stop)
			if c == nil {
				return errOver
			}
			c.id, c.offset, c.from = e.ID, offset, r
			c.n = int(min(int64(s.terms.chunk), e.Size-offset))
			p.c = c
			offset += int64(c.n)
			if c.hole = finder.covers(c.offset, offset); c.hole {
				c.from = nil
			} else {
				missing++
			}
			s.hash <- c // has room for every chunk there is
		}
		p.tail = offset == e.Size
		for missing > 0 && (p.tail || len(r.done) > 0) {
			select {
			case <-r.done:
				missing--
			case <-s.stop:
				return errOver
			}
		}
		if p.tail {
			if err := e.unchanged(f); err != nil {
				return err
			}
		}
		if err := s.queue(p); err != nil {
			return err
		}
	}
	return nil
}

// reading is a large file that the hashers read.
type reading struct {
	e    *outbound
	f    *os.File
	look bool          // chunks of zeros are holes
	done chan struct{} // a token for each chunk read, with room for all that may be under way
}

// fill reads the payload of c, of up to size bytes.
func (r *reading) fill(c *chunk, size int) error {
	if _, err := r.f.ReadAt(c.space(size)[:c.n], c.offset); err != nil {
		return r.e.readError(err)
	}
	c.hole = r.look && allZero(c.payload())
	c.from = nil
	r.done <- struct{}{}
	return nil
}

// readError is why a file could not be read to the size it had.
func (e *outbound) readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return e.changedError()
	}
	return localIO("read", e.from, e.path, err)
}
