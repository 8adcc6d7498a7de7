package cli

import (
	"io"
	"sync/atomic"
)

// catOutput is standard output. Bytes count once they are written there, so what progress shows has really come out.
type catOutput struct {
	w     io.Writer
	taken *atomic.Int64
	err   error // of w
}

// catFileOutput is a catOutput that takes several packets at once.
type catFileOutput struct {
	catOutput
	v vectorWriter
}

// catSink is either of them.
type catSink interface {
	io.Writer
	failure() error // why writing ended, nil if it is the link that failed
}

func newCatOutput(w io.Writer, taken *atomic.Int64) catSink {
	out := catOutput{w: w, taken: taken}
	if v := vectoredWriter(w); v != nil {
		return &catFileOutput{out, v}
	}
	return &out
}

func (c *catOutput) Write(p []byte) (int, error) {
	return c.count(func() (int, error) { return c.w.Write(p) })
}

func (c *catFileOutput) WriteVector(bufs [][]byte) (int, error) {
	return c.count(func() (int, error) { return c.v.WriteVector(bufs) })
}

func (c *catOutput) count(write func() (int, error)) (n int, err error) {
	n, c.err = write()
	c.taken.Add(int64(n))
	return n, c.err
}

func (c *catOutput) failure() error { return c.err }
