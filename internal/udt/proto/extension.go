package proto

import "encoding/binary"

// Two ends of ours say so to each other, in the additional-info word of the
// handshake's header: the client's requests carry an offer, the listener's
// answer an acceptance. In a rendezvous first requests offer, and what answers
// an end of ours accepts. A libudt listener sends that word of the first request
// back with its challenge, and 0 with its answer, so an acceptance is never an
// offer returned; libudt's clients send 0 and don't look. A listener of ours
// remembers nothing before the cookie returns: the second request has the offer
// too.
//
// Such a listener's challenge says that it takes early data, which come right
// behind the second request, and has in its address field the socket ID that
// they are for. That depends on the listener's secret, the client's address,
// socket ID and initial sequence number, so that the listener need not remember
// it, nobody else can tell it, and the client can't choose it. Should it be
// taken, the connection gets another one, and the data have to be sent again.
const (
	extensionOffer  = 0x75637001
	extensionEarly  = 0x75637041 // in a challenge: early data are taken; in a second request: they follow
	extensionAccept = 0x75637081
)

// An extended peer is known to follow the rules of ours that libudt doesn't:
//
//   - data is acknowledged within 10 ms of the last ACK, also a full-size last
//     packet, for which libudt takes 100;
//   - a client sends something as soon as it has the listener's answer; in a
//     rendezvous handshakes carry a timestamp, and their answers bring it back;
//   - while data arrives behind a gap, full ACKs go on every 10 ms, and each full
//     ACK of six words has a seventh: see settled.

// offered says whether a request comes from an end of ours.
func (h Handshake) offered() bool { return h.Info == extensionOffer || h.Info == extensionEarly }

// early says whether early data follow a request, or are taken by the listener
// whose challenge it is.
func (h Handshake) early() bool { return h.Info == extensionEarly }

// grants makes a challenge one to a client that may send early data.
func (h *Handshake) grants(t Terms, id uint32) {
	h.Info = extensionEarly
	h.MSS, h.FlightFlag = min(h.MSS, uint32(t.MSS)), uint32(t.Window)
	binary.BigEndian.PutUint32(h.IP[:], id)
}

// granted is the socket ID that a challenge tells; 0 if there is none.
func (h Handshake) granted() uint32 {
	if id := binary.BigEndian.Uint32(h.IP[:]); h.early() && id <= SeqMask && h.MSS >= MinMSS {
		return id
	}
	return 0
}

// accepted says whether an answer comes from an end of ours.
func (h Handshake) accepted() bool { return h.Info == extensionAccept }

// settled is the receiver's side of the seventh word: every packet before it has
// arrived or was reported missing. With the NAKs it tells the sender what a list
// of all that arrived would, in one word: how far packets have come though the
// ACK stands still behind a gap.
func (c *Conn) settled() packetIndex {
	if c.naks.fresh.empty() {
		return c.rcv.high
	}
	return min(c.rcv.high, max(c.rcv.next, c.naks.fresh.front().first))
}

// unsettled reports whether an extended peer is to be told of packets that
// arrived behind a gap.
func (c *Conn) unsettled() bool { return c.extended && c.settled() > c.acks.settled }

// settledBy is the sender's side: how far packets are settled by an ACK of all
// before i. ok is false if it speaks of fewer than it acknowledges, or of packets
// that lie beyond the window. What was never sent the receiver takes for settled
// if somebody forged it; then the word tells nothing.
func (c *Conn) settledBy(a ACK, i packetIndex) (to packetIndex, ok bool) {
	if !c.extended || !a.HasSettled {
		return i, true
	}
	to = indexOf(a.Settled, c.isn, c.snd.una)
	if to > c.snd.next && to <= c.snd.next+packetIndex(c.path.MaxWindow) {
		return i, true
	}
	return to, to >= i && to <= c.snd.next
}
