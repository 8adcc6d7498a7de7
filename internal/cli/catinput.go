package cli

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
)

// catInput is standard input on its way to the link. Bytes count once more is asked for: then the link has them.
type catInput struct {
	r      io.Reader
	wait   func() error // until r has something; fails if nothing is to be read any more
	given  *atomic.Int64
	latest int   // bytes of the last read, not yet counted
	err    error // of r, its end included
}

// catFile is a catInput that the link may read straight into its packets.
type catFile struct {
	catInput
	v vectorReader
}

// catSource is either of them.
type catSource interface {
	io.Reader
	failure() error // why reading ended, nil if it is the link that failed
}

// newInput gives standard input, and what is to be called once it is not read any more.
func (j *joint) newInput(ctx context.Context) (src catSource, done func()) {
	wait, done := j.watchInput(ctx)
	in := catInput{r: j.stdin, wait: wait, given: &j.m.out}
	if v := vectoredReader(j.stdin); v != nil {
		return &catFile{in, v}, done
	}
	return &in, done
}

// watchInput gives what waits until standard input has something, or fails once the link is over or ctx has ended, so
// that nothing is read that could not be sent. Where only reading tells whether there is something, it does not wait.
func (j *joint) watchInput(ctx context.Context) (wait func() error, done func()) {
	none := func() error { return nil }
	if j.net == nil {
		return none, func() {}
	}
	p := j.net.Poller()
	done = func() { _ = p.Close() } // it has no members of its own
	if p.Add(j.m.link, pollOver) != nil || p.Add(j.stdin, pollIn) != nil {
		return none, done
	}
	events := make([]pollEvent, 2)
	return func() error {
		n, err := p.Wait(ctx, events)
		if err == nil {
			err = context.Cause(ctx) // what can be done at once comes before the end of ctx
		}
		for _, e := range events[:n] {
			if e.Member == any(j.m.link) {
				err = errLinkOver
			}
		}
		return err
	}, done
}

// errLinkOver ends reading; why it is over, the other direction knows.
var errLinkOver = errors.New("the link is over")

func (c *catInput) Read(p []byte) (int, error) {
	return c.count(func() (int, error) { return c.r.Read(p) })
}

func (c *catFile) ReadVector(bufs [][]byte) (int, error) {
	return c.count(func() (int, error) { return c.v.ReadVector(bufs) })
}

func (c *catInput) count(read func() (int, error)) (int, error) {
	c.given.Add(int64(c.latest))
	c.latest = 0
	if err := c.wait(); err != nil {
		return 0, err
	}
	c.latest, c.err = read()
	return c.latest, c.err
}

func (c *catInput) failure() error {
	if errors.Is(c.err, io.EOF) {
		return nil
	}
	return c.err
}
