package transfer

import (
	"encoding/binary"
	"io"
)

// UDT4 comes with two programs, sendfile and recvfile, whose exchange is all that many UDT programs speak:
//
//	client                                      server
//	length of the name   int32, little-endian
//	the name             not terminated
//	                                            size of the file   int64, little-endian; -1: it cannot be had
//	                                            its bytes
//
// There is no digest, no receipt and no greeting. Either of UDT4's programs takes each of the first three with a single
// receive call, so that none of them may arrive in parts: what begins a connection's direction in one Write travels in
// one packet as far as that has room.

const (
	legacyLength = 4    // bytes of the name's length
	legacySize   = 8    // bytes of the file's size
	legacyAbsent = -1   // the size of a file that cannot be had
	legacyName   = 1023 // longest name, bytes: UDT4's server has room for 1024 with a NUL, and does not look
	legacyBlock  = 1 << 20
)

// legacyRequest is what a client says.
func legacyRequest(name string) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(name))), name...)
}

// parseLegacyLength reads the length of a name; ok is false for one that no sound client sends.
func parseLegacyLength(b [legacyLength]byte) (n int, ok bool) {
	v := int32(binary.LittleEndian.Uint32(b[:]))
	return int(v), v > 0 && v <= legacyName
}

// legacyAnswer is what a server says before the file's bytes.
func legacyAnswer(size int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(size)) }

// parseLegacySize reads that; ok is false for a size that no sound server sends.
func parseLegacySize(b [legacySize]byte) (size int64, ok bool) {
	size = int64(binary.LittleEndian.Uint64(b[:]))
	return size, size >= legacyAbsent
}

// foreignLegacy is for a peer that speaks something else.
func foreignLegacy(begins []byte, hint string) *Error {
	e := &Error{Kind: KindPolicy, Op: "greet", Msg: "the other end does not speak UDT4's sendfile exchange", Hint: hint}
	if n := min(len(begins), len(preludeMagic)); string(begins[:n]) == preludeMagic[:n] {
		e.Msg = "the other end is a udtcp that does not speak UDT4's sendfile exchange"
	}
	return e
}

// newLegacySession has neither frames nor goroutines; what it shares with a session is how it ends.
func newLegacySession(conn io.ReadWriteCloser, onFile func(FileDone), onMessage func(string)) *session {
	return &session{conn: conn, stop: make(chan struct{}), notes: &notes{onFile: onFile, onMessage: onMessage}}
}
