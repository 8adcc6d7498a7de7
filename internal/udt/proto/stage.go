package proto

// A Stage is a chunk of packets that is filled before it has a place in the
// send buffer: reading from a source may take as long as it will, without
// holding up what was written before or who else wants to write. A chunk that
// then fits where it is to go is moved there, not copied.
type Stage struct {
	chunk    *sendChunk
	stride   int
	slots    int
	off, len int // payload bytes: off..len are to be taken
}

// Aim prepares s, which must be empty, for reading and returns how many payload
// bytes to read at most, so that they end where a chunk of the send buffer does
// and those behind them can be moved. ok is false while connecting, and once writing
// has come to an end.
func (c *Conn) Aim(s *Stage) (most int, ok bool) {
	if c.state == StateConnecting || !c.CanWrite() {
		return 0, false
	}
	return c.snd.aim(s), true
}

func (b *sendBuffer) aim(s *Stage) int {
	if s.chunk == nil {
		*s = Stage{chunk: b.newChunk(), stride: b.stride, slots: b.slots}
	}
	_, slot := b.chunkOf(b.tail)
	if slot == 0 && b.room > 0 { // the tail packet is the last of its chunk
		return b.room
	}
	return min(b.slots*b.payload, (b.slots-slot)*b.payload+b.room)
}

// Vector appends to bufs where the next most bytes of payload go.
func (s *Stage) Vector(bufs [][]byte, most int) [][]byte {
	for slot := 0; slot < s.slots && most > 0; slot++ {
		from := slot*s.stride + HeaderSize
		p := s.chunk.buf[from:min((slot+1)*s.stride, from+most)]
		bufs = append(bufs, p)
		most -= len(p)
	}
	return bufs
}

// Filled says that n bytes were put where Vector said.
func (s *Stage) Filled(n int) { s.off, s.len = 0, n }

// Len is how many bytes are there to be taken.
func (s *Stage) Len() int { return s.len - s.off }

// Take moves or copies what fits of s and returns how many bytes that was.
func (f *Fill) Take(s *Stage) int {
	if f.adopt(s) {
		return f.filled
	}
	payload := s.stride - HeaderSize
	total := 0
	for s.off < s.len {
		slot, at := s.off/payload, s.off%payload
		end := min(payload, at+s.len-s.off)
		base := slot*s.stride + HeaderSize
		n := f.Copy(s.chunk.buf[base+at : base+end])
		s.off += n
		total += n
		if n < end-at {
			break
		}
	}
	return total
}

// adopt puts the chunk of s in the place of an untouched one of the same size.
func (f *Fill) adopt(s *Stage) bool {
	payload := f.stride - HeaderSize
	if f.slot > 0 || f.used > 0 || f.resumed || s.off > 0 || s.stride != f.stride || s.len > f.end*payload {
		return false
	}
	f.chunk, s.chunk = s.chunk, f.chunk
	f.adopted = true
	for left := s.len; left > 0; left -= payload {
		f.Advance(min(payload, left))
	}
	s.len = 0
	return true
}
