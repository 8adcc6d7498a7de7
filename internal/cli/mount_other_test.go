//go:build !linux

package cli

import "errors"

// mountTmpfs is for Linux alone.
func mountTmpfs(string, string) (unmount func(), err error) {
	return nil, errors.New("only on Linux")
}
