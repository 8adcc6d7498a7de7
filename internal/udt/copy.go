package udt

import (
	"errors"
	"io"
	"math"
	"os"

	"github.com/udtcp/udtcp/internal/udt/proto"
)

// A VectorReader is a source that fills several buffers in one call, as
// readv(2) does. The rules are those of io.Reader.
type VectorReader interface {
	ReadVector(bufs [][]byte) (n int, err error)
}

var (
	_ io.ReaderFrom = (*Conn)(nil)
	_ io.WriterTo   = (*Conn)(nil)
)

const (
	// readFromBuffer is how much ReadFrom asks of a plain reader, bytes.
	readFromBuffer = 128 << 10
	// gatherBelow is from which length on in-order data is written out from
	// where it lies; shorter pieces are gathered in a buffer of gatherBuffer
	// bytes, so that a peer's small packets do not make as many writes.
	gatherBelow, gatherBuffer = 16 << 10, 64 << 10
	// maxEmptyReads is how often a source may give nothing and no error.
	maxEmptyReads = 100
)

// ReadFrom implements io.ReaderFrom: it writes what r gives until its end. A
// file or pipe (*os.File), and any VectorReader, is read straight into the
// packets to be sent.
//
// What r gave is on its way before r is asked again, and while r is waited for
// nothing is held: others may write, Close does not wait. The write deadline
// and Close end ReadFrom when r returns. The count is what was written; an
// error of r is returned as it is, one of the connection is an *Error.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	if err := c.carries(Stream); err != nil {
		return 0, c.fail("write", err)
	}
	if err := c.writing.await(c.connected, c.closing); err != nil {
		return 0, c.fail("write", err)
	}
	if v := Vectored(r); v != nil {
		return c.readVectors(v)
	}
	buf := make([]byte, readFromBuffer)
	return c.readFrom(
		func() (int, error) { return r.Read(buf) },
		func(n int) (int, error) { return c.Write(buf[:n]) })
}

// Vectored returns r as a VectorReader, which an *os.File is where the system
// has readv(2); nil if it is none. One goroutine at a time may use it.
func Vectored(r io.Reader) VectorReader {
	switch r := r.(type) {
	case VectorReader:
		return r
	case *os.File:
		return vectored(r)
	}
	return nil
}

// readFrom alternates between read and write, which is told how much was read.
func (c *Conn) readFrom(read func() (int, error), write func(n int) (int, error)) (int64, error) {
	total, empty := int64(0), 0
	for {
		// A connection that takes nothing more must not swallow what r has.
		if err := c.writing.check(c.closing); err != nil {
			return total, c.fail("write", err)
		}
		n, rerr := read()
		if n > 0 {
			m, err := write(n)
			total += int64(m)
			if err != nil {
				return total, err
			}
			empty = 0
		} else if empty++; rerr == nil && empty >= maxEmptyReads {
			rerr = io.ErrNoProgress
		}
		if rerr != nil {
			return total, ended(rerr)
		}
	}
}

// ended makes the end of a source no error.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// readVectors is ReadFrom for a source that fills packets itself.
func (c *Conn) readVectors(v VectorReader) (int64, error) {
	var (
		stage proto.Stage
		bufs  [][]byte
	)
	return c.readFrom(
		func() (int, error) {
			c.mu.Lock()
			most, ok := c.p.Aim(&stage)
			end := c.p.End()
			c.mu.Unlock()
			if !ok {
				return 0, c.fail("write", writeError(end))
			}
			bufs = stage.Vector(bufs[:0], most)
			n, err := v.ReadVector(bufs)
			stage.Filled(n)
			return n, err
		},
		func(int) (int, error) { return c.write(load{stage: &stage}) })
}

// WriteTo implements io.WriterTo: it writes what comes to w until the peer has
// closed, from where the packets lie where that is worth a write of its own.
// Other readers wait meanwhile; the read deadline and Close end it when w
// returns. The count is what w took: the rest can still be read. An error of w
// is returned as it is, one of the connection is an *Error.
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	return c.writeTo(gatherer{w: w, left: math.MaxInt64, most: maxWrite})
}

// writeTo is WriteTo until the peer has closed or out has got enough.
func (c *Conn) writeTo(out gatherer) (int64, error) {
	if err := c.carries(Stream); err != nil {
		return 0, c.fail("read", err)
	}
	if err := c.reading.enter(c.closing); err != nil {
		return 0, c.fail("read", err)
	}
	defer c.reading.leave()
	total := int64(0)
	for out.left > 0 {
		if err := c.reading.check(c.closing); err != nil {
			return total, c.fail("read", err)
		}
		c.mu.Lock()
		v, ok := c.p.Peek()
		end := c.p.End()
		c.mu.Unlock()
		if ok {
			n, werr := out.write(&v)
			total += int64(n)
			c.mu.Lock()
			c.p.Consume(&v)
			c.changed()
			c.mu.Unlock()
			if werr != nil {
				return total, werr
			}
			continue
		}
		err := readError(end)
		if err == nil {
			err = c.reading.wait(c.closing)
		}
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, c.fail("read", err)
		}
	}
	return total, nil
}

// A gatherer writes Views to w.
type gatherer struct {
	w    io.Writer
	left int64 // bytes that w is to get
	most int   // bytes of one write
	buf  []byte
}

// write hands v to w, as far as it is wanted, and advances it by what w took.
func (g *gatherer) write(v *proto.View) (int, error) {
	total := 0
	for g.left > 0 {
		ahead := *v
		most := int(min(int64(g.most), g.left))
		b := v.Next(most)
		if b == nil {
			break
		}
		if ahead.Advance(len(b)); len(b) < min(gatherBelow, most) && ahead.Next(1) != nil {
			b = g.gather(*v, most)
		}
		n, err := g.w.Write(b)
		if n < 0 || n > len(b) {
			return total, errInvalidWrite
		}
		v.Advance(n)
		g.left -= int64(n)
		total += n
		if err == nil && n < len(b) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// maxWrite is more than a View has, bytes.
const maxWrite = 1 << 20

var errInvalidWrite = errors.New("a Write returned an impossible count")

// gather copies the beginning of v, which stays as it is, at most most bytes.
func (g *gatherer) gather(v proto.View, most int) []byte {
	if g.buf == nil {
		g.buf = make([]byte, gatherBuffer)
	}
	return g.buf[:v.Copy(g.buf[:min(most, gatherBuffer)])]
}
