package proto

import (
	"encoding/binary"
	"testing"
	"time"
)

// FuzzPeer reads its input as a script of what a peer says that keeps to no rule, from the handshake on, and of what
// happens here meanwhile. Unlike the forger of FuzzConn it has all that a peer knows, and may say what nobody could tell
// from the truth. Nothing it says breaks an invariant, grows what we hold, or keeps a connection from ending.
func FuzzPeer(f *testing.F) {
	f.Fuzz(func(t *testing.T, in []byte) { newHostile(t, in[:min(len(in), 4096)]).play() })
}

// hostile is a peer.
type hostile struct {
	*script
	in   []byte
	said int // bytes of payload, each as often as it came
	got  int // bytes that were read here
}

// Bits of a script's first byte.
const (
	hostileServer     = 1 << iota // our end was accepted by a listener
	hostileRendezvous             // or has dialled who dialled it
	hostileMessages
	hostileBBR
	hostileKnown // the peer begins as one of ours does
)

func newHostile(t *testing.T, in []byte) *hostile {
	h := &hostile{in: in}
	mode := h.byte()
	cfg := testConfig(100)
	cfg.Window, cfg.UserQueue, cfg.EarlyData = 2+int(h.byte()), 4, true
	cfg.ISN = Seq(SeqMask - int(h.byte()))
	if mode&hostileMessages != 0 {
		cfg.Type = Datagram
	}
	if mode&hostileBBR != 0 {
		cfg.Controller = NewBBR()
	}
	h.script = &script{t: t}
	switch {
	case mode&hostileServer != 0:
		first := testRequest(cfg.ISN)
		first.SocketType = cfg.Type
		if mode&hostileKnown != 0 {
			first.Info = extensionOffer
			if mode&hostileBBR != 0 {
				first.Info = extensionEarly
			}
		}
		first.FlightFlag, first.MSS = h.word(8192), max(MinMSS, h.word(1500))
		h.c = NewServer(0, cfg, first)
	case mode&hostileRendezvous != 0:
		h.c = NewRendezvous(0, cfg)
	default:
		h.c = NewClient(0, cfg)
	}
	h.look()
	if mode&(hostileServer|hostileRendezvous|hostileKnown) == hostileKnown { // a listener that is no worse than others
		h.handshake(testChallenge(cfg))
		last := testResponse(cfg)
		last.SocketType, last.Info = cfg.Type, extensionAccept
		h.give(appendHandshakeOf(last, h.c.ID()))
	}
	return h
}

// appendHandshakeOf is a handshake packet with the header's word of its sender.
func appendHandshakeOf(h Handshake, dst uint32) []byte {
	return h.Append(Control{Type: TypeHandshake, Info: h.Info, Dst: dst}.Append(nil))
}

// byte reads the next byte of the script, 0 at its end.
func (h *hostile) byte() byte {
	if len(h.in) == 0 {
		return 0
	}
	b := h.in[0]
	h.in = h.in[1:]
	return b
}

// word is a number near the one that would be right, or one that may be far from anything.
func (h *hostile) word(right uint32) uint32 {
	switch b := h.byte(); b {
	case 255:
		return binary.BigEndian.Uint32([]byte{h.byte(), h.byte(), h.byte(), h.byte()})
	case 254:
		return 1<<31 - 1
	case 253:
		return 1<<32 - 1
	case 252:
		return 0
	default:
		return right + uint32(int32(int8(b<<1))>>1)
	}
}

// seqNear is a word that may be a sequence number near packet i of one direction.
func (h *hostile) seqNear(isn Seq, i packetIndex) uint32 { return h.word(uint32(i.seqOf(isn))) }

func (h *hostile) play() {
	for len(h.in) > 0 {
		h.op()
		h.look()
	}
	// The peer falls silent.
	h.c.Close(h.now, time.Second)
	for n := 0; h.c.End() == EndNone; n++ {
		if n > 10_000 || h.now > Instant(time.Hour) {
			h.t.Fatalf("at %v: it does not end: state %d", time.Duration(h.now), h.c.State())
		}
		at, ok := h.c.NextTimeout()
		if !ok {
			h.t.Fatalf("at %v: it waits for nothing: state %d", time.Duration(h.now), h.c.State())
		}
		h.now = max(h.now, at)
		h.look()
	}
}

