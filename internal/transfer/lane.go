package transfer

import (
	"crypto/sha256"
	"errors"
	"io"
	"slices"
)

// laneState is what the lane keeps of an entry.
type laneState struct {
	begun   bool
	ended   bool        // its last chunk has passed
	missing int         // chunks asked for again
	broken  bool        // not every chunk passed in order: a second digest must be made from the file
	digest  *fileDigest // of what has passed
	through int64       // everything before this offset is handed on
}

// laneItem is a chunk, or the end of the entry it names, or somebody who waits for all before.
type laneItem struct {
	c      *chunk
	end    *inbound
	passed chan struct{}
}

// lane is the goroutine through which chunks of large files and of streams pass in the order they came, verified by the
// workers on the way. It knows two orders. A file on disk takes its chunks as they come: one that must be sent again
// leaves a hole until it does. A stream, and all that goes to a pipe, waits: what comes behind is held.
type lane struct {
	r    *receiver
	in   chan laneItem
	held []*chunk // ordered by offset, all behind a chunk that is missing
}

func (l *lane) run() {
	for {
		select {
		case it := <-l.in:
			if err := l.pass(it); err != nil {
				l.r.end(err)
				return
			}
		case <-l.r.stop:
			return
		}
	}
}

func (l *lane) pass(it laneItem) error {
	if it.passed != nil {
		close(it.passed)
		return nil
	}
	e := it.end
	if c := it.c; c != nil {
		select {
		case <-c.ready:
		case <-l.r.stop:
			return errOver
		}
		e = c.in
		if !e.lane.begun {
			if err := l.begin(e); err != nil {
				return err
			}
		}
		if err := l.chunk(e, c); err != nil {
			return err
		}
	} else {
		e.lane.ended = true
		if !e.lane.begun {
			if err := l.begin(e); err != nil {
				return err
			}
		}
	}
	if e.lane.ended && e.lane.missing == 0 {
		return l.finish(e)
	}
	return nil
}

func (l *lane) begin(e *inbound) error {
	e.lane.begun = true
	if e.lane.digest == nil {
		e.lane.digest = newFileDigest(l.r.terms.chunk, l.r.terms.digest)
	}
	return l.r.sink.begin(e)
}

func (l *lane) chunk(e *inbound, c *chunk) error {
	if c.repair && c.good {
		l.r.repairs.settle(c)
		e.lane.missing--
	}
	if !c.repair && !l.r.ordered(e) {
		e.part.note(c.sum)
	}
	if !c.good {
		return l.again(e, c)
	}
	if l.r.ordered(e) {
		return l.inOrder(e, c)
	}
	if !c.repair {
		e.lane.digest.addNode(c.node)
		if sha := e.lane.digest.sha; sha != nil && !e.lane.broken {
			sha.Write(c.payload())
		}
	}
	return l.hand(e, c)
}

// again asks for a chunk that is bad. Its digest is sound, it stood in the checked part of the frame; so in a file the
// digest goes on, and the bytes will have to fit.
func (l *lane) again(e *inbound, c *chunk) error {
	if !c.repair {
		e.lane.missing++
		if !l.r.ordered(e) {
			e.lane.broken = true
			e.lane.digest.addValue(bytesValue(c.sum))
		}
	}
	return l.r.again(c)
}

// inOrder hands on c if it is next, and what was held behind it; otherwise it holds c.
func (l *lane) inOrder(e *inbound, c *chunk) error {
	i, _ := slices.BinarySearchFunc(l.held, c.offset, func(h *chunk, offset int64) int {
		return int(min(max(h.offset-offset, -1), 1))
	})
	l.held = slices.Insert(l.held, i, c)
	for len(l.held) > 0 && l.held[0].offset == e.lane.through {
		c := l.held[0]
		l.held = slices.Delete(l.held, 0, 1)
		if c.piece {
			e.lane.digest.addBytes(c.payload())
		} else {
			e.lane.digest.addNode(c.node)
		}
		if sha := e.lane.digest.sha; sha != nil {
			sha.Write(c.payload())
		}
		if err := l.hand(e, c); err != nil {
			return err
		}
	}
	if len(l.held) > l.r.terms.window {
		return damaged("more chunks on their way than agreed")
	}
	return nil
}

// hand gives verified bytes to the sink.
func (l *lane) hand(e *inbound, c *chunk) error {
	if e.lane.missing == 0 || l.r.ordered(e) {
		e.lane.through = max(e.lane.through, c.end())
	}
	if c.hole {
		if err := l.r.sink.hole(e, c.offset, c.n); err != nil {
			return err
		}
		l.r.out.spare(int64(c.n))
	} else if err := l.r.sink.write(e, c.payload(), c.offset); err != nil {
		return err
	}
	n := c.n
	l.r.pool.put(c)
	l.r.took(l.r.out.tookUpTo(int64(n), e.ID, e.lane.through))
	return nil
}

// finish proves the file's digest and lets the sink have it.
func (l *lane) finish(e *inbound) error {
	if e.lane.digest.sum() != [32]byte(e.end.Digest) {
		return unsound("the file's digest is not what the sender says", e)
	}
	if sha := e.lane.digest.sha; sha != nil {
		if e.lane.broken {
			sha = sha256.New()
			buf := make([]byte, 1<<20)
			_, err := io.CopyBuffer(sha, io.NewSectionReader(struct{ io.ReaderAt }{e.part.file}, 0, e.end.Size), buf)
			if err != nil {
				return l.r.fault("read", e, err)
			}
		}
		if !sumIs(sha.Sum(nil), e.end.SHA256) {
			return unsound("the file's SHA-256 digest is not what the sender says", e)
		}
	}
	e.lane.digest = nil
	if err := l.r.sink.finish(e); err != nil {
		return err
	}
	return l.r.commit(e)
}

func sumIs(a, b []byte) bool { return slices.Equal(a, b) }

// fault is a failure of this end's files or pipe.
func (r *receiver) fault(op string, e *inbound, err error) error {
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	path := r.sink.where(e)
	var namesake *namesakeError
	switch {
	case errors.As(err, &namesake):
		return namesake.refusal(path, e.path)
	case errors.Is(err, errExists), errors.Is(err, errTaken):
		return refused(path, e.path, "it exists", "give --overwrite to replace it, or another destination")
	case errors.Is(err, errKeep):
		return refused(path, e.path, "it exists and is not a plain file", "move it away, or give another destination")
	case errors.Is(err, errBusy):
		return refused(path, e.path, "another udtcp is receiving it", "wait until that one ends")
	}
	return localIO(op, path, e.path, err)
}
