//go:build unix

package secure

import "os"

// modesCount: who can read a file is in its mode.
const modesCount = true

// syncDir makes a new name in a directory last.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
