package transfer

import (
	"bytes"
	"errors"
	"math"
	"os"
	"syscall"
)

// A file's holes stay holes: whole chunks of them are not read, and many in a row are one frame. Their digests are made
// all the same, of zeros in memory, since a leaf's place goes into BLAKE3 and the values of one chunk serve no other.

// holeBody (frameHole) is a run of zeros in the file that is open, in place of its data frames.
type holeBody struct {
	ID     uint64 `cbor:"1,keyasint"`
	Offset int64  `cbor:"2,keyasint"` // bytes; a multiple of the chunk size
	Length int64  `cbor:"3,keyasint"` // bytes; likewise, unless it ends the file
}

// maxHole is the longest run in one frame: the receiver hashes it before it looks at the next, and shows that it is alive.
const maxHole = 64 << 20

func (b *holeBody) check() error {
	if b.Offset < 0 || b.Length <= 0 || b.Length > maxHole {
		return errors.New("a run of zeros that cannot be")
	}
	return nil
}

// zeroBytes is the payload of every hole. Nobody writes to it.
var zeroBytes [maxChunk + strideSize]byte

func allZero(b []byte) bool { return bytes.Equal(b, zeroBytes[:len(b)]) }

// holeFinder finds the holes of a file, from its beginning to its end.
type holeFinder struct {
	f         *os.File
	data, end int64 // the next data that is known: from, to
	blind     bool  // the system does not tell: what is read must be looked at
}

// covers tells whether there is nothing but a hole in a range. From call to call it moves on.
func (h *holeFinder) covers(from, to int64) bool {
	if from >= h.end && !h.blind {
		h.look(from)
	}
	return !h.blind && to <= h.data
}

// look finds the first data at from or behind.
func (h *holeFinder) look(from int64) {
	if !tellsHoles {
		h.blind = true
		return
	}
	data, err := h.f.Seek(from, seekData)
	if errors.Is(err, syscall.ENXIO) { // none
		h.data, h.end = math.MaxInt64, math.MaxInt64
		return
	}
	if err == nil {
		h.data = data
		h.end, err = h.f.Seek(data, seekHole)
	}
	h.blind = err != nil || h.data < from || h.end <= h.data
}

// hole takes a run of zeros off the connection: chunk by chunk, as if they had come.
func (in *intake) hole(raw []byte) error {
	var b holeBody
	if err := parseBody(frameHole, raw, &b); err != nil {
		return err
	}
	e, chunk := in.cur, int64(in.r.terms.chunk)
	switch {
	case !in.r.terms.sparse:
		return damaged("run of zeros that was not agreed on")
	case b.ID != e.ID || b.Offset != in.got || in.r.small(e) || e.Kind != entryFile:
		return damaged("run of zeros out of place")
	case b.Length > e.Size-b.Offset || b.Length%chunk != 0 && b.Offset+b.Length != e.Size:
		return damaged("run of zeros that does not fit its file")
	}
	for left := b.Length; left > 0; {
		c := in.r.pool.get(in.r.stop)
		if c == nil {
			return errOver
		}
		c.in, c.id, c.offset, c.hole = e, e.ID, in.got, true
		c.n = int(min(chunk, left))
		left -= int64(c.n)
		in.got += int64(c.n)
		in.bytes += int64(c.n)
		if err := in.pass(c); err != nil {
			return err
		}
	}
	return nil
}

// hole leaves a hole in an entry's file.
func (s *fileSink) hole(e *inbound, offset int64, n int) error {
	if err := e.part.extend(offset+int64(n), e.lane.through); err != nil {
		return s.r.fault("write", e, err)
	}
	return nil
}

// extend makes the file reach to an offset, with a hole. It makes no file shorter: a chunk may come late, asked for again.
// With it everything before the offset through is there.
func (p *part) extend(to, through int64) error {
	p.mu.Lock()
	p.through = max(p.through, through)
	p.mu.Unlock()
	if to <= p.reach {
		return nil
	}
	p.reach = to
	return p.file.truncate(to)
}

func (s *streamSink) hole(*inbound, int64, int) error { return syscall.EINVAL } // no holes are agreed on for a pipe

// holeBlock is the grain in which zeros in a file that has holes are left out, bytes: a block of most file systems.
const holeBlock = 4096

// eachData calls f for the runs of blocks in b that are not all zeros.
func eachData(b []byte, f func(from, to int) error) error {
	for from := 0; from < len(b); {
		to := from
		for to < len(b) && !allZero(b[to:min(to+holeBlock, len(b))]) {
			to = min(to+holeBlock, len(b))
		}
		if to > from {
			if err := f(from, to); err != nil {
				return err
			}
		}
		from = to + holeBlock
	}
	return nil
}

// packHole adds a chunk to the run of zeros that is being gathered.
func (w *packer) packHole(c *chunk) error {
	if w.run.Length > 0 && (w.run.ID != c.id || w.run.Offset+w.run.Length != c.offset || w.run.Length+int64(c.n) > maxHole) {
		if err := w.endHole(); err != nil {
			return err
		}
	}
	if w.run.Length == 0 {
		w.run = holeBody{ID: c.id, Offset: c.offset}
	}
	w.run.Length += int64(c.n)
	return nil
}

// endHole packs the run of zeros gathered so far.
func (w *packer) endHole() (err error) {
	if w.run.Length > 0 {
		w.buf, err = appendFrame(w.buf, frameHole, &w.run)
		w.run = holeBody{}
	}
	return err
}
