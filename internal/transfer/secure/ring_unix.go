//go:build unix

package secure

import (
	"io/fs"
	"os"
	"syscall"
)

// modesCount: who can read a file is in its mode.
const modesCount = true

// ofOthers says whether a file belongs to neither this user nor root. Whoever has it can change it, whatever its mode.
func ofOthers(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid != 0 && int(st.Uid) != os.Geteuid()
}

// syncDir makes a new name in a directory last.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
