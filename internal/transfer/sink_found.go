package transfer

import (
	"cmp"
	"time"
)

// find looks for what an earlier attempt left of a large file.
func (s *fileSink) find(e *inbound) error {
	if err := s.openPart(e); err != nil {
		return s.r.fault("create", e, err)
	}
	p, chunk := e.part, s.r.terms.chunk
	p.every = cmp.Or(s.r.o.syncEvery, p.every)
	e.lane.digest = newFileDigest(chunk, s.r.terms.digest)
	var err error
	if e.Stamp == 0 || s.r.o.NoResume {
		err = p.fresh()
	} else {
		p.id = &identity{Name: s.name(e), Size: e.Size, Stamp: e.Stamp, Chunk: int64(chunk)}
		err = s.resume(e)
	}
	if err != nil {
		return s.r.fault("go on with", e, err)
	}
	return nil
}

// resume takes what an earlier attempt left of the entry.
func (s *fileSink) resume(e *inbound) error {
	var check func([]byte, int64, [32]byte) bool
	if s.r.terms.verify {
		tick := s.r.stillAtIt()
		check = func(b []byte, offset int64, sum [32]byte) bool { return !tick() && chunkSum(b, offset, false) == sum }
	}
	n, aside, err := e.part.resume(check, func(values [][32]byte) {
		for _, v := range values {
			e.lane.digest.addValue(bytesValue(v))
		}
	})
	if aside != "" {
		s.r.notes.message(Quote(e.path) + ": " + aside + "; it is set aside and the file starts over")
	}
	e.here, e.lane.through = n, n
	e.lane.broken = n > 0
	return err
}

// left is how many bytes of a file an earlier attempt may have left beside its place; false if it left nothing. An attempt
// that makes way for this one may still write some.
func (s *fileSink) left(path string) (int64, bool) {
	d, name, err := s.seek(path)
	if err != nil {
		return 0, false
	}
	info, err := d.lookup(partName(name))
	if closeErr := d.close(); err != nil || closeErr != nil {
		return 0, false
	}
	return info.Size(), true
}

// stillAtIt gives a function to call with every step of something long during which nothing is received: it shows the
// sender that this end is at work, and tells whether to stop.
func (r *receiver) stillAtIt() func() (stop bool) {
	last := time.Now()
	return func() bool {
		if now := time.Now(); now.Sub(last) > aliveEvery {
			last = now
			r.out.alive()
		}
		return r.over()
	}
}

// aliveEvery is how often an end that has nothing else to say shows that it is at work.
const aliveEvery = time.Second
