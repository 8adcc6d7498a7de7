package udt

import (
	"io"
	"math"
	"os"
	"syscall"
	"unsafe"
)

// vectored returns f as a VectorReader, nil if it cannot be one.
func vectored(f *os.File) VectorReader {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil // closed, for instance: Read will say it
	}
	return newVectorFile(f, raw, ownPosition)
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

// maxVector is how many buffers one readv(2) takes (UIO_MAXIOV is 1024).
const maxVector = 128

// vectorFile reads a file by readv(2). One goroutine at a time may use it.
type vectorFile struct {
	*os.File
	raw   syscall.RawConn
	at    int64                 // where to read, or ownPosition
	call  func(fd uintptr) bool // readv, made once
	iov   [maxVector]syscall.Iovec
	n     int // of iov
	got   uintptr
	errno syscall.Errno
}

// ReadVector implements VectorReader. It fills no more than maxVector buffers.
func (f *vectorFile) ReadVector(bufs [][]byte) (int, error) {
	f.n = 0
	for _, b := range bufs[:min(len(bufs), maxVector)] {
		if len(b) > 0 {
			f.iov[f.n].Base = &b[0]
			f.iov[f.n].SetLen(len(b))
			f.n++
		}
	}
	if f.n == 0 {
		return 0, nil
	}
	err := f.raw.Read(f.call)
	clear(f.iov[:f.n]) // keeps nothing alive
	switch {
	case err != nil || f.errno != 0:
		return f.readOne(bufs[0]) // has the proper error, or knows better
	case f.got == 0:
		return 0, io.EOF
	}
	return int(f.got), nil
}

func (f *vectorFile) readOne(p []byte) (int, error) {
	if f.at == ownPosition {
		return f.Read(p)
	}
	return f.ReadAt(p, f.at)
}

// readv is the system call; false means to wait until there is something.
func (f *vectorFile) readv(fd uintptr) bool {
	for {
		if f.at == ownPosition {
			f.got, _, f.errno = syscall.Syscall(syscall.SYS_READV, fd, uintptr(unsafe.Pointer(&f.iov[0])), uintptr(f.n))
		} else { // the offset is in two halves, of which 64-bit systems take the first for all
			f.got, _, f.errno = syscall.Syscall6(syscall.SYS_PREADV, fd, uintptr(unsafe.Pointer(&f.iov[0])), uintptr(f.n),
				uintptr(f.at), uintptr(f.at>>32), 0)
		}
		if f.errno != syscall.EINTR {
			return f.errno != syscall.EAGAIN
		}
	}
}
