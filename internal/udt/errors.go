package udt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/udtcp/udtcp/internal/udt/proto"
)

// Error is what every operation fails with. It is a net.Error.
type Error struct {
	Code Code
	Op   string   // "dial", "read", ...
	Addr net.Addr // of the peer; nil if there is none
	Err  error    // what happened
}

func (e *Error) Error() string {
	s := "udt " + e.Op
	if e.Addr != nil {
		s += " " + e.Addr.String()
	}
	return s + ": " + e.Err.Error()
}

// Unwrap makes errors.Is work with the errors below and with those of net, os
// and syscall.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is find the code.
func (e *Error) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code == e.Code
}

// Timeout implements net.Error.
func (e *Error) Timeout() bool {
	return errors.Is(e.Err, os.ErrDeadlineExceeded) || errors.Is(e.Err, context.DeadlineExceeded)
}

// Temporary implements net.Error.
func (e *Error) Temporary() bool { return e.Timeout() }

// A cause is an error with a text of its own that errors.Is takes for a
// standard one.
type cause struct {
	text string
	is   error
}

func (c *cause) Error() string        { return c.text }
func (c *cause) Is(target error) bool { return c.is != nil && target == c.is }

// What Error wraps.
var (
	// ErrNoServer: nobody answered the connection request in time.
	ErrNoServer error = &cause{"no answer", os.ErrDeadlineExceeded}
	// ErrRejected: the listener refused, for a full backlog, another socket
	// type or another version. ErrOtherType and ErrOtherVersion wrap it where
	// the listener is one of ours, which says so; libudt's does not.
	ErrRejected error = &cause{"connection rejected", syscall.ECONNREFUSED}
	// ErrMismatch: the listener's answer did not fit our request; or the peer
	// of a rendezvous speaks another version, or has another type of socket.
	ErrMismatch error = &cause{"the answer does not fit the request", nil}
	// ErrConnLost: the peer fell silent, or gave the connection up.
	ErrConnLost error = &cause{"connection lost", syscall.ECONNRESET}
	// ErrPeerClosed: the peer has closed and takes no more data.
	ErrPeerClosed error = &cause{"the peer has closed the connection", syscall.EPIPE}
	// ErrUndelivered: the connection was closed before the peer had
	// acknowledged everything written to it.
	ErrUndelivered error = &cause{"closed before everything was delivered", nil}
	// ErrPeerListens: what was to be met half-way is a listener.
	ErrPeerListens error = &cause{"the other end listens instead of dialling", syscall.ECONNREFUSED}
	// ErrMeetingPort: an endpoint can't both listen and wait for its peer's
	// half of a rendezvous: the listener would get the peer's requests.
	ErrMeetingPort error = &cause{"a port cannot listen and take part in a rendezvous at once", syscall.EADDRINUSE}
	// ErrUnbound: the peer of a rendezvous has to know our port beforehand.
	ErrUnbound error = &cause{"a rendezvous needs a local port that the other end can dial", nil}
	// ErrDuplicateRendezvous: one with the same peer is under way.
	ErrDuplicateRendezvous error = &cause{"a rendezvous with this peer is under way already", syscall.EALREADY}
	// ErrWouldBlock: a call that does not wait had nothing to do.
	ErrWouldBlock error = &cause{"it would have to wait", syscall.EAGAIN}
	// ErrDuplicateListen: the endpoint has a listener already.
	ErrDuplicateListen error = &cause{"the port has a listener already", syscall.EADDRINUSE}
)

// What ErrRejected may be more exactly.
var (
	// ErrOtherType: the listener's sockets carry messages and ours streams, or
	// the other way round.
	ErrOtherType = fmt.Errorf("%w: the listener has sockets of another type", ErrRejected)
	// ErrOtherVersion: the listener speaks another version of UDT.
	ErrOtherVersion = fmt.Errorf("%w: the listener speaks another version of UDT", ErrRejected)
)

// What is wrong with calls for messages, and for streams.
var (
	// ErrMessages: the connection carries messages.
	ErrMessages error = &cause{"the connection carries messages, not a stream", errors.ErrUnsupported}
	// ErrStream: the connection is a stream.
	ErrStream error = &cause{"the connection is a stream, without messages", errors.ErrUnsupported}
	// ErrTooLarge: our send buffer or the peer's receive buffer could never hold
	// the message.
	ErrTooLarge error = &cause{"the message is too large", syscall.EMSGSIZE}
	// ErrTruncated: the rest of a message was discarded, for want of room.
	ErrTruncated error = &cause{"the message was cut", nil}
)

// ends maps how a connection ended to what reading, writing and dialling then
// say. Orderly ends are not here.
var ends = map[proto.End]struct {
	code Code
	err  error
}{
	proto.EndLinger:       {ECONNLOST, ErrUndelivered},
	proto.EndPeerAbort:    {ECONNLOST, ErrConnLost},
	proto.EndLost:         {ECONNLOST, ErrConnLost},
	proto.EndTimeout:      {ENOSERVER, ErrNoServer},
	proto.EndRejected:     {ECONNREJ, ErrRejected},
	proto.EndOtherType:    {ECONNREJ, ErrOtherType},
	proto.EndOtherVersion: {ECONNREJ, ErrOtherVersion},
	proto.EndMismatched:   {ESECFAIL, ErrMismatch},
	proto.EndListener:     {ERDVNOSERV, ErrPeerListens},
}

// timeoutError is ErrNoServer with the time waited.
func timeoutError(after time.Duration) error {
	return fmt.Errorf("%w within %v", ErrNoServer, after.Round(time.Millisecond))
}

// A PeerError carries the code of a peer's error report (packet type 8).
type PeerError struct{ Code uint32 }

func (e *PeerError) Error() string {
	return "the peer reported error " + strconv.FormatUint(uint64(e.Code), 10)
}
