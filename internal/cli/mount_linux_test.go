package cli

import "syscall"

// mountTmpfs mounts a file system of a size, which takes root.
func mountTmpfs(dir, size string) (unmount func(), err error) {
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size="+size); err != nil {
		return nil, err
	}
	return func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }, nil
}
