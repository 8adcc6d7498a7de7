package transfer

// The sender's goroutines behind the producer: sealer and writer.

// sealAll works out the digests of files, in order, and passes parcels on to the writer.
func (s *sender) sealAll() {
	list := newListDigest(s.terms.digest)
	for {
		select {
		case p := <-s.seal:
			if err := s.sealOne(list, p); err != nil {
				return
			}
		case <-s.stop:
			return
		}
	}
}

func (s *sender) sealOne(list *listDigest, p parcel) error {
	if p.c != nil {
		select {
		case <-p.c.ready:
		case <-s.stop:
			return errOver
		}
	}
	if e := p.e; e != nil && e.Kept {
		e.end = fileEndBody{Size: e.Size, Digest: e.Digest, SHA256: e.SHA256}
		s.sealed(list, e)
	} else if e != nil && (e.Kind == entryFile || e.Kind == entryStream) {
		if err := s.digest(list, p); err != nil {
			return err
		}
	}
	if p.kind == frameEnd {
		s.whole.Digest = list.sum()
		p.ctl = &s.whole
	}
	return s.post(p)
}

// digest adds a parcel to its file's digest, and if it is the last of the file, works that out.
func (s *sender) digest(list *listDigest, p parcel) error {
	e := p.e
	if e.digest == nil {
		e.digest = newFileDigest(s.terms.chunk, s.terms.digest)
	}
	if c := p.c; c != nil {
		s.digestChunk(e, c)
	}
	if p.gap != nil {
		e.gap, e.unsent = p.gap, p.gap.to-p.gap.from
		e.end.Size += e.unsent
	}
	if !p.tail {
		return nil
	}
	if e.gap != nil {
		if err := s.closeGap(e); err != nil {
			s.end(err)
			return err
		}
	}
	sum := e.digest.sum()
	e.end.ID, e.end.Digest = e.ID, sum[:]
	if e.digest.sha != nil {
		e.end.SHA256 = e.digest.sha.Sum(nil)
	}
	e.digest = nil
	s.sealed(list, e)
	return nil
}

// sealed counts a file whose size and digest are known.
func (s *sender) sealed(list *listDigest, e *outbound) {
	list.add(e.end.hex(s.terms.digest), e.path)
	s.whole.Files++
	s.whole.Bytes += e.end.Size
}

func (s *sender) digestChunk(e *outbound, c *chunk) {
	switch {
	case e.gap != nil:
		e.gap.behind = append(e.gap.behind, bytesValue(c.sum))
	case c.piece:
		e.digest.addBytes(c.payload())
	default:
		e.digest.addNode(c.node)
	}
	if e.digest.sha != nil && e.gap == nil {
		e.digest.sha.Write(c.payload())
	}
	e.end.Size += int64(c.n)
}

// post gives a parcel to the writer.
func (s *sender) post(p parcel) error {
	select {
	case s.out <- p:
		return nil
	case <-s.stop:
		return errOver
	}
}

const (
	packSize  = 256 << 10 // bytes of small frames gathered for one Write
	packLimit = 64 << 10  // longest payload that is copied to be gathered
)

// transmit is the sender's part of the writer: parcels until the final receipt.
func (s *sender) transmit() error {
	w := &packer{s: s, buf: make([]byte, 0, packSize)}
	for {
		var p parcel
		select {
		case p = <-s.out:
		default:
			if err := w.flush(); err != nil {
				return err
			}
			if s.pending.Load() == 0 {
				s.nudge()
			}
			select {
			case p = <-s.out:
			case <-s.bye:
				// It cannot change our outcome any more.
				if f, err := appendFrame(nil, frameBye, &byeBody{}); err == nil {
					_, _ = s.conn.Write(f)
				}
				return nil
			case <-s.stop:
				return errOver
			}
		}
		if s.over() {
			return errOver
		}
		if err := w.add(p); err != nil {
			return err
		}
	}
}

// packer gathers small frames, files back to back, into one Write; a large chunk is a Write of its own.
type packer struct {
	s   *sender
	buf []byte
	run holeBody // gathered, not yet in buf
}

func (w *packer) add(p parcel) (err error) {
	s := w.s
	if p.c == nil || !p.c.hole {
		if err := w.endHole(); err != nil {
			return err
		}
	}
	if p.ctl != nil {
		if p.kind == frameEnd {
			s.allSent.Store(true)
		}
		if w.buf, err = appendFrame(w.buf, p.kind, p.ctl); err != nil {
			return err
		}
	}
	if p.head {
		s.progress.setName(p.e.path)
		if w.buf, err = appendFrame(w.buf, frameEntry, &p.e.entryBody); err != nil {
			return err
		}
	}
	if p.c != nil {
		if err := w.chunk(p.c, p.repair); err != nil {
			return err
		}
	}
	if p.tail {
		if err := w.endHole(); err != nil {
			return err
		}
		if w.buf, err = appendFrame(w.buf, frameFileEnd, &p.e.end); err != nil {
			return err
		}
	}
	if p.e != nil && p.e.Ask != 0 && (p.head || p.ctl != nil) {
		<-s.open
	}
	if p.e != nil && (p.tail || p.ctl != nil) {
		s.sent.Store(p.e.ID)
	}
	if !p.extra {
		s.pending.Add(-1)
	}
	if len(w.buf) > packSize-packLimit {
		return w.flush()
	}
	return nil
}

func (w *packer) chunk(c *chunk, repair bool) error {
	s := w.s
	if s.keep != nil && !repair {
		s.keep.add(c)
	}
	switch {
	case c.hole:
		if err := w.packHole(c); err != nil {
			return err
		}
	case c.n <= packLimit:
		w.buf = append(w.buf, c.frame(repair)...)
	default:
		if err := w.flush(); err != nil {
			return err
		}
		if _, err := s.conn.Write(c.frame(repair)); err != nil {
			return err
		}
	}
	switch {
	case c.home != nil:
		c.home.put(c)
	case s.keep != nil:
		s.keep.back(c)
	default:
		s.pool.put(c)
	}
	return nil
}

func (w *packer) flush() error {
	if err := w.endHole(); err != nil {
		return err
	}
	if len(w.buf) == 0 {
		return nil
	}
	_, err := w.s.conn.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}
