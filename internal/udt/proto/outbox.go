package proto

import "encoding/binary"

// A UserPacket is a control packet of type 0x7FFF, which UDT leaves to its
// users. It is sent once: it may get lost, come twice or out of order.
type UserPacket struct {
	Kind  uint16   // the sub-type
	Words []uint32 // as many as a packet has room for; UDT sends one zero for none
}

// outgoing is a control packet that the user asked for.
type outgoing struct {
	typ  Type
	ext  uint16
	info uint32
	body []byte
}

// maxOutbox is how many of them wait to be sent at most.
const maxOutbox = 256

// SendUser queues a user packet; false if there is no connection, too many wait
// already or it is longer than a packet.
func (c *Conn) SendUser(p UserPacket) bool {
	if len(p.Words)*4 > c.mss-IPUDPHeaders-HeaderSize {
		return false
	}
	var body []byte
	for _, w := range p.Words {
		body = binary.BigEndian.AppendUint32(body, w)
	}
	return c.post(outgoing{typ: TypeUser, ext: p.Kind, body: body})
}

// SendError tells the peer that what it sends can't be used (type 8). Libudt
// sends 4000 and looks at no code. It returns false as SendUser does.
func (c *Conn) SendError(code uint32) bool {
	return c.post(outgoing{typ: TypePeerError, info: code})
}

func (c *Conn) post(p outgoing) bool {
	open := c.state == StateConnected || c.state == StateDraining
	if !open || c.bye.heard == byeBelieved || len(c.outbox.all()) >= maxOutbox {
		return false
	}
	c.outbox.push(p)
	return true
}

// transmitOutbox appends what the user asked for.
func (c *Conn) transmitOutbox(out []Run) []Run {
	for !c.outbox.empty() && len(out) < cap(out) {
		p := c.outbox.pop()
		out = c.packet(out, func(b []byte) []byte {
			b = Control{Type: p.typ, Ext: p.ext, Info: p.info, Dst: c.peerID, Body: p.body}.Append(b)
			if len(p.body) == 0 {
				b = append(b, make([]byte, controlPadding)...)
			}
			return b
		})
	}
	return out
}

// onUser takes a user packet: for the controller if it wants it, and for the
// application if it keeps any. What nobody takes in time is dropped.
func (c *Conn) onUser(now Instant, ctl Control) {
	keep := len(c.inbox.all()) < c.cfg.UserQueue
	if c.events.user == nil && !keep {
		return
	}
	p := UserPacket{Kind: ctl.Ext, Words: make([]uint32, len(ctl.Body)/4)}
	for i := range p.Words {
		p.Words[i] = binary.BigEndian.Uint32(ctl.Body[4*i:])
	}
	if keep {
		c.inbox.push(p)
	}
	if c.events.user != nil {
		c.refreshPath(now)
		c.events.user.OnUser(&c.path, p)
		c.applyRate()
	}
}

// TakeUser returns the next user packet that has come.
func (c *Conn) TakeUser() (p UserPacket, ok bool) {
	if c.inbox.empty() {
		return UserPacket{}, false
	}
	return c.inbox.pop(), true
}
