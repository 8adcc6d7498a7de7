package transfer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// frameType is the first byte of a frame. Numbers are spoken for in doc.go; an unknown one ends the session.
type frameType byte

// Frames of both ends, of the sender (0x10…) and of the receiver (0x20…).
const (
	frameHello frameType = 0x01
	frameFail  frameType = 0x02
	framePing  frameType = 0x03
	frameRenew frameType = 0x04

	frameOffer   frameType = 0x10
	frameEntry   frameType = 0x11
	frameData    frameType = 0x12
	frameFileEnd frameType = 0x13
	frameDirEnd  frameType = 0x14
	frameEnd     frameType = 0x15
	frameBye     frameType = 0x16
	frameHole    frameType = 0x17
	frameLink    frameType = 0x18
	frameAsk     frameType = 0x19

	frameReceipt frameType = 0x20
	frameTaken   frameType = 0x21
	frameAgain   frameType = 0x22
	frameDone    frameType = 0x23
	frameHave    frameType = 0x24
	frameSkip    frameType = 0x25
)

var frameNames = map[frameType]string{
	frameHello: "hello", frameFail: "fail", framePing: "ping", frameRenew: "renew", frameOffer: "offer", frameEntry: "entry", frameData: "data",
	frameFileEnd: "file end", frameDirEnd: "directory end", frameEnd: "end", frameBye: "bye", frameLink: "link",
	frameReceipt: "receipt", frameTaken: "taken", frameAgain: "again", frameDone: "done", frameHave: "have",
	frameSkip: "skip", frameHole: "hole", frameAsk: "ask",
}

func (t frameType) String() string {
	if s, ok := frameNames[t]; ok {
		return s
	}
	return fmt.Sprintf("type %#02x", byte(t))
}

// Flags of a data frame; other frames have none.
const (
	flagPiece  = 1 << 0 // the digest is of the payload alone, which need not be aligned (streams)
	flagRepair = 1 << 1 // sent again on request
)

