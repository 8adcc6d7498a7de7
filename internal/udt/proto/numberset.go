package proto

// numberSetSize is how many message numbers are remembered, a power of two.
const numberSetSize = 4096

// A numberSet remembers which of the latest message numbers have been seen. A
// libudt sender that has dropped a message may send another one twice, under
// different sequence numbers (protocol trap D7).
type numberSet struct {
	bits [numberSetSize / 64]uint64
	top  uint32 // highest number seen
}

// add notes a number and reports whether it is new. Of numbers too far behind
// the highest nothing is known: they count as new.
func (s *numberSet) add(number uint32) bool {
	ahead := int32(number-s.top) << 3 >> 3 // 29 bits that wrap
	if ahead <= -numberSetSize {
		return true
	}
	for i := range min(ahead, numberSetSize) {
		s.remove(number - uint32(i))
	}
	if ahead > 0 {
		s.top = number
	}
	word, bit := &s.bits[number%numberSetSize/64], uint64(1)<<(number%64)
	isNew := *word&bit == 0
	*word |= bit
	return isNew
}

func (s *numberSet) remove(number uint32) {
	s.bits[number%numberSetSize/64] &^= 1 << (number % 64)
}