func (h *hostile) op() {
	c, id := h.c, h.c.ID()
	switch h.byte() & 15 {
	case 0, 1: // data
		n := 8 * int(h.byte())
		first := h.byte()
		d := Data{Boundary: Boundary(first >> 6), InOrder: first&32 != 0, Dst: id, Payload: make([]byte, n)}
		d.Seq, d.Message = Seq(h.seqNear(c.rcv.isn, c.rcv.next)&SeqMask), h.word(uint32(first&31)+1)&messageMask
		h.said += n
		h.hear(d.Append(nil))
	case 2, 3: // ACK
		words := []uint32{
			h.seqNear(c.isn, c.snd.next), h.word(20_000), h.word(1000), h.word(100),
			h.word(1000), h.word(10_000), h.seqNear(c.isn, c.snd.next), 0,
		}
		h.hear(controlPacket(id, TypeACK, h.word(c.ackNumber+1), words[:1+h.byte()&7]...))
	case 4: // NAK
		var words []uint32
		for n := h.byte() & 15; n > 0; n-- {
			words = append(words, h.seqNear(c.isn, c.snd.una)^uint32(n&1)<<31)
		}
		h.hear(controlPacket(id, TypeNAK, 0, words...))
	case 5:
		h.hear(controlPacket(id, TypeACK2, h.word(c.acks.number)))
	case 6:
		h.hear(controlPacket(id, TypeDropRequest, h.word(1), h.seqNear(c.rcv.isn, c.rcv.next), h.seqNear(c.rcv.isn, c.rcv.next)))
	case 7: // a handshake, to us or, as the first of a rendezvous is, to nobody
		how := h.byte()
		s := Handshake{
			Version: h.word(Version), SocketType: SocketType(h.word(uint32(c.cfg.Type))), ISN: Seq(h.seqNear(c.isn, 0)),
			MSS: h.word(1500), FlightFlag: h.word(8192), Request: RequestType(int8(how)) >> 4,
			ID: h.word(peerSocket), Cookie: h.word(1),
			Info: []uint32{0, extensionOffer, extensionAccept, h.word(0)}[how&3],
		}
		if how&4 != 0 {
			c.HandleRequest(h.now, appendHandshakeOf(s, 0))
			break
		}
		h.hear(appendHandshakeOf(s, id))
	case 8: // any other control packet
		kind := Type(h.byte())
		if kind == 255 {
			kind = TypeUser
		}
		h.hear(controlPacket(id, kind, h.word(0), []uint32{h.word(0), h.word(0), h.word(0), h.word(0)}[:h.byte()&3]...))
	case 9: // anything
		n := min(int(h.byte()), len(h.in))
		b := append([]byte(nil), h.in[:n]...)
		h.in = h.in[n:]
		if n >= HeaderSize {
			binary.BigEndian.PutUint32(b[12:], id)
		}
		h.said += n
		h.hear(b)
	case 10: // some time, in which nobody looked
		h.now = h.now.Add(time.Microsecond << (h.byte() % 25))
		c.HandleTimeout(h.now) // a timer may begin another that is due already
	case 11: // the next timer
		if at, ok := c.NextTimeout(); ok {
			h.now = max(h.now, min(at, h.now.Add(time.Minute)))
		}
	case 12:
		n := 1 + int(h.byte())*int(h.byte())
		if c.messages() {
			if c.State() == StateConnected && c.MaxMessage() > 0 {
				c.WriteMessage(h.now, make([]byte, min(n, c.MaxMessage())), MessageOptions{
					TTL: time.Duration(n%3) * time.Millisecond, InOrder: n%2 == 0,
				})
			}
			break
		}
		c.Write(h.now, make([]byte, n))
	case 13:
		h.read()
	case 14:
		c.TakeUser()
		c.SendUser(UserPacket{Kind: 1, Words: []uint32{2}})
	case 15:
		switch n := h.byte(); {
		case n == 255:
			c.Abort(h.now)
		case n > 240:
			c.Close(h.now, time.Duration(n-240)*time.Second)
		}
	}
}

// hear hands a packet over, which is not kept.
func (h *hostile) hear(b []byte) {
	h.c.HandleDatagram(h.now, b)
	clear(b)
}

func (h *hostile) read() {
	b := make([]byte, 4096)
	if h.c.messages() {
		if n, _, ok := h.c.ReadMessage(b); ok {
			h.got += n
		}
	} else {
		h.got += h.c.Read(b)
	}
	if h.got > h.said {
		h.t.Fatalf("%d bytes were read of %d that came", h.got, h.said)
	}
}

// look lets the connection do what it has to, and looks at what it holds and sends.
func (h *hostile) look() {
	h.step()
	for _, p := range h.take() {
		if n := len(p.b); n > h.c.MSS()-IPUDPHeaders && n != HeaderSize+HandshakeSize {
			h.t.Fatalf("a packet of %d bytes, where %d are agreed on", n, h.c.MSS())
		}
	}
	if m := memory(h.c); m > 4<<20 {
		h.t.Fatalf("%d bytes are held for a window of %d packets", m, h.c.cfg.Window)
	}
}
