package transfer

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// This file is the sender's part of resuming: what the receiver has of a large file is not sent. It is read all the same,
// behind what is being sent, since the digest of the file is that of all its bytes as they are now.

// answer is what the receiver says it has of a large file.
type answer struct {
	come   chan struct{} // closed when it is known
	once   sync.Once
	offset atomic.Int64
}

func newAnswer() *answer { return &answer{come: make(chan struct{})} }

func (a *answer) give(offset int64) {
	a.once.Do(func() {
		a.offset.Store(offset)
		close(a.come)
	})
}

// awaitAnswer waits for the receiver to say what it has of e, unless it has said that there is nothing.
func (s *sender) awaitAnswer(e *outbound) error {
	if !s.terms.resume || s.terms.skip && !e.begun {
		return nil
	}
	select {
	case <-e.answer.come:
		return nil
	case <-s.stop:
		return errOver
	}
}

// has takes the receiver's answer.
func (s *sender) has(raw []byte) error {
	var b haveBody
	if err := parseBody(frameHave, raw, &b); err != nil {
		return err
	}
	e := s.backlog.find(b.ID)
	if e == nil {
		return nil // it came a second time
	}
	if e.answer == nil || !s.terms.resume || b.Offset > e.Size || b.Offset%int64(s.terms.chunk) != 0 && b.Offset != e.Size {
		return damaged("answer that %d bytes of entry %d are there", b.Offset, b.ID)
	}
	e.answer.give(b.Offset)
	return nil
}

// gap is the part of a file that is not sent.
type gap struct {
	e        *outbound
	from, to int64
	values   []chaining    // of its chunks
	behind   []chaining    // of the chunks after it, which were sent meanwhile: the sealer's
	done     chan struct{} // closed when values has all
}

// readGap works out the digests of what is not sent.
func (s *sender) readGap(g *gap) {
	if err := s.hashGap(g); err != nil {
		s.end(err)
		return
	}
	close(g.done)
}

func (s *sender) hashGap(g *gap) error {
	f, err := openSource(g.e.from)
	if err != nil {
		return localIO("open", g.e.from, g.e.path, err)
	}
	defer f.Close() // read only
	own := newChunk()
	for at := g.from; at < g.to; at += int64(own.n) {
		if s.over() {
			return errOver
		}
		own.offset, own.n = at, int(min(int64(s.terms.chunk), g.to-at))
		if _, err := io.ReadFull(io.NewSectionReader(f, at, int64(own.n)), own.space(s.terms.chunk)[:own.n]); err != nil {
			return g.e.readError(err)
		}
		g.values = append(g.values, bytesValue(own.hash()))
	}
	return g.e.intact(f)
}

// closeGap waits for the digests of what was not sent and puts everything in order. The receiver is kept in mind.
func (s *sender) closeGap(e *outbound) error {
	g := e.gap
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-g.done:
			for _, v := range g.values {
				e.digest.addValue(v)
			}
			for _, v := range g.behind {
				e.digest.addValue(v)
			}
			e.gap = nil
			if e.digest.sha == nil {
				return nil
			}
			return s.digestAgain(e)
		case <-tick.C:
			if err := s.post(parcel{kind: framePing, ctl: &pingBody{}, extra: true}); err != nil {
				return err
			}
		case <-s.stop:
			return errOver
		}
	}
}

// digestAgain reads a whole file for the digest that cannot be put together from parts.
func (s *sender) digestAgain(e *outbound) error {
	f, err := openSource(e.from)
	if err != nil {
		return localIO("open", e.from, e.path, err)
	}
	defer f.Close() // read only
	e.digest.sha.Reset()
	buf := make([]byte, s.terms.chunk)
	tick := s.stillAtIt()
	for at := int64(0); at < e.Size; at += int64(len(buf)) {
		n := min(int64(len(buf)), e.Size-at)
		if _, err := io.ReadFull(io.NewSectionReader(f, at, n), buf[:n]); err != nil {
			return e.readError(err)
		}
		e.digest.sha.Write(buf[:n])
		if tick() {
			return errOver
		}
	}
	return e.intact(f)
}

// stillAtIt gives a function to call with every step of something long during which nothing is sent: it shows the
// receiver that this end is at work, and tells whether to stop.
func (s *sender) stillAtIt() func() (stop bool) {
	last := time.Now()
	return func() bool {
		if now := time.Now(); now.Sub(last) > aliveEvery {
			last = now
			if s.post(parcel{kind: framePing, ctl: &pingBody{}, extra: true}) != nil {
				return true
			}
		}
		return s.over()
	}
}
