package udt

import (
	"io"
	"math"
	"os"
	"syscall"
	"unsafe"
)

// vectoredReader returns f as a VectorReader, nil if it cannot be one.
func vectoredReader(f *os.File) VectorReader {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil // closed, for instance: Read will say it
	}
	return newVectorFile(f, raw, ownPosition)
}

// vectoredWriter returns f as a VectorWriter, nil if it cannot be one.
func vectoredWriter(f *os.File) VectorWriter {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil // closed, for instance: Write will say it
	}
	w := &vectorOutput{file: f, raw: raw}
	w.call = w.writev
	return w
}

// ownPosition says that a file is read where it stands.
const ownPosition = -1

func newVectorFile(f *os.File, raw syscall.RawConn, at int64) *vectorFile {
	v := &vectorFile{File: f, raw: raw, at: at}
	v.call = v.readv
	return v
}

// reader returns a reader of the region, by preadv(2).
func (r *region) reader() io.Reader {
	raw, err := r.file.SyscallConn()
	if err != nil {
		return r // closed, for instance: Read will say it
	}
	return &vectorRegion{r, newVectorFile(r.file, raw, r.at)}
}

type vectorRegion struct {
	*region
	file *vectorFile
}

// ReadVector implements VectorReader.
func (r *vectorRegion) ReadVector(bufs [][]byte) (int, error) {
	if r.left <= 0 {
		return 0, io.EOF
	}
	r.file.at = r.at
	n, err := r.file.ReadVector(cutTo(bufs, r.most(math.MaxInt)))
	r.took(n)
	return n, err
}

// cutTo returns as many of bufs, the last of them shortened, as hold n bytes.
func cutTo(bufs [][]byte, n int) [][]byte {
	for i, b := range bufs {
		if len(b) >= n {
			bufs[i] = b[:n]
			return bufs[:i+1]
		}
		n -= len(b)
	}
	return bufs
}

// maxVector is how many buffers one readv(2) or writev(2) takes (UIO_MAXIOV).
const maxVector = 1024

// iovecs are what such a call is given, and what came of it.
type iovecs struct {
	iov   [maxVector]syscall.Iovec
	n     int // of iov
	done  uintptr
	errno syscall.Errno
}

// set takes the first maxVector of bufs and tells whether they have any room.
func (v *iovecs) set(bufs [][]byte) bool {
	v.n = 0
	for _, b := range bufs[:min(len(bufs), maxVector)] {
		if len(b) > 0 {
			v.iov[v.n].Base = &b[0]
			v.iov[v.n].SetLen(len(b))
			v.n++
		}
	}
	return v.n > 0
}

// forget keeps nothing alive.
func (v *iovecs) forget() { clear(v.iov[:v.n]) }

// call is the system call; more are its further arguments. It is false if it
// has to wait until there is something, or room.
func (v *iovecs) call(trap, fd, more1, more2 uintptr) bool {
	for {
		v.done, _, v.errno = syscall.Syscall6(trap, fd, uintptr(unsafe.Pointer(&v.iov[0])), uintptr(v.n), more1, more2, 0)
		if v.errno != syscall.EINTR {
			return v.errno != syscall.EAGAIN
		}
	}
}

// vectorFile reads a file by readv(2). One goroutine at a time may use it.
type vectorFile struct {
	*os.File
	raw  syscall.RawConn
	at   int64                 // where to read, or ownPosition
	call func(fd uintptr) bool // readv, made once
	iovecs
}

// ReadVector implements VectorReader. It fills no more than maxVector buffers.
func (f *vectorFile) ReadVector(bufs [][]byte) (int, error) {
	if !f.set(bufs) {
		return 0, nil
	}
	err := f.raw.Read(f.call)
	f.forget()
	switch {
	case err != nil || f.errno != 0:
		return f.readOne(bufs[0]) // has the proper error, or knows better
	case f.done == 0:
		return 0, io.EOF
	}
	return int(f.done), nil
}

func (f *vectorFile) readOne(p []byte) (int, error) {
	if f.at == ownPosition {
		return f.Read(p)
	}
	return f.ReadAt(p, f.at)
}

func (f *vectorFile) readv(fd uintptr) bool {
	if f.at == ownPosition {
		return f.iovecs.call(syscall.SYS_READV, fd, 0, 0)
	}
	// The offset is in two halves, of which 64-bit systems take the first for all.
	return f.iovecs.call(syscall.SYS_PREADV, fd, uintptr(f.at), uintptr(f.at>>32))
}

// vectorOutput writes a file by writev(2). One goroutine at a time may use it.
type vectorOutput struct {
	file *os.File
	raw  syscall.RawConn
	call func(fd uintptr) bool // writev, made once
	iovecs
}

// WriteVector implements VectorWriter.
func (f *vectorOutput) WriteVector(bufs [][]byte) (int, error) {
	total := 0
	for f.set(bufs) {
		err := f.raw.Write(f.call)
		f.forget()
		n := int(f.done)
		if err != nil || f.errno != 0 {
			n, err = f.file.Write(bufs[0]) // has the proper error, or knows better
		}
		if total += n; err != nil {
			return total, err
		}
		bufs = behind(bufs, n)
	}
	return total, nil
}

func (f *vectorOutput) writev(fd uintptr) bool { return f.iovecs.call(syscall.SYS_WRITEV, fd, 0, 0) }

// behind returns what of bufs comes after n bytes. It changes bufs.
func behind(bufs [][]byte, n int) [][]byte {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if n > 0 {
		bufs[0] = bufs[0][n:]
	}
	return bufs
}
