package cli

import (
	"errors"
	"fmt"

	"github.com/udtcp/udtcp/internal/transfer"
	"github.com/udtcp/udtcp/internal/transfer/secure"
)

// status is a process exit status.
type status int

// The exit statuses. Those of a transfer are transfer.Kind's own values.
const (
	exitOK        status = 0
	exitInternal  status = 1
	exitUsage     status = 2
	exitNoLink    status = 3
	exitAuth      status = 4
	exitLost      status = 5
	exitIntegrity status = 6
	exitLocalIO   status = 7
	exitPolicy    status = 9
	exitUnknown   status = 10
	exitInterrupt status = 130
	exitTerminate status = 143
)

// exitNotes is the table that the help texts show; a command lists the statuses it can end with.
var exitNotes = map[status]string{
	exitOK:        "everything arrived, was verified, is durable, and both ends know it",
	exitInternal:  "a fault of the program",
	exitUsage:     "usage",
	exitNoLink:    "no connection: name, refused, timeout, port in use",
	exitAuth:      "authentication: unknown identity, or one end secure and the other not",
	exitLost:      "connection lost",
	exitIntegrity: "integrity: digest mismatch, or the source changed while it was sent",
	exitLocalIO:   "local I/O: missing file, disk full, permission, closed pipe",
	8:             "the other end's I/O",
	exitPolicy:    "refused by policy: name, size, existing file, limit",
	exitUnknown:   "outcome unknown: all was sent, the receipt was lost; run it again to settle it",
	exitInterrupt: "SIGINT",
	exitTerminate: "SIGTERM",
}

// failure is an error with its exit status and, where there is something to do, the next step.
type failure struct {
	status status
	err    error
	hint   string // one line; may be empty
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func fail(s status, hint, format string, args ...any) error {
	return &failure{status: s, err: fmt.Errorf(format, args...), hint: hint}
}

func usageError(format string, args ...any) error {
	return &failure{status: exitUsage, err: fmt.Errorf(format, args...)}
}

// errShown is a usage error whose message is already on the screen.
var errShown = &failure{status: exitUsage, err: errors.New("no command given")}

// verdict is an error in the terms of the user: status, one line, next step.
type verdict struct {
	status  status
	message string
	hint    string
}

// judge turns any error of a command into its verdict. A signal that ended the run is an error of its own (see
// signals), so it needs no special case here.
func judge(err error) verdict {
	if err == nil {
		return verdict{message: "complete"}
	}
	var sig *signalError
	if errors.As(err, &sig) {
		return verdict{status: sig.status(), message: sig.Error()}
	}
	if v, ok := notLetIn(err); ok {
		return v
	}
	// A failure set by this package knows better than the error it wraps.
	var f *failure
	if errors.As(err, &f) {
		return verdict{f.status, f.Error(), f.hint}
	}
	var te *transfer.Error
	if errors.As(err, &te) {
		return verdict{status(te.Kind.ExitCode()), te.Message(), te.Hint}
	}
	var se *secure.Error
	if errors.As(err, &se) {
		return verdict{secureStatus[se.Kind], se.Msg, se.Hint}
	}
	var lf *linkFault
	if errors.As(err, &lf) {
		return verdict{exitLost, err.Error(), ""}
	}
	return verdict{exitInternal, err.Error(), ""}
}

var secureStatus = map[secure.Kind]status{
	secure.KindAuth: exitAuth, secure.KindNoConnection: exitNoLink, secure.KindLocalIO: exitLocalIO,
}

// linkFault marks an error that a connection gave while it was in use, as against one of this end's files and pipes.
type linkFault struct{ err error }

func (e *linkFault) Error() string { return "connection lost: " + e.err.Error() }
func (e *linkFault) Unwrap() error { return e.err }
