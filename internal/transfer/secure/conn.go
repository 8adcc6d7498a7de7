package secure

import "crypto/tls"

// Conn is a connection between two ends that have accepted each other. Read gives io.EOF only if the other end said that
// it ends; a connection that merely stops is io.ErrUnexpectedEOF.
//
// Close says so and closes what is below; during a Write of another goroutine it only does the latter, which ends the
// Write. A Write that fails leaves nothing to be written after it.
type Conn struct {
	*tls.Conn
	wire *wire
	peer PublicKey
}

// PeerKey is the other end's public key.
func (c *Conn) PeerKey() PublicKey { return c.peer }

const maxRecord = 16 << 10 // payload of a TLS record, bytes

// Write writes p in few pieces: its records of 16 KiB are gathered on their way down. One goroutine at a time may use it.
func (c *Conn) Write(p []byte) (int, error) {
	if len(p) <= maxRecord {
		return c.Conn.Write(p)
	}
	c.wire.gather()
	n, err := c.Conn.Write(p)
	if ferr := c.wire.flush(); err == nil && ferr != nil {
		n, err = 0, ferr
	}
	return n, err
}
