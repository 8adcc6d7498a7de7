package transfer

import (
	"fmt"
	"io"
)

// Both ends begin with eight bytes in the clear: five of magic, the version, 'p' or 's' for plain or secure, a newline.
// A secure session speaks TLS from the ninth byte on, so that either end can tell what the other wants before that,
// and say it in words. Nothing is decided by them but to go on or to refuse: the answer to a mismatch is never to
// fall back. Inside TLS, where nobody can change them, the same eight bytes come first once more.
const (
	preludeLen   = 8
	preludeMagic = "UDTCP"
	modePlain    = 'p'
	modeSecure   = 's'
)

// mode is the letter of a session.
func mode(secure bool) byte {
	if secure {
		return modeSecure
	}
	return modePlain
}

func preludeOf(mode byte) []byte { return append([]byte(preludeMagic), version, mode, '\n') }

// Greet says on a connection that is to become a secure one that it shall, and hears whether the other end means that too. An error
// that is an *Error is about what it said, any other is the connection's.
func Greet(conn io.ReadWriter) error {
	if _, err := conn.Write(preludeOf(modeSecure)); err != nil {
		return err
	}
	var p [preludeLen]byte
	if _, err := io.ReadFull(conn, p[:]); err != nil {
		return err
	}
	return checkPrelude(p[:], modeSecure)
}

var modeNames = map[byte]string{modePlain: "plain", modeSecure: "secure"}

// checkPrelude says whether the other end wants what this one wants.
func checkPrelude(b []byte, mode byte) error {
	switch {
	case string(b[:5]) != preludeMagic || b[7] != '\n':
		e := &Error{
			Kind: KindPolicy, Op: "greet", Msg: "the other end does not speak udtcp's transfer protocol",
			Hint: "run udtcp send or recv there; for other UDT programs there is udtcp cat",
		}
		if mode == modeSecure {
			e.Kind = KindAuth // whoever it is
		}
		return e
	case b[5] != version:
		return &Error{
			Kind: KindPolicy, Op: "greet",
			Msg:  fmt.Sprintf("the other end speaks version %d of the transfer protocol, this one version %d", b[5], version),
			Hint: "install the same version of udtcp at both ends",
		}
	case modeNames[b[6]] == "":
		return &Error{
			Kind: KindPolicy, Op: "greet", Msg: fmt.Sprintf("the other end wants a session of unknown kind %q", b[6]),
			Hint: "install the same version of udtcp at both ends",
		}
	case b[6] != mode:
		return &Error{
			Kind: KindAuth, Op: "greet",
			Msg:  fmt.Sprintf("the other end wants a %s session, this one is %s", modeNames[b[6]], modeNames[mode]),
			Hint: "give --insecure at both ends or at neither",
		}
	}
	return nil
}
