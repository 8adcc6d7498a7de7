package cli

import (
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pipeOutput is standard output where that is a pipe: it can wait until the reader has taken everything.
type pipeOutput struct{ *os.File }

// drainable is standard output, as one that can wait for its reader if it is a pipe.
func drainable(w io.Writer) io.Writer {
	f, ok := w.(*os.File)
	if !ok {
		return w
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return w
	}
	return pipeOutput{f}
}

// drainPause is how often a pipe is looked at: the kernel does not tell when it gets empty.
const drainPause = 10 * time.Millisecond

// Drain implements transfer.Drainer.
func (p pipeOutput) Drain(stop <-chan struct{}) error {
	raw, err := p.SyscallConn()
	if err != nil {
		return err
	}
	for {
		var left int
		var gone bool
		if ctlErr := raw.Control(func(fd uintptr) {
			gone = noReader(int(fd)) // before the count: what it left then is what it did not take
			left, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ)
		}); ctlErr != nil {
			return ctlErr
		}
		switch {
		case err != nil:
			return os.NewSyscallError("ioctl", err)
		case left == 0:
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

// noReader tells whether every reader of a pipe has closed it.
func noReader(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd)}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&unix.POLLERR != 0
}
