package udt

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// SendFile writes size bytes of f, from offset on, as UDT's sendfile does: they
// are stream data like any other. Bytes are read straight into the packets to
// be sent where the system can, at most block at a time if that is not 0. The
// position of f stays where it is, so that several may send from it at once.
//
// It returns how many bytes it has written, also beside an error: EINVRDOFF if
// the file has no such offset, ERDPERM if it can't be read or ends too soon
// (io.ErrUnexpectedEOF), and otherwise what Write fails with, EPEERERR when the
// peer's file failed.
func (c *Conn) SendFile(f *os.File, offset, size int64, block int) (int64, error) {
	if size <= 0 {
		return 0, nil
	}
	if err := checkRegion(offset, size, block); err != nil {
		return 0, c.fileError("send file", EINVRDOFF, err)
	}
	r := region{file: f, at: offset, left: size, block: block}
	n, err := c.ReadFrom(r.reader())
	var mine *Error
	switch {
	case errors.As(err, &mine):
		mine.Op = "send file"
		return n, mine
	case err == nil && r.left > 0 && n == 0 && beyond(f, offset):
		return 0, c.fileError("send file", EINVRDOFF, io.ErrUnexpectedEOF)
	case err == nil && r.left > 0:
		err = io.ErrUnexpectedEOF
	case err == nil:
		return n, nil
	}
	return n, c.fileError("send file", ERDPERM, err)
}

// ReceiveFile reads size bytes and writes them to f, from offset on, as UDT's
// recvfile does, at most block at a time if that is not 0. The position of f
// stays where it is.
//
// It returns how many bytes the file has got, also beside an error: EINVWROFF
// for an impossible offset, EWRPERM if the file can't be written, ECONNLOST if
// the peer closes too soon (io.ErrUnexpectedEOF), and otherwise what Read fails
// with. When the file fails, the peer is told (see ReportError); what was not
// written can still be read.
func (c *Conn) ReceiveFile(f *os.File, offset, size int64, block int) (int64, error) {
	if size <= 0 {
		return 0, nil
	}
	if err := checkRegion(offset, size, block); err != nil {
		return 0, c.fileError("receive file", EINVWROFF, err)
	}
	if block == 0 {
		block = maxWrite
	}
	w := &sink{w: io.NewOffsetWriter(f, offset)}
	n, err := c.writeTo(&gatherer{w: w, left: size, most: block}, 1)
	var mine *Error
	switch {
	case w.err != nil:
		// That it can't be told is no worse than that the report gets lost.
		_ = c.ReportError(EFILE)
		return n, c.fileError("receive file", EWRPERM, w.err)
	case errors.As(err, &mine):
		mine.Op = "receive file"
		return n, mine
	case err == nil && n < size:
		return n, &Error{Code: ECONNLOST, Op: "receive file", Addr: c.RemoteAddr(), Err: io.ErrUnexpectedEOF}
	}
	return n, err
}

func (c *Conn) fileError(op string, code Code, err error) error {
	return &Error{Code: code, Op: op, Addr: c.RemoteAddr(), Err: err}
}

func checkRegion(offset, size int64, block int) error {
	if offset < 0 || size > math.MaxInt64-offset {
		return fmt.Errorf("%d bytes at offset %d: %w", size, offset, os.ErrInvalid)
	}
	if block < 0 {
		return fmt.Errorf("blocks of %d bytes: %w", block, os.ErrInvalid)
	}
	return nil
}

// beyond tells whether f ends before offset.
func beyond(f *os.File, offset int64) bool {
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular() && info.Size() < offset
}

// A region is the part of a file that is still to be read.
type region struct {
	file  *os.File
	at    int64
	left  int64
	block int // most bytes of one read; 0 = as many as are asked for
}

// Read implements io.Reader.
func (r *region) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, io.EOF
	}
	n, err := r.file.ReadAt(p[:r.most(len(p))], r.at)
	r.took(n)
	return n, err
}

// most is how many of so many bytes to read at once.
func (r *region) most(n int) int {
	if r.block > 0 {
		n = min(n, r.block)
	}
	return int(min(int64(n), r.left))
}

func (r *region) took(n int) {
	r.at += int64(n)
	r.left -= int64(n)
}

// A sink remembers that it was the writer that failed.
type sink struct {
	w   io.Writer
	err error
}

func (s *sink) Write(p []byte) (n int, err error) {
	n, s.err = s.w.Write(p)
	return n, s.err
}
