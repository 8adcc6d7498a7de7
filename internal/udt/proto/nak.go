package proto

import "encoding/binary"

// SeqRange is a run of sequence numbers, both ends included.
type SeqRange struct{ First, Last Seq }

// AppendLoss appends one entry of a NAK body: a single number in one word, a
// range in two with the top bit of the first set.
func AppendLoss(b []byte, r SeqRange) []byte {
	if r.First == r.Last {
		return binary.BigEndian.AppendUint32(b, uint32(r.First))
	}
	b = binary.BigEndian.AppendUint32(b, controlBit|uint32(r.First))
	return binary.BigEndian.AppendUint32(b, uint32(r.Last))
}

// NextLoss takes one entry off a NAK body. ok is false at the end of the body
// and at anything malformed: a range without its end, an end with the top bit
// set. It says nothing of the range's direction or size; the caller cuts it to
// its window.
func NextLoss(body []byte) (r SeqRange, rest []byte, ok bool) {
	if len(body) < 4 {
		return SeqRange{}, nil, false
	}
	w := binary.BigEndian.Uint32(body)
	r.First = Seq(w & SeqMask)
	if w&controlBit == 0 {
		r.Last = r.First
		return r, body[4:], true
	}
	if len(body) < 8 {
		return SeqRange{}, nil, false
	}
	w = binary.BigEndian.Uint32(body[4:])
	if w&controlBit != 0 {
		return SeqRange{}, nil, false
	}
	r.Last = Seq(w)
	return r, body[8:], true
}
