//go:build !linux

package udpio

import "errors"

// NewAlarm fails: this system has only the runtime's timers.
func NewAlarm(func()) (Alarm, error) { return nil, errors.ErrUnsupported }
