//go:build !linux

package udt

import (
	"io"
	"os"
)

// vectored returns nil: files are read through a buffer here.
func vectored(*os.File) VectorReader { return nil }

// reader returns a reader of the region.
func (r *region) reader() io.Reader { return r }
