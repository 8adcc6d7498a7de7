//go:build !linux

package udt

import (
	"io"
	"os"
)

// vectoredReader returns nil: files are read through a buffer here.
func vectoredReader(*os.File) VectorReader { return nil }

// vectoredWriter returns nil: files are written packet by packet, or through a
// buffer, here.
func vectoredWriter(*os.File) VectorWriter { return nil }

// reader returns a reader of the region.
func (r *region) reader() io.Reader { return r }
