package transfer

import (
	"bytes"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Bodies of control frames are CBOR maps with small integers for keys. A key that is not known is passed over, so that
// later versions can add some; everything else that is out of the ordinary is refused.
var (
	bodyEncoding = must(cbor.CoreDetEncOptions().UserBufferEncMode())
	bodyDecoding = must(cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		MaxNestedLevels:  4,
		MaxArrayElements: 64,
		MaxMapPairs:      32,
		UTF8:             cbor.UTF8RejectInvalid,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // constant options; found by the first test
	}
	return v
}

// body is what a control frame carries.
type body interface {
	// check says what is out of range, in words for the message; values it lets pass may be used.
	check() error
}

// appendFrame appends the control frame for b.
func appendFrame(dst []byte, kind frameType, b body) ([]byte, error) {
	start := len(dst)
	var room [headerLen]byte
	buf := bytes.NewBuffer(append(dst, room[:]...)) // it writes on behind dst
	if err := bodyEncoding.MarshalToBuffer(b, buf); err != nil {
		return dst, &Error{Kind: KindInternal, Op: "encode", Msg: fmt.Sprintf("a %v frame: %v", kind, err), Err: err}
	}
	all := buf.Bytes()
	frame, body := all[start:], all[start+headerLen:]
	if len(body) > maxControl {
		return dst, &Error{Kind: KindInternal, Op: "encode", Msg: fmt.Sprintf("a %v frame of %d bytes", kind, len(body))}
	}
	putHeader(frame, kind, 0, len(body), body)
	return all, nil
}

// parseBody reads the body of a control frame of the given kind.
func parseBody(kind frameType, raw []byte, b body) error {
	if err := bodyDecoding.Unmarshal(raw, b); err != nil {
		// The library's message may repeat bytes of the peer.
		return damaged("%v frame that cannot be read: %s", kind, Quote(err.Error()))
	}
	if err := b.check(); err != nil {
		return damaged("%v frame: %v", kind, err)
	}
	return nil
}
