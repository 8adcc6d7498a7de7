package transfer

import (
	"lukechampine.com/blake3/guts"
)

const (
	defaultChunk = minChunk
	// fileMemory is what a side spends on the chunks of files, in bytes: reading, hashing, writing and the network each
	// at work on a few. More than stays in the processor's caches makes all of that slower.
	fileMemory = 6 << 20
	// streamMemory is the same for pipes: the sender keeps chunks until the receiver has handed them on, and the receiver
	// can hold as many behind one that must be sent again, and spareChunks to go on with. It bounds what is on its way.
	streamMemory = 28 << 20
	spareChunks  = 4
	// headRoom is what stands before the payload in a chunk's buffer, so that a data frame is one Write.
	headRoom = headerLen + dataHead
)

// fileChunks is how many chunks of a size a side works on.
func fileChunks(size int) int { return max(fileMemory/size, hashers()+spareChunks) }

// chunk is one payload on its way through the goroutines of one end. Exactly one of them owns it at a time; it goes back
// to its pool when nobody needs the bytes.
type chunk struct {
	room []byte // headRoom and then the payload's longest; made at first use, kept for ever after
	n    int    // bytes of payload
	place
	piece  bool          // sum is of the payload alone
	hole   bool          // all zeros, which are nowhere but in zeroBytes
	repair bool          // came because it was asked for again (receiver)
	node   guts.Node     // top of the subtree, set with sum
	good   bool          // verified (receiver)
	ready  chan struct{} // one token: hashed

	from *reading // what the payload is to be read from first, if it is not here yet (sender)
	in   *inbound // the file it belongs to (receiver)
	home *pool    // where it goes back to, if not to the session's (mender)
}

// payload is the bytes. An empty file's chunk may have no room at all.
func (c *chunk) payload() []byte {
	if c.n == 0 {
		return nil
	}
	if c.hole {
		return zeroBytes[:c.n]
	}
	return c.room[headRoom : headRoom+c.n]
}

// space is where a payload of up to size bytes is read to.
func (c *chunk) space(size int) []byte {
	if c.room == nil {
		// Room for the digest to read whole strides.
		c.room = make([]byte, headRoom+size+strideSize)
	}
	return c.room[headRoom : headRoom+size]
}

// hash sets node and gives the digest the wire has for the payload.
func (c *chunk) hash() [32]byte {
	if c.piece {
		return root(subtree(c.payload(), 0))
	}
	c.node = subtree(c.payload(), uint64(c.offset)/leafSize)
	return valueBytes(guts.ChainingValue(c.node))
}

// chunkSum is the digest the wire has for a payload at an offset.
func chunkSum(b []byte, offset int64, piece bool) [32]byte {
	if piece {
		return root(subtree(b, 0))
	}
	return valueBytes(guts.ChainingValue(subtree(b, uint64(offset)/leafSize)))
}

// frame is the data frame, header and payload in one piece of memory.
func (c *chunk) frame(repair bool) []byte {
	var flags byte
	if c.piece {
		flags |= flagPiece
	}
	if repair {
		flags |= flagRepair
	}
	putPlace(c.room[headerLen:], c.place)
	putHeader(c.room, frameData, flags, dataHead+c.n, c.room[headerLen:headRoom])
	return c.room[:headRoom+c.n]
}

// end is the offset behind the payload.
func (c *chunk) end() int64 { return c.offset + int64(c.n) }

// pool lends out at most a fixed number of chunks. They are made when first wanted: a transfer that never has many in
// flight never has many in memory.
type pool struct {
	free chan *chunk
	may  chan struct{} // a token for each that may still be made
}

// newPool makes a pool of n chunks that can grow to most.
func newPool(n, most int) *pool {
	p := &pool{free: make(chan *chunk, most), may: make(chan struct{}, most)}
	p.grow(n)
	return p
}

// grow allows n chunks more.
func (p *pool) grow(n int) {
	for range n {
		p.may <- struct{}{}
	}
}

// get waits for a chunk; nil when stop comes first.
func (p *pool) get(stop <-chan struct{}) *chunk {
	if c := p.try(); c != nil {
		return c
	}
	select {
	case c := <-p.free:
		return c
	case <-p.may:
		return newChunk()
	case <-stop:
		return nil
	}
}

// try is get without waiting.
func (p *pool) try() *chunk {
	select {
	case c := <-p.free:
		return c
	default:
	}
	select {
	case c := <-p.free:
		return c
	case <-p.may:
		return newChunk()
	default:
		return nil
	}
}

func newChunk() *chunk { return &chunk{ready: make(chan struct{}, 1)} }

// put gives a chunk back.
func (p *pool) put(c *chunk) {
	*c = chunk{room: c.room, ready: c.ready}
	p.free <- c
}
