package udt

import (
	"io"
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
	v := &vectorFile{File: f, raw: raw}
	v.call = v.readv
	return v
}

// maxVector is how many buffers one readv(2) takes (UIO_MAXIOV is 1024).
const maxVector = 128

// vectorFile reads a file by readv(2). One goroutine at a time may use it.
type vectorFile struct {
	*os.File
	raw   syscall.RawConn
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
		return f.Read(bufs[0]) // has the proper error, or knows better
	case f.got == 0:
		return 0, io.EOF
	}
	return int(f.got), nil
}

// readv is the system call; false means to wait until there is something.
func (f *vectorFile) readv(fd uintptr) bool {
	for {
		f.got, _, f.errno = syscall.Syscall(syscall.SYS_READV, fd, uintptr(unsafe.Pointer(&f.iov[0])), uintptr(f.n))
		if f.errno != syscall.EINTR {
			return f.errno != syscall.EAGAIN
		}
	}
}
