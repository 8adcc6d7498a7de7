package proto

import "encoding/binary"

// ACK is the body of an acknowledgement (draft-gg-udt-03, section 3.2). A
// light ACK has the first word only; a full one has four or six, or seven
// between two ends of ours (extension.go).
type ACK struct {
	Next Seq // the first packet not yet received; everything before it is
	// Full ACKs only:
	RTT, RTTVar uint32 // microseconds, as the receiver estimates them
	Window      uint32 // free receive buffer, packets
	// Six-word ACKs only (HasRates):
	HasRates    bool
	ArrivalRate int32 // packets/s; zero or less means unknown
	Capacity    int32 // packets/s; zero or less means unknown
	// Seven-word ACKs only (HasSettled):
	HasSettled bool
	Settled    Seq // every packet before it has arrived or was reported missing
}

const (
	lightACKSize    = 4
	shortACKSize    = 16
	fullACKSize     = 24
	extendedACKSize = 28
)

// minACKWindow is the least window that a full ACK gives, as in libudt, packets.
const minACKWindow = 2

// ParseACK reads the body of an ACK. light is true for the one-word form,
// which is told apart by its length alone. Full ACKs shorter than four words
// are refused: libudt reads past their end.
func ParseACK(body []byte) (a ACK, light, ok bool) {
	if len(body) < lightACKSize {
		return ACK{}, false, false
	}
	w := binary.BigEndian.Uint32(body)
	if w > SeqMask {
		return ACK{}, false, false
	}
	a.Next = Seq(w)
	if len(body) == lightACKSize {
		return a, true, true
	}
	if len(body) < shortACKSize {
		return ACK{}, false, false
	}
	a.RTT = binary.BigEndian.Uint32(body[4:])
	a.RTTVar = binary.BigEndian.Uint32(body[8:])
	a.Window = binary.BigEndian.Uint32(body[12:])
	if len(body) >= fullACKSize {
		a.HasRates = true
		a.ArrivalRate = int32(binary.BigEndian.Uint32(body[16:]))
		a.Capacity = int32(binary.BigEndian.Uint32(body[20:]))
	}
	if len(body) >= extendedACKSize {
		w := binary.BigEndian.Uint32(body[24:])
		a.HasSettled, a.Settled = w <= SeqMask, Seq(w&SeqMask)
	}
	return a, false, true
}

// AppendFull appends the body of a full ACK: four words, six or seven.
func (a ACK) AppendFull(b []byte) []byte {
	b = a.AppendLight(b)
	b = binary.BigEndian.AppendUint32(b, a.RTT)
	b = binary.BigEndian.AppendUint32(b, a.RTTVar)
	b = binary.BigEndian.AppendUint32(b, a.Window)
	if a.HasRates {
		b = binary.BigEndian.AppendUint32(b, uint32(a.ArrivalRate))
		b = binary.BigEndian.AppendUint32(b, uint32(a.Capacity))
	}
	if a.HasSettled {
		b = binary.BigEndian.AppendUint32(b, uint32(a.Settled)&SeqMask)
	}
	return b
}

// AppendLight appends the body of a light ACK.
func (a ACK) AppendLight(b []byte) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(a.Next)&SeqMask)
}

// nextACKNumber follows n; ACK numbers start at 1 and wrap to 0.
func nextACKNumber(n uint32) uint32 { return (n + 1) & SeqMask }
