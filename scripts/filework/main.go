// Command filework does what the two ends of an encrypted transfer of a file do
// apart from moving it, on all processors and with nothing in between: the ceiling
// for a transfer between two ends on one machine.
//
//	filework SOURCE DESTINATION
//
// reads SOURCE, takes the BLAKE3 of its chunks, encrypts them in records as TLS
// does, decrypts them, takes the BLAKE3 again and writes DESTINATION. It prints
// how many bytes that were and how long it took, as JSON.
package main

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"lukechampine.com/blake3"
)

const (
	chunkSize = 1 << 20
	// recordSize is the most that a record of TLS holds (RFC 8446, section 5.1).
	recordSize = 16 << 10
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "filework:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) != 2 {
		return errors.New("usage: filework SOURCE DESTINATION")
	}
	source, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	destination, err := os.Create(args[1])
	if err != nil {
		return err
	}
	start := time.Now()
	if err := errors.Join(work(source, destination, info.Size()), destination.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, `{"bytes":%d,"seconds":%g}`+"\n", info.Size(), time.Since(start).Seconds())
	return err
}

// work takes all chunks, one after the other, each on the processor that is free.
func work(source io.ReaderAt, destination io.WriterAt, size int64) error {
	var next atomic.Int64
	var all sync.WaitGroup
	errs := make([]error, runtime.GOMAXPROCS(0))
	for i := range errs {
		all.Go(func() {
			w, err := newWorker()
			for err == nil {
				at := next.Add(chunkSize) - chunkSize
				if at >= size {
					return
				}
				err = w.chunk(source, destination, at, min(chunkSize, size-at))
			}
			errs[i] = err
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// worker has what one processor needs.
type worker struct {
	aead   cipher.AEAD
	nonce  []byte
	record uint64
	clear  []byte
	sealed []byte
}

func newWorker() (*worker, error) {
	block, err := aes.NewCipher(make([]byte, 16)) // the time is the same with any key
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &worker{
		aead: aead, nonce: make([]byte, aead.NonceSize()),
		clear: make([]byte, chunkSize), sealed: make([]byte, 0, recordSize+aead.Overhead()),
	}, nil
}

func (w *worker) chunk(source io.ReaderAt, destination io.WriterAt, at, size int64) error {
	clear := w.clear[:size]
	if _, err := source.ReadAt(clear, at); err != nil {
		return err
	}
	digest := blake3.Sum256(clear)
	for rest := clear; len(rest) > 0; {
		part := rest[:min(len(rest), recordSize)]
		rest = rest[len(part):]
		w.record++
		binary.BigEndian.PutUint64(w.nonce, w.record)
		w.sealed = w.aead.Seal(w.sealed[:0], w.nonce, part, nil)
		if _, err := w.aead.Open(part[:0], w.nonce, w.sealed, nil); err != nil {
			return err
		}
	}
	if blake3.Sum256(clear) != digest {
		return fmt.Errorf("the chunk at %d has changed", at)
	}
	_, err := destination.WriteAt(clear, at)
	return err
}
