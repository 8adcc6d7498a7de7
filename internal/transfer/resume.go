package transfer

import (
	"errors"
	"io"
	"io/fs"
)

// This file is about what an earlier attempt left: a part file, and the journal that says what of it is durable.

// fresh makes the part file empty, whatever an earlier attempt left.
func (p *part) fresh() error {
	if p.left == 0 && p.id == nil {
		return nil // a small file's part was not there, so neither was a journal
	}
	err := p.dir.remove(journalName(p.name))
	if err == nil {
		// Before anything is written: a journal that a crash brought back would speak for bytes that are not there.
		err = p.dir.sync()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if p.left == 0 {
		return nil
	}
	p.left = 0
	return p.file.truncate(0)
}

// resume goes on with what an earlier attempt left of the source id, and gives the bytes that are kept: those that the
// journal names, in order from the first. Each record's digests are passed to kept. With check the bytes are read and
// must fit them. What cannot be used is set aside: then aside says why, for people.
func (p *part) resume(check func(b []byte, offset int64, sum [32]byte) bool, kept func(values [][32]byte)) (n int64, aside string, err error) {
	if p.left == 0 {
		return 0, "", p.fresh()
	}
	end, err := p.readJournal(check, kept)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, "", p.fresh() // too short to have one
	case errors.Is(err, errForeignJournal):
		return 0, "what an earlier attempt left belongs to another source or is damaged", p.fresh()
	case err != nil:
		return 0, "", err
	case end.chunks == 0:
		return 0, "what an earlier attempt left is damaged", p.fresh()
	}
	file, _, err := p.dir.create(journalName(p.name))
	if err != nil {
		return 0, "", err
	}
	p.journal = &journal{file: file, end: end}
	n = min(end.chunks*p.id.Chunk, p.id.Size)
	p.through = n
	return n, "", errors.Join(file.truncate(end.bytes), p.file.truncate(n))
}

// readJournal finds how far the journal holds, and the part file what it says.
func (p *part) readJournal(check func([]byte, int64, [32]byte) bool, kept func([][32]byte)) (journalEnd, error) {
	f, err := p.dir.open(journalName(p.name))
	if err != nil {
		return journalEnd{}, err
	}
	defer f.Close() // read only
	var fault error
	end, err := parseJournal(io.NewSectionReader(f, 0, 1<<62), func(id identity) bool { return id == *p.id },
		func(first int64, values [][32]byte) bool {
			var ok bool
			if ok, fault = p.holds(first, values, check); ok {
				kept(values)
			}
			return ok
		})
	return end, errors.Join(err, fault)
}

// holds tells whether the chunks of a record are in the part file: its size reaches so far, and with check they have
// the digests that were recorded.
func (p *part) holds(first int64, values [][32]byte, check func([]byte, int64, [32]byte) bool) (bool, error) {
	if min((first+int64(len(values)))*p.id.Chunk, p.id.Size) > p.left {
		return false, nil
	}
	if check == nil {
		return true, nil
	}
	b := make([]byte, p.id.Chunk, p.id.Chunk+strideSize)
	for i, sum := range values {
		offset := (first + int64(i)) * p.id.Chunk
		b = b[:min(p.id.Chunk, p.id.Size-offset)]
		if _, err := io.ReadFull(io.NewSectionReader(p.file, offset, int64(len(b))), b); err != nil {
			return false, onlyFaults(err)
		}
		if !check(b, offset, sum) {
			return false, nil
		}
	}
	return true, nil
}
