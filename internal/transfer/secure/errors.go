package secure

// Kind says what class of failure an Error is.
type Kind int

// The kinds of failure.
const (
	KindAuth         Kind = iota // one end refused the other, or has no identity it may use
	KindNoConnection             // the connection ended, or time was up, before the ends knew each other
	KindLocalIO                  // a file of this user could not be written
)

// Error is how every failure of this package comes back. No private key is ever part of it.
type Error struct {
	Kind Kind
	Msg  string // one line, safe to print
	Hint string // the one thing to do next, one line; may be empty
	Err  error  // the cause, for errors.Is; may be nil
}

// Error is one line, with the next step at its end.
func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Msg
	}
	return e.Msg + "; " + e.Hint
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// untrusted is for a peer that we refuse. The key is what it shows; nobody but its owner can use it.
func untrusted(k PublicKey) *Error {
	return &Error{
		Kind: KindAuth, Msg: "the other end has the key " + k.String() + ", which is not trusted here",
		Hint: "if 'udtcp key show' there prints that key: udtcp key trust " + k.String(),
	}
}

// notWelcome is for a peer that refuses us.
func notWelcome(own PublicKey) *Error {
	return &Error{
		Kind: KindAuth, Msg: "the other end does not trust this end's key",
		Hint: "run there: udtcp key trust " + own.String(),
	}
}
