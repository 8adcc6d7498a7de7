package proto

import "encoding/binary"

// Header sizes in bytes. An MSS counts the IP and UDP headers too, and UDT
// counts 28 of them whether the address family is IPv4 or IPv6.
const (
	HeaderSize   = 16
	IPUDPHeaders = 28
	// MinMSS and MaxMSS bound the packet size either end may ask for.
	MinMSS = 76
	MaxMSS = 65535
)

// Type is the 15-bit type of a control packet (draft-gg-udt-03, section 3.2).
type Type uint16

// Control packet types.
const (
	TypeHandshake         Type = 0
	TypeKeepAlive         Type = 1
	TypeACK               Type = 2
	TypeNAK               Type = 3
	TypeCongestionWarning Type = 4
	TypeShutdown          Type = 5
	TypeACK2              Type = 6
	TypeDropRequest       Type = 7
	TypePeerError         Type = 8
	TypeUser              Type = 0x7FFF
)

// answers reports whether a packet comes of something that the peer was sent, or
// of the listener's answer: a client sends a keep-alive when it has that.
func (t Type) answers() bool {
	return t == TypeKeepAlive || t == TypeACK || t == TypeNAK || t == TypeACK2
}

// Boundary says where in a message a data packet stands.
type Boundary uint8

// Boundaries, as the two top bits of the message word.
const (
	BoundaryMiddle Boundary = 0
	BoundaryLast   Boundary = 1
	BoundaryFirst  Boundary = 2
	BoundarySolo   Boundary = 3
)

const (
	controlBit     = 1 << 31
	inOrderBit     = 1 << 29
	messageMask    = 1<<29 - 1
	maxMessage     = messageMask - 1 // 0x1FFFFFFF is never used
	boundaryShift  = 30
	controlPadding = 4 // libudt writes a zero word after empty control packets
)

// IsControl reports whether a datagram of at least HeaderSize bytes is a
// control packet.
func IsControl(b []byte) bool { return b[0]&0x80 != 0 }

// Destination returns the socket ID a datagram is for; ok is false for
// datagrams too short to be UDT packets.
func Destination(b []byte) (id uint32, ok bool) {
	if len(b) < HeaderSize {
		return 0, false
	}
	return binary.BigEndian.Uint32(b[12:]), true
}

// Data is a data packet.
type Data struct {
	Seq       Seq
	Boundary  Boundary
	InOrder   bool
	Message   uint32 // 29 bits
	Timestamp uint32 // microseconds since the sending socket was opened
	Dst       uint32
	Payload   []byte // aliases the datagram
}

// ParseData reads a data packet; ok is false for anything else.
func ParseData(b []byte) (d Data, ok bool) {
	if len(b) < HeaderSize || IsControl(b) {
		return Data{}, false
	}
	w1 := binary.BigEndian.Uint32(b[4:])
	return Data{
		Seq:       Seq(binary.BigEndian.Uint32(b)),
		Boundary:  Boundary(w1 >> boundaryShift),
		InOrder:   w1&inOrderBit != 0,
		Message:   w1 & messageMask,
		Timestamp: binary.BigEndian.Uint32(b[8:]),
		Dst:       binary.BigEndian.Uint32(b[12:]),
		Payload:   b[HeaderSize:],
	}, true
}

// Append appends the packet as it goes on the wire.
func (d Data) Append(b []byte) []byte {
	n := len(b)
	b = append(b, make([]byte, HeaderSize)...)
	putDataHeader(b[n:], d.Seq, d.messageWord())
	stamp(b[n:], d.Timestamp, d.Dst)
	return append(b, d.Payload...)
}

func (d Data) messageWord() uint32 {
	w := uint32(d.Boundary)<<boundaryShift | d.Message&messageMask
	if d.InOrder {
		w |= inOrderBit
	}
	return w
}

// putDataHeader writes what of a data packet's header is known when the packet
// is begun.
func putDataHeader(b []byte, s Seq, word1 uint32) {
	_ = b[HeaderSize-1]
	binary.BigEndian.PutUint32(b, uint32(s)&SeqMask)
	binary.BigEndian.PutUint32(b[4:], word1)
}

// stamp writes the rest, which is set at each transmission.
func stamp(b []byte, us, dst uint32) {
	_ = b[HeaderSize-1]
	binary.BigEndian.PutUint32(b[8:], us)
	binary.BigEndian.PutUint32(b[12:], dst)
}

// Control is a control packet.
type Control struct {
	Type      Type
	Ext       uint16 // reserved; the sub-type of TypeUser
	Info      uint32 // ACK number, message number or error code
	Timestamp uint32 // 0 from libudt
	Dst       uint32
	Body      []byte // aliases the datagram; big-endian words
}

// ParseControl reads a control packet; ok is false for anything else.
func ParseControl(b []byte) (c Control, ok bool) {
	if len(b) < HeaderSize || !IsControl(b) {
		return Control{}, false
	}
	w0 := binary.BigEndian.Uint32(b)
	return Control{
		Type:      Type(w0 >> 16 & 0x7FFF),
		Ext:       uint16(w0),
		Info:      binary.BigEndian.Uint32(b[4:]),
		Timestamp: binary.BigEndian.Uint32(b[8:]),
		Dst:       binary.BigEndian.Uint32(b[12:]),
		Body:      b[HeaderSize:],
	}, true
}

// Append appends the packet as it goes on the wire, with Body as it is.
func (c Control) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, controlBit|uint32(c.Type&0x7FFF)<<16|uint32(c.Ext))
	b = binary.BigEndian.AppendUint32(b, c.Info)
	b = binary.BigEndian.AppendUint32(b, c.Timestamp)
	b = binary.BigEndian.AppendUint32(b, c.Dst)
	return append(b, c.Body...)
}

// appendEmptyControl appends a control packet without a body, padded as
// libudt pads it.
func appendEmptyControl(b []byte, t Type, info, dst uint32) []byte {
	return append(Control{Type: t, Info: info, Dst: dst}.Append(b), 0, 0, 0, 0)
}
