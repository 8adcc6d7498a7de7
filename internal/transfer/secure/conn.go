package secure

import "crypto/tls"

// Conn is a connection between two ends that have accepted each other. Read gives io.EOF only if the other end said that
// it ends; a connection that merely stops is io.ErrUnexpectedEOF.
//
// Close says so and closes what is below; during a Write of another goroutine it only does the latter, which ends the
// Write. A Write that fails leaves nothing to be written after it.
type Conn struct {
	*tls.Conn
	peer PublicKey
}

// PeerKey is the other end's public key.
func (c *Conn) PeerKey() PublicKey { return c.peer }
