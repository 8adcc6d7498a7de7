package cli

import (
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// Env is what a run of udtcp sees of the process around it. Tests make their own, so that a whole command runs inside
// the test's process. A nil reader is empty, a nil writer discards, a nil function knows nothing.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	LookupEnv      func(name string) (string, bool)
	// Whether a person may be typing and watching.
	StdinTerminal, StdoutTerminal, StderrTerminal bool
	// Width is the width of the terminal on standard error in columns, 0 where it is not known.
	Width func() int
	// Notify delivers SIGINT and SIGTERM until stop is called; from then on they do what they do by default.
	Notify func() (c <-chan os.Signal, stop func())
	// Protect keeps the process's memory to itself; it is called before a private key is read. Nil does nothing.
	Protect func() error
	// Confine leaves the process no more of the file system than a receiver needs. Nil does nothing.
	Confine func(reach) error

	network   network // how connections are made; nil is UDT
	lineLimit int64   // bytes a sender gives to one secure connection; 0 is keyLimit
}

// keyLimit is how many bytes a sender gives to one secure connection, and so to one key, before it goes on over another.
// At most 128 GiB are to go under one; what is about to be sent when the limit is reached is still added.
const keyLimit = 127 << 30

// OSEnv is the Env of this process. It makes a write to a closed pipe fail instead of ending the process, so that a
// closed standard output has its exit status too.
func OSEnv() Env {
	signal.Ignore(syscall.SIGPIPE)
	return Env{
		Stdin:          os.Stdin,
		Stdout:         os.Stdout,
		Stderr:         os.Stderr,
		LookupEnv:      os.LookupEnv,
		StdinTerminal:  term.IsTerminal(int(os.Stdin.Fd())),
		StdoutTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		StderrTerminal: term.IsTerminal(int(os.Stderr.Fd())),
		Width: func() int {
			w, _, err := term.GetSize(int(os.Stderr.Fd()))
			if err != nil {
				return 0
			}
			return w
		},
		Notify: func() (<-chan os.Signal, func()) {
			c := make(chan os.Signal, 1)
			signal.Notify(c, os.Interrupt, syscall.SIGTERM)
			return c, func() { signal.Stop(c) }
		},
		Protect: protectMemory,
		Confine: confineProcess,
	}
}

// complete fills in what the caller left out.
func (e Env) complete() Env {
	if e.Stdin == nil {
		e.Stdin = eofReader{}
	}
	if e.Stdout == nil {
		e.Stdout = io.Discard
	}
	if e.Stderr == nil {
		e.Stderr = io.Discard
	}
	if e.LookupEnv == nil {
		e.LookupEnv = func(string) (string, bool) { return "", false }
	}
	if e.lineLimit == 0 {
		e.lineLimit = keyLimit
	}
	if e.Width == nil {
		e.Width = func() int { return 0 }
	}
	if e.Notify == nil {
		e.Notify = func() (<-chan os.Signal, func()) { return nil, func() {} }
	}
	return e
}

type eofReader struct{}

func (eofReader) Read([]byte) (int, error) { return 0, io.EOF }
