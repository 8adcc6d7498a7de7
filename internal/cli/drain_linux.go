package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pipeOutput is standard output where that is a pipe: it can wait until the reader has taken everything. Zeros at the end
// need not be taken: tar leaves the padding of an archive in the pipe, or goes before it is there, and has all the same
// got everything.
type pipeOutput struct {
	file  *os.File
	zeros int // at the end of what was written
}

// drainable is standard output, as one that can wait for its reader if it is a pipe.
func drainable(w io.Writer) io.Writer {
	f, ok := w.(*os.File)
	if !ok {
		return w
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return w
	}
	return &pipeOutput{file: f}
}

func (p *pipeOutput) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	text := bytes.TrimRight(b[:n], "\x00")
	if len(text) > 0 {
		p.zeros = 0
	}
	p.zeros += n - len(text)
	if errors.Is(err, syscall.EPIPE) && len(bytes.TrimLeft(b[n:], "\x00")) == 0 {
		if left, _, stateErr := p.state(); stateErr == nil && left <= p.zeros {
			return len(b), nil
		}
	}
	return n, err
}

// SetWriteDeadline ends a Write that hangs.
func (p *pipeOutput) SetWriteDeadline(t time.Time) error { return p.file.SetWriteDeadline(t) }

// drainPause is how often a pipe is looked at: the kernel does not tell when it gets empty.
const drainPause = 10 * time.Millisecond

// Drain implements transfer.Drainer.
func (p *pipeOutput) Drain(stop <-chan struct{}) error {
	for {
		left, gone, err := p.state()
		switch {
		case err != nil:
			return err
		case left == 0 || gone && left <= p.zeros:
			return nil
		case gone:
			return syscall.EPIPE
		}
		t := time.NewTimer(drainPause)
		select {
		case <-t.C:
		case <-stop:
			t.Stop()
			return nil
		}
	}
}

// state is how many bytes are in the pipe, and whether every reader has closed it.
func (p *pipeOutput) state() (left int, gone bool, err error) {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return 0, false, err
	}
	if ctlErr := raw.Control(func(fd uintptr) {
		gone = noReader(int(fd)) // before the count: what it left then is what it did not take
		left, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ)
	}); ctlErr != nil {
		return 0, false, ctlErr
	}
	return left, gone, os.NewSyscallError("ioctl", err)
}

// noReader tells whether every reader of a pipe has closed it.
func noReader(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd)}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&unix.POLLERR != 0
}
