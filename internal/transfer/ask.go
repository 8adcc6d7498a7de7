package transfer

import (
	"errors"
	"time"
)

// The sender asks ahead which files need not come: a question a file, in the order of the entries, far ahead of their
// bytes. The receiver answers behind, in the same order, and the sender leaves out what is there. Nobody waits a round trip
// for a file; all of it costs one round trip, at the beginning. A file that is sent alone does without: a small one is not
// asked about, and the question about any other is in the hello (featureEarly), so that the answer follows the receiver's.

// askBody (frameAsk) says what a file is like that is to come.
type askBody struct {
	Number uint64 `cbor:"1,keyasint"` // counts questions from 1
	Path   string `cbor:"2,keyasint"` // relative, slash-separated
	Size   int64  `cbor:"3,keyasint"` // bytes
	Mtime  *int64 `cbor:"4,keyasint,omitempty"`
	Nanos  uint32 `cbor:"5,keyasint,omitempty"`
	Holes  int64  `cbor:"7,keyasint,omitempty"` // as in the entry
	Check  bool   `cbor:"6,keyasint,omitempty"` // size and time are not enough, the digests shall be compared
}

func (b *askBody) check() error {
	switch {
	case b.Size < 0 || b.Holes < 0 || b.Holes > b.Size:
		return errors.New("a size that cannot be")
	case len(b.Path) > maxPath:
		return errors.New("a path that is too long")
	case b.Nanos >= 1e9:
		return errors.New("more nanoseconds than a second has")
	}
	return nil
}

// sameAs tells whether a file of this size and time is taken for the one that is asked about.
func (b *askBody) sameAs(size int64, mtime time.Time) bool {
	return size == b.Size && b.Mtime != nil && mtime.Equal(time.Unix(*b.Mtime, int64(b.Nanos)))
}

// What an answer says.
const (
	answerSend    = 0 // nothing of it is there: send it
	answerKeep    = 1 // it is there: size and time are the same
	answerCompare = 2 // something of this size is there; if it has this digest it need not come
	answerPart    = 3 // an earlier attempt left something: send it, and hear in the answer to its entry what is kept of that
)

// skipBody (frameSkip) answers questions: Count of them in a row in the same way.
type skipBody struct {
	First  uint64 `cbor:"1,keyasint"`
	Count  uint64 `cbor:"2,keyasint"`
	Answer uint8  `cbor:"3,keyasint"`
	Digest []byte `cbor:"4,keyasint,omitempty"` // BLAKE3, with answerCompare
}

func (b *skipBody) check() error {
	switch {
	case b.Answer > answerPart:
		return errors.New("an answer that is not known")
	case b.Count == 0 || b.Count > outstanding:
		return errors.New("a number of questions that there cannot be")
	case (b.Answer == answerCompare) != (len(b.Digest) == 32), len(b.Digest) != 0 && b.Count != 1:
		return errors.New("a digest that does not fit the answer")
	}
	return nil
}
