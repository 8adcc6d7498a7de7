//go:build !unix

package transfer

import (
	"io/fs"
	"os"
)

const openFlags, sourceFlags = 0, 0

// lockFile: there is nothing to lock with; the exclusive creation of part files has to do.
func lockFile(*os.File) error { return nil }

// deviceOf: all one; wholeSync is false here.
func deviceOf(fs.FileInfo) uint64 { return 0 }

// linksOf: not known.
func linksOf(fs.FileInfo) uint64 { return 1 }

// syncDir: directories cannot be synced.
func syncDir(*os.File) error { return nil }

// writable: only trying would tell.
func writable(string) error { return nil }
