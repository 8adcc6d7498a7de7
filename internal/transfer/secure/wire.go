package secure

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

const gatherLen = 128 << 10 // of records, gathered for one write; bytes

var errTooMuch = errors.New("too much was said before the handshake was over")

// wire is the connection below TLS: it limits what is read from a stranger, remembers how reading and writing failed, and
// gathers the records of one Write.
type wire struct {
	net.Conn
	budget int   // bytes that may still be read; -1: the peer is known
	failed error // of a read: how the connection ended, as against what came over it

	mu        sync.Mutex // keeps records in order, so it is held while one of them waits
	gathering bool
	held      []byte
	broken    error // of a write; there is no going on after it
}

// errCut stands for io.EOF from below, which says nothing about whether the other end meant to end: crypto/tls would take
// it for that between two records.
var errCut = fmt.Errorf("the connection ended without the other end's word: %w", io.ErrUnexpectedEOF)

func (w *wire) Read(p []byte) (int, error) {
	if w.budget == 0 {
		return 0, errTooMuch
	}
	if w.budget > 0 {
		p = p[:min(len(p), w.budget)]
	}
	n, err := w.Conn.Read(p)
	if w.budget > 0 {
		w.budget -= n
	}
	switch {
	case n > 0:
		return n, nil // an error comes again
	case errors.Is(err, io.EOF):
		err = errCut
	}
	w.failed = err
	return 0, err
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.gathering {
		return w.put(p)
	}
	if len(w.held)+len(p) > cap(w.held) {
		if err := w.release(); err != nil {
			return 0, err
		}
	}
	if len(p) > cap(w.held) {
		return w.put(p)
	}
	w.held = append(w.held, p...)
	return len(p), nil
}

// gather holds what is written until flush, or until there is much of it.
func (w *wire) gather() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gathering = true
	if w.held == nil {
		w.held = make([]byte, 0, gatherLen)
	}
}

func (w *wire) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gathering = false
	return w.release()
}

// release writes what is held.
func (w *wire) release() error {
	b := w.held
	w.held = b[:0]
	if len(b) == 0 {
		return w.broken
	}
	_, err := w.put(b)
	return err
}

func (w *wire) put(p []byte) (int, error) {
	if w.broken != nil {
		return 0, w.broken
	}
	n, err := w.Conn.Write(p)
	if err != nil {
		w.broken = err
	}
	return n, err
}
