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

// transmit is the sender's part of the writer: what the receiver has not read of what was sent before, then parcels until
// the final receipt.
func (s *sender) transmit(ln *line) error {
	w := &packer{s: s, ln: ln, buf: make([]byte, 0, packSize)}
	if s.offered != nil || s.askedUpTo > 0 {
		at := position{} // nothing has come
		if ln.peer.Position != nil {
			at = *ln.peer.Position
		}
		if q := ln.own.Ask; q != nil && ln.terms.early {
			at.Asked = q.Number // it came with our hello
		}
		if err := s.rewind(w, at); err != nil {
			return err
		}
	}
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
				if f, err := appendFrame(nil, frameBye, &byeBody{}); err == nil {
					_, _ = ln.Write(f) // it cannot change our outcome any more
				}
				s.end(nil)
				return nil
			case <-ln.down:
				return ln.err
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
		if s.o.Retry.LineLimit > 0 && ln.wrote >= s.o.Retry.LineLimit && s.mayRenew(ln) {
			return w.renew()
		}
	}
}

// mayRenew tells whether both ends can make another connection.
func (s *sender) mayRenew(ln *line) bool { return s.retry.possible() && ln.terms.reconnect }

// packer gathers small frames, files back to back, into one Write; a large chunk is a Write of its own. What a parcel is
// about counts as sent even if the connection fails meanwhile: on the next one the receiver says what it has read.
type packer struct {
	s     *sender
	ln    *line
	buf   []byte
	run   holeBody // gathered, not yet in buf
	spare *chunk   // for what is read again
	err   error    // of the connection
}

func (w *packer) add(p parcel) (err error) {
	s := w.s
	if p.c == nil || !p.c.hole {
		if err := w.endHole(); err != nil {
			return err
		}
	}
	if p.ctl != nil {
		s.note(p)
		if err := w.control(p.kind, p.ctl); err != nil {
			return err
		}
	}
	if p.head {
		s.progress.setName(p.e.path)
		s.latest = p.e.ID
		if err := w.control(frameEntry, &p.e.entryBody); err != nil {
			return err
		}
	}
	if p.gap != nil {
		p.e.sent.gap, p.e.sent.offset = gap{from: p.gap.from, to: p.gap.to}, p.gap.to
	}
	if p.c != nil {
		if err := w.chunk(p); err != nil {
			return err
		}
	}
	if p.tail {
		if err := w.endHole(); err != nil {
			return err
		}
		if err := w.control(frameFileEnd, &p.e.end); err != nil {
			return err
		}
	}
	if p.e != nil && p.e.Ask != 0 && (p.head || p.ctl != nil) {
		<-s.open
	}
	if p.e != nil && (p.tail || p.ctl != nil) {
		p.e.sent.all = true
		s.sent.Store(p.e.ID)
	}
	if !p.extra {
		s.pending.Add(-1)
	}
	if len(w.buf) > packSize-packLimit {
		return w.flush()
	}
	return w.err
}

// note remembers what control frames have been sent.
func (s *sender) note(p parcel) {
	switch b := p.ctl.(type) {
	case *offerBody:
		s.offered = b
	case *askBody:
		s.askedUpTo = b.Number
	case *endBody:
		s.allSent.Store(true)
	}
	if p.e != nil {
		s.latest = p.e.ID
	}
}

// control gathers a control frame.
func (w *packer) control(kind frameType, b body) (err error) {
	if w.buf, err = appendFrame(w.buf, kind, b); err == nil && len(w.buf) > packSize-packLimit {
		_ = w.flush() // w.err has it
	}
	return err
}

func (w *packer) chunk(p parcel) (err error) {
	s, c := w.s, p.c
	if s.keep != nil && !p.repair {
		s.keep.add(c)
	}
	if !p.repair {
		p.e.sent.offset = c.end()
	}
	switch {
	case p.repair && p.line != w.ln: // it is asked for anew, if it is still wanted
	case c.hole:
		err = w.packHole(c)
	case c.n <= packLimit:
		w.buf = append(w.buf, c.frame(p.repair)...)
	default:
		_ = w.write(c.frame(p.repair)) // w.err has it
	}
	switch {
	case c.home != nil:
		c.home.put(c)
	case s.keep != nil:
		s.keep.back(c)
	default:
		s.pool.put(c)
	}
	return err
}

// write flushes and writes a frame.
func (w *packer) write(b []byte) error {
	if err := w.flush(); err != nil {
		return err
	}
	_, w.err = w.ln.Write(b)
	return w.err
}

func (w *packer) flush() error {
	if err := w.endHole(); err != nil {
		return err
	}
	if w.err == nil && len(w.buf) > 0 {
		_, w.err = w.ln.Write(w.buf)
	}
	w.buf = w.buf[:0]
	return w.err
}

// renew ends the connection in good order.
func (w *packer) renew() error {
	w.ln.renewing.Store(true)
	if err := w.control(frameRenew, &renewBody{}); err != nil {
		return err
	}
	if err := w.flush(); err != nil {
		return err
	}
	w.ln.lose(errPlanned)
	return errPlanned
}
