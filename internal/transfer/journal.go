package transfer

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash"
	"io"
	"slices"

	"lukechampine.com/blake3"
)

// A journal stands beside a part file and says which of its chunks are durable, with their digests, so that a later
// attempt can go on behind them. It is written after the bytes it speaks of are synced, and only ever appended to:
//
//	magic      "UDTCPJ", the version 1, newline
//	identity   its length in 4 bytes, then CBOR: name, size, time stamp and chunk size of the source
//	sum        16 bytes: BLAKE3 of everything before
//	records    count of chunks in 4 bytes, as many digests of 32 bytes, sum: BLAKE3 of the sum before and of the record
//
// Numbers are big-endian. The sums make a chain: a record holds only behind those it was written behind. What follows
// the first record that does not hold was torn by a crash, or damaged, and does not count.
const (
	journalMagic   = "UDTCPJ\x01\n"
	journalSumSize = 16
	maxIdentity    = 4 << 10 // bytes of CBOR
	maxRecord      = 1024    // chunks in a record
)

// identity says what a part file is a part of. If any of it differs the source is another one.
type identity struct {
	Name  string `cbor:"1,keyasint"`
	Size  int64  `cbor:"2,keyasint"` // bytes
	Stamp int64  `cbor:"3,keyasint"` // the source's modification time in nanoseconds since 1970
	Chunk int64  `cbor:"4,keyasint"` // bytes
}

func (id *identity) check() error {
	if id.Size < 0 || id.Chunk < minChunk || id.Chunk > maxChunk || id.Chunk&(id.Chunk-1) != 0 {
		return errors.New("sizes that cannot be")
	}
	return nil
}

// chunks is how many the whole file has.
func (id *identity) chunks() int64 { return (id.Size + id.Chunk - 1) / id.Chunk }

// journalSum is one link of a journal's chain.
type journalSum [journalSumSize]byte

func sumJournal(parts ...[]byte) (s journalSum) {
	var h hash.Hash = blake3.New(journalSumSize, nil)
	for _, p := range parts {
		h.Write(p) // a hash never fails to write
	}
	copy(s[:], h.Sum(nil))
	return s
}

// journalHead is the beginning of a journal, and its sum.
func journalHead(id *identity) ([]byte, journalSum, error) {
	var body bytes.Buffer
	if err := bodyEncoding.MarshalToBuffer(id, &body); err != nil {
		return nil, journalSum{}, err
	}
	b := append([]byte(journalMagic), 0, 0, 0, 0)
	binary.BigEndian.PutUint32(b[len(journalMagic):], uint32(body.Len()))
	b = append(b, body.Bytes()...)
	sum := sumJournal(b)
	return append(b, sum[:]...), sum, nil
}

// journalRecord is the record for some chunks, at most maxRecord, behind one whose sum was last.
func journalRecord(last journalSum, values [][32]byte) ([]byte, journalSum) {
	b := make([]byte, 4, 4+32*len(values)+journalSumSize)
	binary.BigEndian.PutUint32(b, uint32(len(values)))
	for _, v := range values {
		b = append(b, v[:]...)
	}
	sum := sumJournal(last[:], b)
	return append(b, sum[:]...), sum
}

// journalEnd is how far a journal holds.
type journalEnd struct {
	chunks int64 // recorded
	bytes  int64 // of the journal
	sum    journalSum
}

var errForeignJournal = errors.New("no journal of this file")

// parseJournal reads a journal. accept is asked about its identity, and for each record that holds whether it is to
// count; the first that is not ends the journal. The error is errForeignJournal when it has no sound beginning or one
// that is not accepted, or one of r.
func parseJournal(r io.Reader, accept func(identity) bool, record func(first int64, values [][32]byte) bool) (journalEnd, error) {
	in := bufio.NewReader(r)
	var end journalEnd
	id, err := parseIdentity(in, &end)
	if err != nil {
		return end, err
	}
	if !accept(id) {
		return end, errForeignJournal
	}
	most := id.chunks()
	buf := make([]byte, 4+32*maxRecord+journalSumSize)
	values := make([][32]byte, 0, maxRecord)
	for {
		if _, err := io.ReadFull(in, buf[:4]); err != nil {
			return end, onlyFaults(err)
		}
		n := binary.BigEndian.Uint32(buf)
		if n == 0 || n > maxRecord || end.chunks+int64(n) > most {
			return end, nil
		}
		length := 4 + 32*int(n)
		if _, err := io.ReadFull(in, buf[4:length+journalSumSize]); err != nil {
			return end, onlyFaults(err)
		}
		sum := sumJournal(end.sum[:], buf[:length])
		if sum != journalSum(buf[length:length+journalSumSize]) {
			return end, nil
		}
		values = values[:n]
		for i := range values {
			values[i] = [32]byte(buf[4+32*i:])
		}
		if !record(end.chunks, values) {
			return end, nil
		}
		end = journalEnd{chunks: end.chunks + int64(n), bytes: end.bytes + int64(length) + journalSumSize, sum: sum}
	}
}

func parseIdentity(in io.Reader, end *journalEnd) (id identity, err error) {
	head := make([]byte, len(journalMagic)+4)
	if _, err := io.ReadFull(in, head); err != nil {
		return id, foreignUnlessFault(err)
	}
	n := binary.BigEndian.Uint32(head[len(journalMagic):])
	if string(head[:len(journalMagic)]) != journalMagic || n > maxIdentity {
		return id, errForeignJournal
	}
	rest := make([]byte, int(n)+journalSumSize)
	if _, err := io.ReadFull(in, rest); err != nil {
		return id, foreignUnlessFault(err)
	}
	if bodyDecoding.Unmarshal(rest[:n], &id) != nil || id.check() != nil {
		return id, errForeignJournal
	}
	// There is one way to write it, and its sum.
	whole, sum, err := journalHead(&id)
	if err != nil || !bytes.Equal(whole, slices.Concat(head, rest)) {
		return id, errForeignJournal
	}
	*end = journalEnd{bytes: int64(len(whole)), sum: sum}
	return id, nil
}

// onlyFaults passes over an end of the file.
func onlyFaults(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

func foreignUnlessFault(err error) error {
	if onlyFaults(err) == nil {
		return errForeignJournal
	}
	return err
}

// journal is one that is being written.
type journal struct {
	file partFile
	end  journalEnd
}

// begin writes the identity into an empty file.
func (j *journal) begin(id *identity) error {
	head, sum, err := journalHead(id)
	if err != nil {
		return err
	}
	if err := j.file.truncate(0); err != nil {
		return err
	}
	if _, err := j.file.WriteAt(head, 0); err != nil {
		return err
	}
	j.end = journalEnd{bytes: int64(len(head)), sum: sum}
	return nil
}

// record appends chunks whose bytes are durable, durably.
func (j *journal) record(values [][32]byte) error {
	for len(values) > 0 {
		n := min(len(values), maxRecord)
		b, sum := journalRecord(j.end.sum, values[:n])
		if _, err := j.file.WriteAt(b, j.end.bytes); err != nil {
			return err
		}
		j.end = journalEnd{chunks: j.end.chunks + int64(n), bytes: j.end.bytes + int64(len(b)), sum: sum}
		values = values[n:]
	}
	return j.file.datasync()
}
