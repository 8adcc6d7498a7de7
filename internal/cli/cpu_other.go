//go:build !unix

package cli

import "time"

// cpuTime is 0: this system does not tell.
func cpuTime() time.Duration { return 0 }
