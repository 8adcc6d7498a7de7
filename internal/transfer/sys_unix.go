//go:build unix

package transfer

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

const (
	// openFlags: a link put in the place of a part file or a source is not followed, a FIFO there does not block, and
	// package os is spared from finding out, in four system calls, that a plain file cannot be polled.
	openFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
)

// lockFile locks a file against other processes, for as long as it is open. errBusy if another has it.
func lockFile(f *os.File) error {
	err := control(f, func(fd int) error { return syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB) })
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return errBusy
	case errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.ENOLCK):
		return nil // a file system without locks: two receivers of one file there are the user's to avoid
	}
	return err
}

// control runs a system call on an open file, again when a signal comes between.
func control(f *os.File, call func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = raw.Control(func(fd uintptr) {
		for {
			if result = call(int(fd)); !errors.Is(result, syscall.EINTR) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return result
}

// fileKey tells files apart.
type fileKey struct{ device, number uint64 }

// keyOf is that of what stands under a name.
func keyOf(info fs.FileInfo, _ string) (fileKey, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileKey{}, false
	}
	return fileKey{uint64(st.Dev), uint64(st.Ino)}, true
}

// deviceOf tells file systems apart.
func deviceOf(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev)
	}
	return 0
}

// linksOf is how many names a file has.
func linksOf(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink)
	}
	return 1
}

// syncDir makes the names in a directory durable. Some file systems have no such thing and say so.
func syncDir(d *os.File) error {
	err := d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}

// writable tells whether this process may make files in a directory, without making one.
func writable(dir string) error {
	const writeAndSearch = 2 | 1 // access(2): W_OK, X_OK
	return syscall.Access(dir, writeAndSearch)
}
