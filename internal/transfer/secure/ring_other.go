//go:build !unix

package secure

import "io/fs"

// modesCount: a mode says nothing here; the user's directory is private by other means.
const modesCount = false

func ofOthers(fs.FileInfo) bool { return false }

func syncDir(string) error { return nil }
