package udt

import (
	"fmt"

	"github.com/udtcp/udtcp/internal/udt/udpio"
)

// trace tells of an event, if anybody wants to know.
func (e *Endpoint) trace(format string, args ...any) {
	if e.cfg.Trace != nil {
		e.cfg.Trace(fmt.Sprintf(format, args...))
	}
}

// abilities says what a socket can do.
func abilities(i udpio.Info) string {
	onOff := map[bool]string{true: "on", false: "off"}
	return fmt.Sprintf("GSO %s, GRO %s, batched calls %s, buffers of %d and %d bytes to read and write",
		onOff[i.GSO], onOff[i.GRO], onOff[i.Batch], i.ReadBuffer, i.WriteBuffer)
}
