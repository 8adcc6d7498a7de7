package cli

import (
	"errors"

	"golang.org/x/sys/unix"
)

// protectMemory keeps this process's memory, once a private key is in it, out of core dumps and from debuggers of the
// same user.
func protectMemory() error {
	return errors.Join(
		unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}),
		unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
}
