//go:build !linux && !freebsd

package transfer

import "io/fs"

// Whether there are holes is not asked here: chunks of zeros are taken for some.
const (
	tellsHoles         = false
	seekData, seekHole = 0, 0
)

// holesOf: a file may have some, how much is not known.
func holesOf(info fs.FileInfo) int64 { return min(info.Size(), 1) }
