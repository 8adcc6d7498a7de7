//go:build unix

package cli

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is the processor time this process has used, user and system; 0 where the system does not tell.
func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
