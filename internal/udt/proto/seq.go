package proto

// Seq is a 31-bit packet sequence number. It counts packets, not bytes, and
// wraps from 0x7FFFFFFF to 0 (draft-gg-udt-03, section 6).
type Seq uint32

// SeqMask keeps the 31 bits of a sequence number.
const SeqMask = 1<<31 - 1

// Add moves s by n packets, forward or back, modulo 2³¹.
func (s Seq) Add(n int) Seq {
	return Seq((uint32(s) + uint32(n)) & SeqMask)
}

// Sub returns the signed distance from t to s modulo 2³¹, in [-2³⁰, 2³⁰).
func (s Seq) Sub(t Seq) int {
	d := (uint32(s) - uint32(t)) & SeqMask
	return int(int32(d<<1) >> 1)
}

// Before reports whether s comes before t on the shorter way round.
func (s Seq) Before(t Seq) bool { return s.Sub(t) < 0 }

// A packetIndex counts the packets of one direction from its initial sequence
// number, without wrapping: index 0 is the packet whose number is the ISN.
// Everything inside the engine works on indices; only the wire has Seqs.
type packetIndex int64

// indexOf returns the index of s, taken as the one nearest to near.
func indexOf(s Seq, isn Seq, near packetIndex) packetIndex {
	return near + packetIndex(s.Sub(isn.Add(int(near&SeqMask))))
}

// seqOf is the inverse of indexOf.
func (i packetIndex) seqOf(isn Seq) Seq { return isn.Add(int(i & SeqMask)) }
