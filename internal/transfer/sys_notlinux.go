//go:build !linux

package transfer

import (
	"errors"
	"os"
)

func datasync(f *os.File) error { return f.Sync() }

// wholeSync: no way to sync many files at once that reports errors.
func wholeSync(*os.File) bool { return false }

func syncFileSystem(*os.File) error { return nil }

// renameNew: no such rename.
func renameNew(*os.File, string, string) error { return errors.ErrUnsupported }

// umask cannot be read without being set, which would race with other threads; so the customary one.
func umask() os.FileMode { return fallbackUmask }
