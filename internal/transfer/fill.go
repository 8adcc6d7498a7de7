package transfer

// While the sender waits for the answer to its first questions, what it has said is too little to tell the connection below
// anything about the path. So it sends with them about as much as a transport sends before it has heard of the path (16
// packets of UDT; RFC 6928 has 10): bytes that mean nothing. When the answer comes, a round trip has been learned from, and
// the files begin one round trip faster.

const (
	fillSize = 22 << 10 // with what is said before it, 16 packets of 1500 bytes
	// fillShare is how many times as much must be asked about.
	fillShare = 64
)

// fill is what goes along with the question that makes up asked bytes in all; nil if that is not worth it.
func fill(asked int64) *pingBody {
	if asked < fillShare*fillSize {
		return nil
	}
	return &pingBody{Fill: make([]byte, fillSize)}
}
