package proto

// An Epitaph is what a connection that is over still says to a peer that has
// missed the end: what had arrived, and that nobody is here any more. It is a
// value of its own, so that the connection's buffers need not be kept for it.
type Epitaph struct {
	peerID  uint32
	ack     ACK
	number  uint32 // of the ACK
	aborted bool   // not everything was delivered
}

// Epitaph returns what remains to be said once the connection is over.
func (c *Conn) Epitaph() Epitaph {
	a := ACK{Next: c.rcv.next.seqOf(c.rcv.isn), Window: minACKWindow}
	a.RTT, a.RTTVar = c.rtt.words()
	return Epitaph{peerID: c.peerID, ack: a, number: nextACKNumber(c.acks.number), aborted: c.end != EndLocal}
}

// Repeats tells whether b, a packet from the peer, has data that had arrived.
func (e *Epitaph) Repeats(b []byte) bool {
	d, ok := ParseData(b)
	return ok && d.Seq.Before(e.ack.Next)
}

// Answer appends to out the datagrams that answer b. A peer that repeats data has
// missed the last ACK: without it, it would take for lost what is not. Nothing
// else is acknowledged, since an ACK is a sign of life to a peer that doubts the
// shutdown. Who sends a shutdown knows.
func (e *Epitaph) Answer(out []Run, b []byte) []Run {
	if ctl, ok := ParseControl(b); ok && ctl.Type == TypeShutdown {
		return out
	}
	if e.Repeats(b) {
		out = appendDatagram(out, e.ack.AppendFull(Control{Type: TypeACK, Info: e.number, Dst: e.peerID}.Append(nil)))
	}
	return appendDatagram(out, AppendShutdown(nil, e.peerID, e.aborted))
}

func appendDatagram(out []Run, b []byte) []Run { return append(out, Run{Buf: b, Segment: len(b)}) }
