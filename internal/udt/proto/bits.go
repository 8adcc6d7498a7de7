package proto

import "math/bits"

// bitRange returns a mask of the bits from up to but not including to.
func bitRange(from, to int) uint64 {
	if from >= to {
		return 0
	}
	return ^uint64(0) << from & (^uint64(0) >> (64 - to))
}

// firstSet returns the lowest set bit, 64 if none.
func firstSet(m uint64) int { return bits.TrailingZeros64(m) }
