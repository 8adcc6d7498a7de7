package udt

import "fmt"

// trace tells of an event, if anybody wants to know.
func (e *Endpoint) trace(format string, args ...any) {
	if e.cfg.Trace != nil {
		e.cfg.Trace(fmt.Sprintf(format, args...))
	}
}
