package transfer

import (
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// receiptBody (frameReceipt): every entry up to this number is complete and durable under its final name, or taken by
// the receiver's writer.
type receiptBody struct {
	UpTo uint64 `cbor:"1,keyasint"`
}

func (b *receiptBody) check() error { return nil }

// takenBody (frameTaken) says how far verified bytes have got: written to the file, or taken by the receiver's writer.
type takenBody struct {
	Bytes  int64  `cbor:"1,keyasint"` // of the whole session
	ID     uint64 `cbor:"2,keyasint"` // the stream or large file at work; 0: none
	Offset int64  `cbor:"3,keyasint"` // everything before it is taken
}

func (b *takenBody) check() error {
	if b.Bytes < 0 || b.Offset < 0 {
		return errors.New("a negative count")
	}
	return nil
}

// againBody (frameAgain) asks for a chunk whose digest did not fit its bytes.
type againBody struct {
	ID     uint64 `cbor:"1,keyasint"`
	Offset int64  `cbor:"2,keyasint"`
	Length int64  `cbor:"3,keyasint"`
}

func (b *againBody) check() error {
	if b.Offset < 0 || b.Length <= 0 || b.Length > maxChunk {
		return errors.New("a range that is no chunk")
	}
	return nil
}

// haveBody (frameHave) is the answer to each entry of a file of several chunks: the bytes before Offset are here. That is
// a multiple of the chunk size, or the file's.
type haveBody struct {
	ID     uint64 `cbor:"1,keyasint"`
	Offset int64  `cbor:"2,keyasint"`
}

func (b *haveBody) check() error {
	if b.Offset < 0 {
		return errors.New("a negative offset")
	}
	return nil
}

// doneBody (frameDone) is the final receipt.
type doneBody struct {
	Files  int64  `cbor:"1,keyasint"`
	Bytes  int64  `cbor:"2,keyasint"`
	Digest string `cbor:"3,keyasint"`
}

func (b *doneBody) check() error {
	if b.Files < 0 || b.Bytes < 0 || len(b.Digest) > 64 {
		return errors.New("totals that cannot be")
	}
	return nil
}

// Limits of what a peer may make us print, bytes.
const (
	maxFailOp   = 32
	maxFailMsg  = 1024
	maxFailHint = 512
)

// failBody (frameFail) is the last frame of an end that cannot go on.
type failBody struct {
	Kind uint8  `cbor:"1,keyasint"` // a Kind, as the failing end sees it
	Op   string `cbor:"2,keyasint,omitempty"`
	Path string `cbor:"3,keyasint,omitempty"`
	Msg  string `cbor:"4,keyasint"`
	Hint string `cbor:"5,keyasint,omitempty"` // what to do, at that end
}

func (b *failBody) check() error {
	if len(b.Op) > maxFailOp || len(b.Path) > maxPath || len(b.Msg) > maxFailMsg || len(b.Hint) > maxFailHint {
		return errors.New("a message that is too long")
	}
	return nil
}

// failOf puts a failure of this end into a frame. The peer is told the file as it knows it, never a path of this machine.
func failOf(e *Error) *failBody {
	msg := e.Msg
	if e.Kind == KindUsage {
		msg = "it was started in a way that cannot work" // the details are for the user there
	}
	return &failBody{
		Kind: uint8(e.Kind),
		Op:   cut(e.Op, maxFailOp),
		Path: cut(e.name, maxPath),
		Msg:  cut(msg, maxFailMsg),
		Hint: cut(e.Hint, maxFailHint),
	}
}

// remote is what a failure of the other end is here.
func (b *failBody) remote() *Error {
	e := &Error{Op: plain(b.Op), Path: b.Path, Msg: plain(b.Msg), Remote: true}
	switch Kind(b.Kind) {
	case KindIntegrity, KindPolicy, KindAuth, KindLost:
		e.Kind = Kind(b.Kind)
	default:
		e.Kind = KindRemoteIO
	}
	e.Hint = "see to it there, then run this again"
	if b.Hint != "" {
		e.Hint = "there: " + plain(b.Hint)
	}
	if e.Msg == "" {
		e.Msg = "failed without saying why"
	}
	return e
}

// plain makes a peer's text fit for a terminal, without quotes around it.
func plain(s string) string {
	var b strings.Builder
	for len(s) > 0 && b.Len() < maxFailMsg {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n <= 1 || !unicode.IsPrint(r) {
			q := strconv.Quote(s[:n])
			b.WriteString(q[1 : len(q)-1])
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// cut shortens a text to at most n bytes, at a character's boundary.
func cut(s string, n int) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}
