//go:build !linux

package udpio

import "errors"

// Descriptors are not to be had: this system has no epoll(7).
type Descriptors struct{}

// NewDescriptors fails with errors.ErrUnsupported.
func NewDescriptors(func()) (*Descriptors, error) { return nil, errors.ErrUnsupported }

// Arm does nothing.
func (*Descriptors) Arm() {}

// Add fails.
func (*Descriptors) Add(int, uint64, bool, bool) error { return errors.ErrUnsupported }

// Modify fails.
func (*Descriptors) Modify(int, uint64, bool, bool) error { return errors.ErrUnsupported }

// Remove fails.
func (*Descriptors) Remove(int) error { return errors.ErrUnsupported }

// Close does nothing.
func (*Descriptors) Close() error { return nil }

// A Look finds nothing.
type Look struct{}

// At returns nothing.
func (*Look) At(*Descriptors, int) []DescriptorReady { return nil }
