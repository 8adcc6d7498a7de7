package udt

import "github.com/udtcp/udtcp/internal/udt/proto"

// State is a socket's stage of life, numbered as libudt does.
type State int

// Stages. An Endpoint is OPENED, LISTENING or CLOSED, a Listener LISTENING or
// CLOSED, and a Conn the rest: what is not there yet, or no more, is a nil
// pointer in Go.
const (
	INIT       State = 1 // not given: an Endpoint is bound from the start
	OPENED     State = 2
	LISTENING  State = 3
	CONNECTING State = 4 // inside of Dial, after StartDial
	CONNECTED  State = 5
	BROKEN     State = 6 // closed by the peer, or lost; what has arrived can be read
	CLOSING    State = 7 // Close delivers what was written; libudt says CLOSED already
	CLOSED     State = 8
	NONEXIST   State = 9 // a nil Conn, Listener or Endpoint
)

func (s State) String() string {
	names := [...]string{
		INIT: "INIT", OPENED: "OPENED", LISTENING: "LISTENING", CONNECTING: "CONNECTING", CONNECTED: "CONNECTED",
		BROKEN: "BROKEN", CLOSING: "CLOSING", CLOSED: "CLOSED", NONEXIST: "NONEXIST",
	}
	if s < INIT || s > NONEXIST {
		return "unknown"
	}
	return names[s]
}

// State returns the connection's stage of life (UDT_STATE).
func (c *Conn) State() State {
	if c == nil {
		return NONEXIST
	}
	c.mu.Lock()
	state, end := c.p.State(), c.p.End()
	c.mu.Unlock()
	switch {
	case isClosed(c.closing) && isClosed(c.done):
		return CLOSED
	case isClosed(c.closing):
		return CLOSING
	case state == proto.StateConnecting:
		return CONNECTING
	case end != proto.EndNone:
		return BROKEN
	}
	return CONNECTED
}

// Events returns what can be done at once, as a Poller would tell it
// (UDT_EVENT). With PollErr go PollIn and PollOut, where libudt has its bit for
// broken sockets alone.
func (c *Conn) Events() Events { return Events(c.source.level.Load()) }

// State returns the listener's stage of life.
func (l *Listener) State() State {
	switch {
	case l == nil:
		return NONEXIST
	case isClosed(l.closed):
		return CLOSED
	}
	return LISTENING
}

// State returns the endpoint's stage of life.
func (e *Endpoint) State() State {
	if e == nil {
		return NONEXIST
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	switch {
	case e.closed:
		return CLOSED
	case e.failure != nil:
		return BROKEN
	case e.listener != nil:
		return LISTENING
	}
	return OPENED
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
