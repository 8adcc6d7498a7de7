package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// pipeSize is what an unprivileged process may ask for by default (pipe(7): /proc/sys/fs/pipe-max-size), bytes.
const pipeSize = 1 << 20

// growPipe enlarges the pipe that file is one end of, so that this process and the one at the other end change places
// less often: at 64 KiB, the default, twice as often. Whatever else it is stays as it is.
func growPipe(file any) {
	f, ok := file.(*os.File)
	if !ok {
		return
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return // closed: using it will tell
	}
	// A pipe that must stay small, or is none, does as well.
	_ = raw.Control(func(fd uintptr) {
		if n, err := unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0); err == nil && n < pipeSize {
			_, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize)
		}
	})
}
