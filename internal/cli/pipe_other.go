//go:build !linux

package cli

// growPipe leaves pipes as the system made them.
func growPipe(any) {}
