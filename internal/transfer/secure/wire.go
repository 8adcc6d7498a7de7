package secure

import (
	"errors"
	"fmt"
	"io"
	"net"
)

var errTooMuch = errors.New("too much was said before the handshake was over")

// errCut stands for io.EOF from below, which says nothing about whether the other end meant to end: crypto/tls would take
// it for that between two records.
var errCut = fmt.Errorf("the connection ended without the other end's word: %w", io.ErrUnexpectedEOF)

// wire is the connection below TLS. Until the peer is known it limits what is read, and remembers how reading or writing
// failed.
type wire struct {
	net.Conn
	budget int   // bytes that may still be read; -1: the peer is known
	failed error // how the connection ended, as against what came over it
}

func (w *wire) Read(p []byte) (int, error) {
	known := w.budget < 0
	if w.budget == 0 {
		return 0, errTooMuch
	}
	if !known {
		p = p[:min(len(p), w.budget)]
	}
	n, err := w.Conn.Read(p)
	if !known {
		w.budget -= n
	}
	switch {
	case n > 0:
		return n, nil // an error comes again
	case errors.Is(err, io.EOF):
		err = errCut
	}
	if !known {
		w.failed = err
	}
	return 0, err
}

func (w *wire) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err != nil && w.budget >= 0 {
		w.failed = err
	}
	return n, err
}
