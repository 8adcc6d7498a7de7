package transfer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"lukechampine.com/blake3"
	"lukechampine.com/blake3/guts"
)

// BLAKE3 is a Merkle tree over leaves of 1024 bytes. A chunk of the file that begins at a multiple of its own length, a
// power of two, is a whole subtree; the chaining value at that subtree's top is the chunk's digest on the wire, and the
// same values joined give the digest of the file. So every byte is hashed once at each end, chunks in parallel, and a
// chunk digest is bound to its place in the file.

const (
	leafSize   = guts.ChunkSize                // bytes
	strideSize = guts.MaxSIMD * guts.ChunkSize // bytes hashed by one SIMD call
	maxHeight  = 54                            // 2^54 chunks of 1 MiB is more than an int64 of bytes
)

// chaining is the value of an inner node of the tree.
type chaining = [8]uint32

// subtree hashes b, whose first byte is leaf number first of the file, up to the top node of its part of the tree.
// It allocates nothing when cap(b) reaches to a multiple of strideSize. Bytes beyond len(b) do not count.
func subtree(b []byte, first uint64) guts.Node {
	var open [maxHeight]chaining // open[h] is a finished left sibling when bit h of done is set
	var done uint64
	for len(b) > strideSize {
		v := guts.ChainingValue(guts.CompressBuffer((*[strideSize]byte)(b), strideSize, &guts.IV, first, 0))
		done = join(&open, done, v)
		b, first = b[strideSize:], first+guts.MaxSIMD
	}
	n := stride(b, first)
	for h := 0; done>>h != 0; h++ {
		if done>>h&1 != 0 {
			n = guts.ParentNode(open[h], guts.ChainingValue(n), &guts.IV, 0)
		}
	}
	return n
}

// stride hashes up to strideSize bytes.
func stride(b []byte, first uint64) guts.Node {
	switch {
	case len(b) <= leafSize:
		return guts.CompressChunk(b, &guts.IV, first, 0)
	case cap(b) >= strideSize:
		return guts.CompressBuffer((*[strideSize]byte)(b[:strideSize]), len(b), &guts.IV, first, 0)
	}
	room := make([]byte, strideSize)
	copy(room, b)
	return guts.CompressBuffer((*[strideSize]byte)(room), len(b), &guts.IV, first, 0)
}

// join adds one more complete subtree to those open, merging equals, and returns the new count.
func join(open *[maxHeight]chaining, count uint64, v chaining) uint64 {
	h := 0
	for ; count>>h&1 != 0; h++ {
		v = guts.ChainingValue(guts.ParentNode(open[h], v, &guts.IV, 0))
	}
	open[h] = v
	return count + 1
}

// root is the digest of a tree whose top node is n.
func root(n guts.Node) (sum [32]byte) {
	n.Flags |= guts.FlagRoot
	out := guts.WordsToBytes(guts.CompressNode(n))
	copy(sum[:], out[:])
	return sum
}

// blake3Of is the BLAKE3 digest of b.
func blake3Of(b []byte) [32]byte { return root(subtree(b, 0)) }

func sha256Of(b []byte) [32]byte { return sha256.Sum256(b) }

func valueBytes(v chaining) (b [32]byte) {
	for i, w := range v {
		binary.LittleEndian.PutUint32(b[4*i:], w)
	}
	return b
}

