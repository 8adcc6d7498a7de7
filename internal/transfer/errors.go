package transfer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Kind says what went wrong in the terms of a process's exit status; its value is that status.
type Kind int

// The kinds a transfer ends with. KindNone is the zero value: no error.
const (
	KindNone      Kind = 0
	KindInternal  Kind = 1  // a fault of the program
	KindUsage     Kind = 2  // the options contradict each other
	KindAuth      Kind = 4  // one end is secure and the other is not
	KindLost      Kind = 5  // the connection was lost before everything was sent
	KindIntegrity Kind = 6  // a digest differs, the source changed, or the stream is damaged
	KindLocalIO   Kind = 7  // this end's files or pipe
	KindRemoteIO  Kind = 8  // the other end's files or pipe
	KindPolicy    Kind = 9  // refused: a name, a size, an existing file, an unknown version
	KindUnknown   Kind = 10 // everything was sent, the receipt was lost
)

var kindNames = map[Kind]string{
	KindNone: "none", KindInternal: "internal", KindUsage: "usage", KindAuth: "auth", KindLost: "lost",
	KindIntegrity: "integrity", KindLocalIO: "local-io", KindRemoteIO: "remote-io", KindPolicy: "policy",
	KindUnknown: "unknown",
}

// String gives a short fixed word, fit for logs and for the wire.
func (k Kind) String() string {
	if s, ok := kindNames[k]; ok {
		return s
	}
	return "kind " + strconv.Itoa(int(k))
}

// ExitCode is the process exit status for the kind.
func (k Kind) ExitCode() int { return int(k) }

// Error is how every failure of Send, Recv, CheckSources and CheckDestination comes back, but for a cancelled
// context, whose own error is returned, and for that of a conn's Enter.
type Error struct {
	Kind   Kind
	Op     string // what was being done: "open", "write", "receive" …; may be empty
	Path   string // the file it was done to, as named here or by the peer; may be empty; raw, quote it before printing
	Msg    string // one line, safe to print: strings of the peer are quoted in it
	Hint   string // what to do next, one line, safe to print; may be empty
	Err    error  // the cause, for errors.Is; may be nil. Never made from bytes of the peer.
	Remote bool   // the other end found it and told us

	tell bool   // the other end does not know, although the failure is of a kind that it notices by itself
	name string // the file as the other end knows it: relative, slash-separated
}

// Error is one line, safe for a terminal, with the next step at its end.
func (e *Error) Error() string {
	s := e.Message()
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Message is Error without the hint.
func (e *Error) Message() string {
	var b strings.Builder
	if e.Remote {
		b.WriteString("the other end: ")
	}
	if e.Op != "" {
		b.WriteString(e.Op)
		if e.Path != "" {
			b.WriteByte(' ')
		}
	}
	if e.Path != "" {
		b.WriteString(Quote(e.Path))
	}
	if b.Len() > 0 && e.Msg != "" && (e.Op != "" || e.Path != "") {
		b.WriteString(": ")
	}
	b.WriteString(e.Msg)
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf finds the kind of an error: KindNone for nil, KindInternal for one that is none of ours (a cancelled context
// is the caller's own doing: look for it first).
func KindOf(err error) Kind {
	if err == nil {
		return KindNone
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}

// Quote makes a string that came from a peer, or from a file name, fit for a terminal or a log: in double quotes, with
// control, bidirectional and other unprintable characters and invalid UTF-8 escaped, cut to 200 characters.
func Quote(s string) string {
	const most = 200
	n := 0
	for i := range s {
		if n++; n > most {
			return strconv.Quote(s[:i]) + "…"
		}
	}
	return strconv.Quote(s)
}

// damaged is for bytes that no sound peer of this version sends.
func damaged(format string, args ...any) *Error {
	return &Error{
		Kind: KindIntegrity,
		Op:   "receive",
		Msg:  "what came is no sound transfer: " + fmt.Sprintf(format, args...),
		Hint: "run it again; if it comes back, compare the versions at both ends",
	}
}

// lost is for a connection that ended too soon.
func lost(when string, err error) *Error {
	e := &Error{Kind: KindLost, Msg: "connection lost " + when, Hint: "run the same command again at both ends", Err: err}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		e.Msg += ": " + reason(err)
	}
	return e
}

// localIO is for this end's files. path is what the user calls the file, name what the peer calls it.
func localIO(op, path, name string, err error) *Error {
	e := &Error{
		Kind: KindLocalIO, Op: op, Path: path, Msg: reason(err), Hint: "see to it here, then run it again", Err: err, name: name,
	}
	switch {
	case isFull(err):
		e.Hint = "make room there, then run it again"
	case errors.Is(err, fs.ErrPermission):
		e.Hint = "check its permissions and those of the directories above"
	case errors.Is(err, fs.ErrNotExist):
		e.Hint = "check the path"
	case isClosedPipe(err):
		e.Msg = "the reader of the output has gone"
		e.Hint = "see why that program ended, then run both again"
	}
	return e
}

// refused is for what a policy of this end forbids.
func refused(path, name, msg, hint string) *Error {
	return &Error{Kind: KindPolicy, Op: "refuse", Path: path, Msg: msg, Hint: hint, name: name}
}

// reason is the text of the innermost operating system error: without paths, which the messages give on their own.
func reason(err error) string {
	var p *fs.PathError
	var l *os.LinkError
	var s *os.SyscallError
	switch {
	case errors.As(err, &p):
		return reason(p.Err)
	case errors.As(err, &l):
		return reason(l.Err)
	case errors.As(err, &s):
		return reason(s.Err)
	}
	return plain(err.Error())
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func isClosedPipe(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe)
}
