//go:build linux || freebsd

package transfer

import (
	"io/fs"
	"syscall"
)

// lseek(2) finds data and holes.
const (
	tellsHoles         = true
	seekData, seekHole = 3, 4
)

// holesOf estimates how much of a file is holes, bytes: what it has no blocks for.
func holesOf(info fs.FileInfo) int64 {
	const blockSize = 512 // stat(2), whatever the file system's is
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Blocks > info.Size()/blockSize {
		return 0
	}
	return info.Size() - st.Blocks*blockSize
}