func bytesValue(b [32]byte) (v chaining) {
	for i := range v {
		v[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return v
}

// fileDigest gathers the digest of a file from its chunks, in order. The zero value and a chunk size is ready.
type fileDigest struct {
	chunk int // bytes; a power of two
	open  [maxHeight]chaining
	count uint64    // chunks joined, without the last
	last  chaining  // the newest chunk; joined when another follows, because the root is made otherwise
	only  guts.Node // the first chunk's node: the root of a file that has no other
	any   bool
	tail  []byte    // bytes of pieces that do not make a chunk yet
	sha   hash.Hash // nil unless asked for
}

func newFileDigest(chunk int, also Digest) *fileDigest {
	d := &fileDigest{chunk: chunk}
	if also == SHA256 {
		d.sha = sha256.New()
	}
	return d
}

// addNode adds a chunk by its subtree's top.
func (d *fileDigest) addNode(n guts.Node) {
	if !d.any {
		d.only = n
	}
	d.addValue(guts.ChainingValue(n))
}

// addValue adds a chunk by its digest alone; the file must then have more than one.
func (d *fileDigest) addValue(v chaining) {
	if d.any {
		d.count = join(&d.open, d.count, d.last)
	}
	d.last, d.any = v, true
}

// addBytes adds any number of bytes; they are gathered into chunks.
func (d *fileDigest) addBytes(b []byte) {
	for len(b) > 0 {
		if d.tail == nil {
			d.tail = make([]byte, 0, d.chunk)
		}
		n := min(d.chunk-len(d.tail), len(b))
		d.tail = append(d.tail, b[:n]...)
		b = b[n:]
		if len(d.tail) == d.chunk {
			d.flush()
		}
	}
}

// aligned tells whether what was added so far is whole chunks.
func (d *fileDigest) aligned() bool { return len(d.tail) == 0 }

func (d *fileDigest) flush() {
	d.addNode(subtree(d.tail, d.leaves()))
	d.tail = d.tail[:0]
}

// leaves is the number of the next chunk's first leaf.
func (d *fileDigest) leaves() uint64 {
	n := d.count
	if d.any {
		n++
	}
	return n * uint64(d.chunk/leafSize)
}

// buffer is room for addAll.
func (d *fileDigest) buffer() []byte { return make([]byte, d.chunk, d.chunk+strideSize) }

// addAll adds all that there is to be read, from the file's beginning on, until over says to stop.
func (d *fileDigest) addAll(r io.Reader, room []byte, over func() bool) error {
	for {
		n, err := io.ReadFull(r, room)
		if n > 0 {
			d.addNode(subtree(room[:n], d.leaves()))
			if d.sha != nil {
				d.sha.Write(room[:n])
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return err
		case over():
			return errOver
		}
	}
}

// sum is the file's BLAKE3 digest; nothing may be added after it.
func (d *fileDigest) sum() [32]byte {
	if len(d.tail) > 0 || !d.any {
		d.flush()
	}
	d.tail = nil
	n, v := d.only, d.last
	for h := 0; d.count>>h != 0; h++ {
		if d.count>>h&1 != 0 {
			n = guts.ParentNode(d.open[h], v, &guts.IV, 0)
			v = guts.ChainingValue(n)
		}
	}
	return root(n)
}

// add is addBytes, and the second digest if that was asked for.
func (d *fileDigest) add(b []byte) {
	d.addBytes(b)
	if d.sha != nil {
		d.sha.Write(b)
	}
}

// hex is the digest to report; nothing may be added after it.
func (d *fileDigest) hex() string {
	if d.sha != nil {
		return hex.EncodeToString(d.sha.Sum(nil))
	}
	sum := d.sum()
	return hex.EncodeToString(sum[:])
}

// listDigest is the digest of several files: that of the list which b3sum or sha256sum would print for them.
type listDigest struct {
	h     hash.Hash
	files int
	only  string // hexadecimal digest while there is one file
}

func newListDigest(d Digest) *listDigest {
	if d == SHA256 {
		return &listDigest{h: sha256.New()}
	}
	return &listDigest{h: blake3.New(32, nil)}
}

// add adds a file; one whose digest is not known is no part of the list.
func (l *listDigest) add(digest, name string) {
	if digest == "" {
		return
	}
	l.files++
	l.only = digest
	// A hash never fails to write.
	l.h.Write([]byte(digest))
	l.h.Write([]byte("  "))
	l.h.Write([]byte(name))
	l.h.Write([]byte("\n"))
}

// sum is what Result.Digest says.
func (l *listDigest) sum() string {
	switch l.files {
	case 0:
		return ""
	case 1:
		return l.only
	}
	return hex.EncodeToString(l.h.Sum(nil))
}
