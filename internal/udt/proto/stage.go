package proto

// A Stage is a stretch of packets that is filled before it has a place in the
// send buffer: reading from a source may take as long as it will, without
// holding up what was written before or who else wants to write. A chunk that
// then fits where it is to go is moved there, not copied.
type Stage struct {
	pieces        []stagePiece
	stride, slots int // of a chunk
	at, off       int // the piece to take from next, and payload bytes taken of it
	left          int // payload bytes to be taken
}

type stagePiece struct {
	chunk     *sendChunk
	most, len int // payload bytes: that it is to have, that were put there
}

// Aim prepares s, which must be empty, for reading into so many chunks and
// returns how many payload bytes to read at most, so that they end where a
// chunk of the send buffer does and those behind them can be moved. ok is false
// while connecting, and once writing has come to an end.
func (c *Conn) Aim(s *Stage, chunks int) (most int, ok bool) {
	if c.state == StateConnecting || !c.CanWrite() {
		return 0, false
	}
	return c.snd.aim(s, chunks), true
}

func (b *sendBuffer) aim(s *Stage, chunks int) (most int) {
	s.stride, s.slots = b.stride, b.slots
	for len(s.pieces) > chunks {
		last := len(s.pieces) - 1
		b.spare.put(s.pieces[last].chunk)
		s.pieces[last] = stagePiece{}
		s.pieces = s.pieces[:last]
	}
	for len(s.pieces) < chunks {
		s.pieces = append(s.pieces, stagePiece{chunk: b.newChunk()})
	}
	for i := range s.pieces {
		s.pieces[i].most = b.slots * b.payload
	}
	s.pieces[0].most = b.toBoundary()
	for _, p := range s.pieces {
		most += p.most
	}
	return most
}

// toBoundary is how many payload bytes there are to the end of a chunk.
func (b *sendBuffer) toBoundary() int {
	_, slot := b.chunkOf(b.tail)
	if slot == 0 && b.room > 0 { // the tail packet is the last of its chunk
		return b.room
	}
	return min(b.slots*b.payload, (b.slots-slot)*b.payload+b.room)
}

// Vector appends to bufs where the next most bytes of payload go.
func (s *Stage) Vector(bufs [][]byte, most int) [][]byte {
	for _, p := range s.pieces {
		left := min(p.most, most)
		most -= left
		for from := HeaderSize; left > 0; from += s.stride {
			b := p.chunk.buf[from:min(from+s.stride-HeaderSize, from+left)]
			bufs = append(bufs, b)
			left -= len(b)
		}
	}
	return bufs
}

// Filled says that n bytes were put where Vector said.
func (s *Stage) Filled(n int) {
	s.at, s.off, s.left = 0, 0, n
	for i := range s.pieces {
		p := &s.pieces[i]
		p.len = min(n, p.most)
		n -= p.len
	}
}

// Len is how many bytes are there to be taken.
func (s *Stage) Len() int { return s.left }

// took says that n more bytes of the piece at hand are taken.
func (s *Stage) took(n int) {
	s.left -= n
	if s.off += n; s.off == s.pieces[s.at].len {
		s.at, s.off = s.at+1, 0
	}
}

// Take moves or copies what fits of a chunk of s and returns how many bytes
// that was.
func (f *Fill) Take(s *Stage) int {
	if s.left == 0 {
		return 0
	}
	p := &s.pieces[s.at]
	if f.adopt(s, p) {
		return f.filled
	}
	payload := s.stride - HeaderSize
	total := 0
	for todo := p.len - s.off; todo > 0; {
		slot, at := s.off/payload, s.off%payload
		want := min(payload-at, todo)
		base := slot*s.stride + HeaderSize + at
		n := f.Copy(p.chunk.buf[base : base+want])
		s.took(n)
		total += n
		todo -= n
		if n < want {
			break
		}
	}
	return total
}

// adopt puts the chunk of p in the place of an untouched one of the same size.
func (f *Fill) adopt(s *Stage, p *stagePiece) bool {
	payload := f.stride - HeaderSize
	if f.slot > 0 || f.used > 0 || f.resumed || s.off > 0 || s.stride != f.stride || p.len > f.end*payload {
		return false
	}
	f.chunk, p.chunk = p.chunk, f.chunk
	f.adopted = true
	for left := p.len; left > 0; left -= payload {
		f.Advance(min(payload, left))
	}
	s.took(p.len)
	return true
}
