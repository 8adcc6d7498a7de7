//go:build linux || darwin || freebsd

package transfer

import (
	"math"
	"os"
	"syscall"
)

// freeSpace is the room for an ordinary user on a file's file system, bytes.
func freeSpace(f *os.File) (int64, bool) {
	var st syscall.Statfs_t
	if err := control(f, func(fd int) error { return syscall.Fstatfs(fd, &st) }); err != nil {
		return 0, false
	}
	blocks, size := uint64(st.Bavail), uint64(st.Bsize)
	if size == 0 || blocks > math.MaxInt64/size {
		return math.MaxInt64, true
	}
	return int64(blocks * size), true
}
