//go:build !unix

package transfer

import (
	"io/fs"
	"os"
	"strings"
)

const openFlags = 0

// lockFile: there is nothing to lock with; the exclusive creation of part files has to do.
func lockFile(*os.File) error { return nil }

// fileKey tells files apart, as far as their names do where case does not count.
type fileKey string

func keyOf(_ fs.FileInfo, name string) (fileKey, bool) { return fileKey(strings.ToLower(name)), true }

// deviceOf: all one; wholeSync is false here.
func deviceOf(fs.FileInfo) uint64 { return 0 }

// linksOf: not known.
func linksOf(fs.FileInfo) uint64 { return 1 }

// syncDir: directories cannot be synced.
func syncDir(*os.File) error { return nil }

// writable: only trying would tell.
func writable(string) error { return nil }
