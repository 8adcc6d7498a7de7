package cli

import (
	"errors"

	"github.com/landlock-lsm/go-landlock/landlock"
	"github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// confineProcess lets this process reach the rest of the file system no more, for ever.
func confineProcess(r reach) error {
	if v, err := syscall.LandlockGetABIVersion(); err != nil || v < 1 {
		return errors.ErrUnsupported
	}
	rules := []landlock.Rule{landlock.RODirs(r.read...).IgnoreIfMissing()}
	if len(r.write) > 0 {
		rules = append(rules, landlock.RWDirs(r.write...))
	}
	return landlock.V5.BestEffort().RestrictPaths(rules...)
}
