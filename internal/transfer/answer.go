package transfer

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
)

// asked is a question of the sender, until the file's entry comes.
type asked struct {
	askBody
	answered bool
	answer   uint8
	there    *standing // what is there; nil if it must be sent
	free     bool      // nothing had the name
	sum      [32]byte  // with answerCompare
	sha      []byte    // likewise, if that was agreed on
}

// desk answers the sender's questions, in a goroutine of its own: reading what is there must not hold up what comes.
type desk struct {
	r    *receiver
	in   chan *asked
	room []byte // to read files into; made when there is one to compare
	due  int64  // bytes that are to come, by the answers given

	mu   sync.Mutex
	ring []*asked // questions whose entries have not come
	next uint64   // number of the next question
	done uint64   // those before it are forgotten
}

func newDesk(r *receiver, most int) *desk {
	return &desk{r: r, in: make(chan *asked, most), ring: make([]*asked, most), next: 1, done: 1}
}

// asked is how many questions have come.
func (d *desk) asked() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.next - 1
}

// take enters a question of the sender. The reader calls it.
func (d *desk) take(a *asked) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if a.Number != d.next || d.next-d.done == uint64(len(d.ring)) {
		return damaged("question %d out of turn", a.Number)
	}
	d.ring[d.next%uint64(len(d.ring))] = a
	d.next++
	d.in <- a // has room for all that may be open
	return nil
}

// settle forgets the questions up to a number and gives that one. The reader calls it.
func (d *desk) settle(number uint64) (*asked, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if number < d.done || number >= d.next {
		return nil, damaged("entry with the question %d, which is not open", number)
	}
	a := d.ring[number%uint64(len(d.ring))]
	if !a.answered {
		return nil, damaged("entry with the question %d, which has no answer yet", number)
	}
	for ; d.done <= number; d.done++ {
		d.ring[d.done%uint64(len(d.ring))] = nil
	}
	return a, nil
}

// repeat gives again, on a new connection, the answers after the first n, as far as they were given.
func (d *desk) repeat(n uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.r.out.skipsAnew(func(add func(skipBody)) {
		for number := max(n+1, d.done); number < d.next; number++ {
			a := d.ring[number%uint64(len(d.ring))]
			if !a.answered {
				return
			}
			add(a.body())
		}
	})
}

// body is the answer as a frame has it.
func (a *asked) body() skipBody {
	b := skipBody{First: a.Number, Count: 1, Answer: a.answer}
	if a.answer == answerCompare {
		b.Digest = a.sum[:]
	}
	return b
}

func (d *desk) run() {
	for {
		select {
		case a := <-d.in:
			if err := d.answer(a); err != nil {
				d.r.end(err)
				return
			}
		case <-d.r.stop:
			return
		}
	}
}

// answer looks for the file and says what there is.
func (d *desk) answer(a *asked) error {
	a.answer = answerSend
	there, free := d.r.sink.existing(a.Path)
	a.free = free
	if there != nil && there.info.Size() == a.Size {
		switch {
		case a.Check || d.r.o.Checksum:
			if err := d.digest(a, there); err != nil {
				return err
			}
		case a.sameAs(there.info.Size(), there.info.ModTime()):
			a.answer, a.there = answerKeep, there
		case !d.r.o.Overwrite:
			// It would be refused, unless it is the very file: an earlier attempt completed it and its receipt was lost.
			if err := d.digest(a, there); err != nil {
				return err
			}
		}
	}
	if a.there == nil {
		left, begun := int64(0), false
		if !d.r.o.NoResume {
			left, begun = d.r.sink.left(a.Path)
		}
		if begun {
			a.answer = answerPart
		}
		if err := d.expect(a, left); err != nil {
			return err
		}
	}
	if !d.r.out.waitSkip(d.r.stop) {
		return errOver
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	a.answered = true
	d.r.out.skip(a.body())
	return nil
}

// digest works out the digest of what is there. What cannot be read is not there: replacing it, or refusing to, will say
// what is wrong.
func (d *desk) digest(a *asked, there *standing) error {
	f, err := d.r.sink.openExisting(a.Path)
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	sum := newFileDigest(d.r.terms.chunk, d.r.terms.digest)
	if d.room == nil {
		d.room = sum.buffer()
	}
	// One byte more than there should be: if it grows it is another.
	err = sum.addAll(io.NewSectionReader(f, 0, a.Size+1), d.room, d.r.stillAtIt())
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if d.r.over() {
		return errOver
	}
	if err == nil {
		a.answer, a.there, a.sum = answerCompare, there, sum.sum()
		if sum.sha != nil {
			a.sha = sum.sha.Sum(nil)
		}
	}
	return nil
}

// expect makes sure that there is room for what has been asked for and has not come; left bytes of it an earlier attempt
// wrote.
func (d *desk) expect(a *asked, left int64) error {
	if a.Size > maxFileSize-d.due {
		return damaged("files of more bytes than there can be")
	}
	more := a.Size - a.Holes
	d.due += more - min(left, more)
	return d.r.sink.room(d.due - d.r.out.verified())
}

const maxFileSize = 1<<63 - 1

// question takes a question off the connection.
func (in *intake) question(raw []byte) error {
	a := &asked{}
	if err := parseBody(frameAsk, raw, &a.askBody); err != nil {
		return err
	}
	if !in.r.terms.skip {
		return damaged("question that was not agreed on")
	}
	return in.enquire(a)
}

// enquire passes a question on to the desk, if the name in it is one that may come.
func (in *intake) enquire(a *asked) error {
	depth := 0
	for c := range strings.SplitSeq(a.Path, "/") {
		depth++
		fault := nameFault(c)
		if depth > maxDepth+1 {
			fault = fmt.Sprintf("it is in more than %d directories", maxDepth)
		}
		if fault != "" {
			return refused(a.Path, a.Path, "the name is not allowed: "+fault, "rename it at the sender")
		}
	}
	return in.r.desk.take(a)
}

// asked settles the question about the file whose entry came.
func (in *intake) asked(e *inbound) error {
	if !in.r.terms.skip {
		return damaged("answer that was not agreed on")
	}
	a, err := in.r.desk.settle(e.Ask)
	if err != nil {
		return err
	}
	switch {
	case a.Path != e.path:
		return damaged("answer to another question")
	case !e.Kept:
		e.free = a.free
		return nil
	case a.there == nil || a.Size != e.Size,
		a.answer == answerCompare && (!bytes.Equal(a.sum[:], e.Digest) || !bytes.Equal(a.sha, e.SHA256)),
		a.answer == answerKeep && e.Digest != nil:
		return damaged("file left out that is not here")
	}
	e.there = a.there
	return in.r.sink.keep(e)
}

// kept takes an entry whose content is here already. It is complete.
func (in *intake) kept(e *inbound) error {
	e.end = &fileEndBody{ID: e.ID, Size: e.Size, Digest: e.Digest, SHA256: e.SHA256}
	in.bytes += e.Size
	if err := in.number(e); err != nil {
		return err
	}
	in.r.took(in.r.out.keep(e.Size))
	return in.r.commit(e)
}
