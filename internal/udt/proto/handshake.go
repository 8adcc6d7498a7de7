package proto

import (
	"encoding/binary"
	"net/netip"
)

// Version is the protocol version this engine speaks.
const Version = 4

// SocketType is what both ends of a connection must agree on. The draft
// numbers the types 0 and 1; every implementation uses 1 and 2.
type SocketType uint32

// Socket types.
const (
	Stream   SocketType = 1
	Datagram SocketType = 2
)

// RequestType says which step of connection set-up a handshake is.
type RequestType int32

// Request types. Values of 1000 and more are rejections.
const (
	RequestInduction  RequestType = 1  // first request, and the listener's challenge to it
	RequestRendezvous RequestType = 0  // first request to an end that dials as well
	RequestConclusion RequestType = -1 // second request, and the listener's answer to it
	RequestAgreement  RequestType = -2 // rendezvous: from an end that is connected
	RequestRejected   RequestType = 1002
)

// Rejected reports whether r refuses the connection.
func (r RequestType) Rejected() bool { return r >= 1000 }

// HandshakeSize is the length of a handshake body in bytes; a libudt listener
// ignores any other.
const HandshakeSize = 48

// Handshake is the body of a handshake packet.
type Handshake struct {
	Version    uint32
	SocketType SocketType
	ISN        Seq         // initial sequence number
	MSS        uint32      // bytes, IP and UDP headers included
	FlightFlag uint32      // most packets in flight the sender of this handshake can take
	Request    RequestType // step, or rejection
	ID         uint32      // socket ID of the sender of this handshake
	Cookie     uint32      // opaque to the client; rendezvous: see answerTo
	IP         [16]byte    // as on the wire; see WireIP
	Info       uint32      // not of the body: the header's additional-info word (extension.go)
	EarlyID    uint32      // not of the body: the listener's socket that early data of this request are for; 0 = none
}

// ParseHandshake reads a handshake body. Longer bodies are accepted and their
// tails ignored.
func ParseHandshake(body []byte) (h Handshake, ok bool) {
	if len(body) < HandshakeSize {
		return Handshake{}, false
	}
	w := func(i int) uint32 { return binary.BigEndian.Uint32(body[4*i:]) }
	h = Handshake{
		Version:    w(0),
		SocketType: SocketType(w(1)),
		ISN:        Seq(w(2) & SeqMask),
		MSS:        w(3),
		FlightFlag: w(4),
		Request:    RequestType(int32(w(5))),
		ID:         w(6),
		Cookie:     w(7),
	}
	copy(h.IP[:], body[32:])
	return h, w(2) <= SeqMask
}

// Append appends the body.
func (h Handshake) Append(b []byte) []byte {
	for _, w := range [...]uint32{
		h.Version, uint32(h.SocketType), uint32(h.ISN), h.MSS,
		h.FlightFlag, uint32(h.Request), h.ID, h.Cookie,
	} {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return append(b, h.IP[:]...)
}

// appendHandshake appends a whole handshake packet.
func appendHandshake(b []byte, h Handshake, dst uint32) []byte {
	b = Control{Type: TypeHandshake, Info: h.Info, Dst: dst}.Append(b)
	return h.Append(b)
}

// appendRequest appends a connection request, stamped with the time in
// microseconds; 0 would be no stamp. A listener's socket has the ID 0.
func appendRequest(b []byte, h Handshake, dst, stamp uint32) []byte {
	b = Control{Type: TypeHandshake, Info: h.Info, Timestamp: max(1, stamp), Dst: dst}.Append(b)
	return h.Append(b)
}

// WireIP encodes an address as UDT does on a little-endian machine: each group
// of four bytes reversed, an IPv4 address in the first group.
func WireIP(a netip.Addr) (ip [16]byte) {
	if a.Is4() || a.Is4In6() {
		b := a.As4()
		copy(ip[:], b[:])
	} else {
		ip = a.As16()
	}
	for i := 0; i < 16; i += 4 {
		ip[i], ip[i+1], ip[i+2], ip[i+3] = ip[i+3], ip[i+2], ip[i+1], ip[i]
	}
	return ip
}
