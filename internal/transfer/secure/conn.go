package secure

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
)

// Conn is a connection between two ends that have accepted each other, at the end that dialled from Enter on. Read gives
// io.EOF only if the other end said that it ends; a connection that merely stops is io.ErrUnexpectedEOF.
//
// Close says so and closes what is below; during a Write of another goroutine it only does the latter, which ends the
// Write. A Write that fails leaves nothing to be written after it.
type Conn struct {
	*tls.Conn
	peer    PublicKey
	wire    *wire
	own     PublicKey
	outside bool // the other end has not accepted us yet
}

// PeerKey is the other end's public key.
func (c *Conn) PeerKey() PublicKey { return c.peer }

// Enter says greeting, which may be empty, and returns once the other end has accepted this one. The greeting is on its way
// before that: only who has the key of PeerKey, which is trusted here, can read it. It is to be short: until the
// other end has judged this one it takes MaxHandshakeBytes in all, and its word is read when the greeting is written. Enter comes once, before anything is read or written, at the end that dialled.
// For ctx and errors it is like Client.
func (c *Conn) Enter(ctx context.Context, greeting []byte) error {
	return c.wire.within(ctx, c.own, func() error {
		var err error
		if len(greeting) > 0 {
			_, err = c.Write(greeting)
		}
		if c.outside {
			// Who refuses may have gone before all is written: the word counts for more.
			if word := c.hearWord(); word != nil {
				return word
			}
		}
		c.outside, c.wire.budget = false, -1
		return err
	})
}

// hearWord reads the server's word on us.
func (c *Conn) hearWord() error {
	var word [1]byte
	if _, err := io.ReadFull(c.Conn, word[:]); err != nil {
		return err
	}
	switch word[0] {
	case wordWelcome:
		return nil
	case wordRefused:
		return notWelcome(c.own)
	}
	return errors.New("an unknown answer")
}

var errOutside = errors.New("the other end has not accepted this one yet")

// Read implements net.Conn. What comes before Enter is nobody's payload.
func (c *Conn) Read(p []byte) (int, error) {
	if c.outside {
		return 0, errOutside
	}
	return c.Conn.Read(p)
}
