package proto

import "encoding/binary"

// A DropRequest tells the receiver of messages not to wait for one any more.
// It gives the message's sequence numbers, both ends included. Libudt's sender
// begins with the first number it would have sent again and ends with one that
// is not of the message (protocol trap D7).
type DropRequest struct {
	Message uint32 // number, 29 bits
	SeqRange
}

// dropRequestSize is the length of the body in bytes.
const dropRequestSize = 8

// ParseDropRequest reads a drop request; ok is false for anything else. It says
// nothing of the range's direction or size; the caller cuts it to its window.
func ParseDropRequest(c Control) (d DropRequest, ok bool) {
	if c.Type != TypeDropRequest || len(c.Body) < dropRequestSize {
		return DropRequest{}, false
	}
	first, last := binary.BigEndian.Uint32(c.Body), binary.BigEndian.Uint32(c.Body[4:])
	if first > SeqMask || last > SeqMask || c.Info > messageMask {
		return DropRequest{}, false
	}
	return DropRequest{Message: c.Info, SeqRange: SeqRange{First: Seq(first), Last: Seq(last)}}, true
}

// Append appends the packet as it goes on the wire.
func (d DropRequest) Append(b []byte, dst uint32) []byte {
	b = Control{Type: TypeDropRequest, Info: d.Message, Dst: dst}.Append(b)
	b = binary.BigEndian.AppendUint32(b, uint32(d.First))
	return binary.BigEndian.AppendUint32(b, uint32(d.Last))
}
