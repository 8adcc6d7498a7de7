package proto

// A chunkSet is a set of chunk numbers within a window of as many as it has
// room for. It is a bitmap with summaries: a bit of a level says that a word
// of the level below is not zero. Finding the next member, adding and removing
// one take O(log₆₄ n).
type chunkSet struct {
	levels [][]uint64 // the lowest first; the last has one word
	room   int        // a power of two
}

// makeChunkSet returns an empty set with room for a window of n chunks, a
// power of two.
func makeChunkSet(n int) chunkSet {
	s := chunkSet{room: n}
	for {
		n = (n + 63) / 64
		s.levels = append(s.levels, make([]uint64, n))
		if n == 1 {
			return s
		}
	}
}

func (s *chunkSet) add(n int64) {
	i := int(n) & (s.room - 1)
	for _, level := range s.levels {
		level[i/64] |= 1 << (i % 64)
		i /= 64
	}
}

func (s *chunkSet) remove(n int64) {
	i := int(n) & (s.room - 1)
	for _, level := range s.levels {
		level[i/64] &^= 1 << (i % 64)
		if level[i/64] != 0 {
			return
		}
		i /= 64
	}
}

// first returns the lowest member; from, where the window begins, is not above
// it.
func (s *chunkSet) first(from int64) (n int64, ok bool) {
	if s.room == 0 {
		return 0, false
	}
	begin := int(from) & (s.room - 1)
	i, ok := s.next(begin)
	if !ok {
		i, ok = s.next(0) // the window goes on at the table's beginning
	}
	return from + int64((i-begin)&(s.room-1)), ok
}

// next returns the first place at or after i that is taken.
func (s *chunkSet) next(i int) (int, bool) {
	for up, level := range s.levels {
		if i/64 >= len(level) {
			return 0, false
		}
		m := level[i/64] & (^uint64(0) << (i % 64))
		if m == 0 {
			i = i/64 + 1
			continue
		}
		i = i/64*64 + firstSet(m)
		for down := up - 1; down >= 0; down-- {
			i = i*64 + firstSet(s.levels[down][i])
		}
		return i, true
	}
	return 0, false
}
