//go:build !linux

package udt

import "os"

// vectored returns nil: files are read through a buffer here.
func vectored(*os.File) VectorReader { return nil }
