package udpio

// maxRun is the longest payload one send can carry: 65,535 less an IPv4 and a UDP header (RFC 768, RFC 791).
const maxRun = 65535 - 20 - 8

// piece plans the next send from a message of the given length and segment size, of which off bytes are done:
// how many bytes to send, and the segment size to tell the kernel, 0 for a single datagram. No piece has more
// than maxSegments datagrams or, if it has more than one, more than maxRun bytes.
func piece(length, segment, off, maxSegments int) (n, seg int) {
	rest := length - off
	if segment <= 0 || rest <= segment {
		return rest, 0
	}
	k := min(maxSegments, maxRun/segment)
	if k <= 1 {
		return segment, 0
	}
	return min(rest, k*segment), segment
}