const (
	headerLen  = 12       // type, flags, two zero bytes, length, check
	maxControl = 64 << 10 // longest body of a control frame, bytes
	dataHead   = 48       // file number, offset, digest: what a data body begins with
	minChunk   = 1 << 20  // bytes
	maxChunk   = 4 << 20  // bytes
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// header is a frame's first twelve bytes, parsed.
type header struct {
	kind   frameType
	flags  byte
	length int // bytes of body
	check  uint32
}

// putHeader writes the header for a body whose checked part is sealed: all of a control body, the head of a data body.
func putHeader(dst []byte, kind frameType, flags byte, length int, sealed []byte) {
	dst[0], dst[1], dst[2], dst[3] = byte(kind), flags, 0, 0
	binary.BigEndian.PutUint32(dst[4:], uint32(length))
	binary.BigEndian.PutUint32(dst[8:], checksum(dst[:8], sealed))
}

func checksum(head, sealed []byte) uint32 {
	return crc32.Update(crc32.Checksum(head, crcTable), crcTable, sealed)
}

// parseHeader reads the first twelve bytes. chunk is the longest payload of a data frame here. It checks the form of
// the header, not its checksum, which covers the body too.
func parseHeader(b []byte, chunk int) (header, error) {
	h := header{
		kind:   frameType(b[0]),
		flags:  b[1],
		length: int(binary.BigEndian.Uint32(b[4:])),
		check:  binary.BigEndian.Uint32(b[8:]),
	}
	if _, ok := frameNames[h.kind]; !ok {
		return h, damaged("frame of unknown %v", h.kind)
	}
	if b[2] != 0 || b[3] != 0 {
		return h, damaged("%v frame with reserved bits set", h.kind)
	}
	if h.kind == frameData {
		if h.flags&^(flagPiece|flagRepair) != 0 {
			return h, damaged("data frame with unknown flags %#02x", h.flags)
		}
		if h.length <= dataHead || h.length > dataHead+chunk {
			return h, damaged("data frame of %d bytes", h.length)
		}
		return h, nil
	}
	if h.flags != 0 {
		return h, damaged("%v frame with unknown flags %#02x", h.kind, h.flags)
	}
	if h.length > maxControl {
		return h, damaged("%v frame of %d bytes, more than %d", h.kind, h.length, maxControl)
	}
	return h, nil
}

// place says where a data frame's payload belongs.
type place struct {
	id     uint64 // the entry's number
	offset int64
	sum    [32]byte
}

func putPlace(dst []byte, p place) {
	binary.BigEndian.PutUint64(dst, p.id)
	binary.BigEndian.PutUint64(dst[8:], uint64(p.offset))
	copy(dst[16:dataHead], p.sum[:])
}

func parsePlace(b []byte) (place, error) {
	p := place{id: binary.BigEndian.Uint64(b), offset: int64(binary.BigEndian.Uint64(b[8:]))}
	copy(p.sum[:], b[16:dataHead])
	if p.offset < 0 {
		return p, damaged("data frame at a negative offset")
	}
	return p, nil
}

// frameReader cuts frames out of a byte stream. It reads ahead a little, for small frames; large payloads are read
// straight into the caller's buffer.
type frameReader struct {
	r     io.Reader
	buf   []byte
	i, j  int // buf[i:j] is read but not yet used
	ahead int // most to read beyond what is needed
	chunk int // longest payload of a data frame
	body  int // bytes of a data payload not yet read
}

const (
	aheadSmall = 4 << 10  // among large chunks: what is read ahead must be copied
	aheadLarge = 64 << 10 // among small frames: one read serves many
)

func newFrameReader(r io.Reader) *frameReader {
	return &frameReader{r: r, buf: make([]byte, headerLen+maxControl+aheadLarge), ahead: aheadLarge, chunk: maxChunk}
}

// need makes n bytes (at most a control frame) available in buf[i:].
func (f *frameReader) need(n int) error {
	if f.j-f.i >= n {
		return nil
	}
	if len(f.buf)-f.i < n+f.ahead {
		f.j = copy(f.buf, f.buf[f.i:f.j])
		f.i = 0
	}
	limit := min(f.i+n+f.ahead, len(f.buf))
	m, err := io.ReadAtLeast(f.r, f.buf[f.j:limit], n-(f.j-f.i))
	f.j += m
	if f.j-f.i >= n {
		return nil
	}
	if errors.Is(err, io.EOF) && f.j > f.i {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// next reads a frame up to its payload. For a control frame body is the whole body, valid until the following call;
// for a data frame it is the head, and payload must be called for the rest before the following call. io.EOF is an end
// at a frame's boundary.
func (f *frameReader) next() (h header, body []byte, err error) {
	if err := f.need(headerLen); err != nil {
		return h, nil, err
	}
	if h, err = parseHeader(f.buf[f.i:], f.chunk); err != nil {
		return h, nil, err
	}
	n := h.length
	if h.kind == frameData {
		n = dataHead
		f.body = h.length - dataHead
	}
	if err := f.need(headerLen + n); err != nil {
		return h, nil, noEOF(err)
	}
	head, body := f.buf[f.i:f.i+8], f.buf[f.i+headerLen:f.i+headerLen+n]
	if checksum(head, body) != h.check {
		return h, nil, damaged("%v frame with a wrong check sum", h.kind)
	}
	f.i += headerLen + n
	f.ahead = aheadLarge
	return h, body, nil
}

// payload reads the rest of a data frame; dst is as long as it is.
func (f *frameReader) payload(dst []byte) error {
	n := copy(dst, f.buf[f.i:f.j])
	f.i += n
	f.body = 0
	if len(dst) > aheadLarge {
		f.ahead = aheadSmall
	}
	_, err := io.ReadFull(f.r, dst[n:])
	return noEOF(err)
}

// raw reads exactly len(dst) bytes that are no frame.
func (f *frameReader) raw(dst []byte) error {
	if err := f.need(len(dst)); err != nil {
		return err
	}
	f.i += copy(dst, f.buf[f.i:])
	return nil
}

// noEOF turns an end in the middle of something into io.ErrUnexpectedEOF.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
