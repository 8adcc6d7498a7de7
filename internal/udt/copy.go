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

// A VectorWriter is a sink that takes several buffers in one call, as writev(2)
// does. The rules are those of io.Writer.
type VectorWriter interface {
	WriteVector(bufs [][]byte) (n int, err error)
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
	// maxChunks is how many chunks of packets are read or written at once: more
	// than a pipe of 1 MiB has. Both ends of a pipe change places less often then.
	maxChunks = 16
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
	if v := VectoredReader(r); v != nil {
		return c.readVectors(v)
	}
	buf := make([]byte, readFromBuffer)
	return c.readFrom(
		func() (int, error) { return r.Read(buf) },
		func(n int) (int, error) { return c.Write(buf[:n]) })
}

// VectoredReader returns r as a VectorReader, which an *os.File is where the
// system has readv(2); nil if it is none. One goroutine at a time may use it.
func VectoredReader(r io.Reader) VectorReader {
	switch r := r.(type) {
	case VectorReader:
		return r
	case *os.File:
		return vectoredReader(r)
	}
	return nil
}

// VectoredWriter returns w as a VectorWriter, which an *os.File is where the
// system has writev(2); nil if it is none. One goroutine at a time may use it.
func VectoredWriter(w io.Writer) VectorWriter {
	switch w := w.(type) {
	case VectorWriter:
		return w
	case *os.File:
		return vectoredWriter(w)
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
		ahead = 1 // chunks to ask for
	)
	return c.readFrom(
		func() (int, error) {
			c.mu.Lock()
			most, ok := c.p.Aim(&stage, ahead)
			end := c.p.End()
			c.mu.Unlock()
			if !ok {
				return 0, c.fail("write", writeError(end))
			}
			bufs = stage.Vector(bufs[:0], most)
			n, err := v.ReadVector(bufs)
			stage.Filled(n)
			switch { // a source that gives little takes little memory
			case n == most:
				ahead = min(2*ahead, maxChunks)
			case n < most/4:
				ahead = max(1, ahead/2)
			}
			return n, err
		},
		func(int) (int, error) { return c.write(load{stage: &stage}) })
}

// WriteTo implements io.WriterTo: it writes what comes to w until the peer has
// closed, from where the packets lie where that is worth a write of its own. A
// file or pipe (*os.File), and any VectorWriter, takes many of them at once.
// Other readers wait meanwhile; the read deadline and Close end it when w
// returns. The count is what w took: the rest can still be read. An error of w
// is returned as it is, one of the connection is an *Error.
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	if v := VectoredWriter(w); v != nil {
		return c.writeTo(&scatterer{w: v}, maxChunks)
	}
	return c.writeTo(&gatherer{w: w, left: math.MaxInt64, most: maxWrite}, 1)
}

// A taker takes what it wants of Views, advances them by that, and returns how
// many bytes it was.
type taker interface {
	take(vs []proto.View) (int, error)
	full() bool // it wants no more
}

// writeTo is WriteTo until the peer has closed or out is full; it gets up to
// chunks Views at a time.
func (c *Conn) writeTo(out taker, chunks int) (int64, error) {
	if err := c.carries(Stream); err != nil {
		return 0, c.fail("read", err)
	}
	if err := c.reading.enter(c.closing); err != nil {
		return 0, c.fail("read", err)
	}
	defer c.reading.leave()
	total := int64(0)
	vs := make([]proto.View, 0, chunks)
	for !out.full() {
		if err := c.reading.check(c.closing); err != nil {
			return total, c.fail("read", err)
		}
		c.mu.Lock()
		vs = c.p.Peek(vs[:0], chunks)
		end := c.p.End()
		c.mu.Unlock()
		if len(vs) > 0 {
			n, werr := out.take(vs)
			total += int64(n)
			c.mu.Lock()
			c.p.Consume(vs)
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

// A scatterer writes Views to w, all that it is given in one call.
type scatterer struct {
	w    VectorWriter
	bufs [][]byte
}

func (s *scatterer) full() bool { return false }

func (s *scatterer) take(vs []proto.View) (int, error) {
	s.bufs = s.bufs[:0]
	want := 0
	for _, v := range vs { // copies: what w takes is not known yet
		for b := v.Next(maxWrite); b != nil; b = v.Next(maxWrite) {
			s.bufs = append(s.bufs, b)
			want += len(b)
			v.Advance(len(b))
		}
	}
	n, err := 0, error(nil)
	if want > 0 { // not empty packets alone
		n, err = s.w.WriteVector(s.bufs)
	}
	clear(s.bufs) // keeps nothing alive
	if n < 0 || n > want {
		return 0, errInvalidWrite
	}
	if err == nil && n < want {
		err = io.ErrShortWrite
	}
	left := n
	for i := range vs {
		for b := vs[i].Next(left); b != nil && left > 0; b = vs[i].Next(left) {
			vs[i].Advance(len(b))
			left -= len(b)
		}
	}
	return n, err
}

// A gatherer writes Views to w, short pieces of them together.
type gatherer struct {
	w    io.Writer
	left int64 // bytes that w is to get
	most int   // bytes of one write
	buf  []byte
}

func (g *gatherer) full() bool { return g.left <= 0 }

func (g *gatherer) take(vs []proto.View) (int, error) {
	total := 0
	for i := range vs {
		n, err := g.write(&vs[i])
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
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
