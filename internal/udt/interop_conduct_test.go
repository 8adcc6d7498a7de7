package udt_test

import (
	"encoding/binary"
	"testing"
)

// conduct watches the packets of one connection and fails the test when we
// send one that libudt breaks a connection over, loops on, or reads past.
type conduct struct {
	fail     func(format string, args ...any)
	ours     way
	flight   uint32 // of our handshake
	isn      uint32
	received uint32 // highest sequence number let through to us
	any      bool   // handshakes were seen
}

func newConduct(t *testing.T, ours way) *conduct { return &conduct{fail: t.Errorf, ours: ours} }

// see takes one datagram as it arrives at the relay, and its fate.
func (c *conduct) see(w way, b []byte, f fate) {
	if w != c.ours {
		if isHandshake(b) && len(b) >= 64 && !c.any {
			c.begin(binary.BigEndian.Uint32(b[16+8:]))
		}
		if isData(b) && !f.drop {
			c.received = later(c.received, binary.BigEndian.Uint32(b))
		}
		return
	}
	if len(b) < 16 {
		c.fail("we sent %d bytes: %x", len(b), b)
		return
	}
	if id := binary.BigEndian.Uint32(b[12:]); id > sequenceMask {
		c.fail("destination ID %#x is negative to libudt", id)
	}
	if !isControl(b) {
		if len(b) == 16 {
			c.fail("an empty data packet")
		}
		return
	}
	switch controlType(b) {
	case typeHandshake:
		c.handshake(b)
	case typeACK:
		c.ack(b)
	case typeNAK:
		c.nak(b)
	}
}

func (c *conduct) begin(isn uint32) {
	c.any, c.isn = true, isn
	c.received = before(isn)
}

func (c *conduct) handshake(b []byte) {
	if len(b) != 64 {
		c.fail("a handshake of %d bytes, want 64", len(b))
		return
	}
	if !c.any {
		c.begin(binary.BigEndian.Uint32(b[16+8:]))
	}
	if id := binary.BigEndian.Uint32(b[16+24:]); id == 0 || id > sequenceMask {
		c.fail("our socket ID %#x is not 1 to 0x7fffffff", id)
	}
	// A listener's first answer is a copy of the client's request.
	if c.ours == toServer || handshakeRequest(b) == -1 {
		c.flight = binary.BigEndian.Uint32(b[16+16:])
	}
}

func (c *conduct) ack(b []byte) {
	words := (len(b) - 16) / 4
	if words != 1 && words != 4 && words != 6 || len(b)%4 != 0 {
		c.fail("an ACK of %d words", words)
		return
	}
	next := binary.BigEndian.Uint32(b[16:])
	if distance(before(next), c.received) < 0 {
		c.fail("ACK of %d, but the highest we were sent is %d", next, c.received)
	}
	if words == 1 {
		if number := binary.BigEndian.Uint32(b[4:]); number != 0 {
			c.fail("a light ACK with number %d", number)
		}
		return
	}
	if window := binary.BigEndian.Uint32(b[28:]); window > c.flight || window < 2 {
		c.fail("ACK window %d, want 2 to %d, our handshake's flight size", window, c.flight)
	}
	if rtt := binary.BigEndian.Uint32(b[20:]); rtt == 0 {
		c.fail("an RTT of 0")
	}
}

func (c *conduct) nak(b []byte) {
	if len(b)%4 != 0 || len(b) == 16 {
		c.fail("a NAK of %d bytes", len(b))
		return
	}
	last := before(c.isn)
	for at := 16; at < len(b); at += 4 {
		first := binary.BigEndian.Uint32(b[at:])
		end := first
		if first > sequenceMask {
			if at += 4; at == len(b) {
				c.fail("a NAK range without its end: %x", b)
				return
			}
			first &= sequenceMask
			if end = binary.BigEndian.Uint32(b[at:]); end > sequenceMask {
				c.fail("a NAK range with a flag at its end: %x", b)
				return
			}
			if distance(first, end) <= 0 {
				c.fail("a NAK range from %d to %d", first, end)
			}
		}
		if distance(last, first) <= 0 {
			c.fail("NAK entries out of order: %x", b)
		}
		if distance(end, c.received) <= 0 {
			c.fail("NAK of %d, but the highest we were sent is %d", end, c.received)
		}
		last = end
	}
}

func TestConduct(t *testing.T) {
	handshake := func(request, flight, id uint32) []byte {
		return packet(0x80000000, 0, 0, 0, 4, 1, 100, 1500, flight, request, id, 0, 0, 0, 0, 0)
	}
	data := packet(104, 0xc0000001, 0, 7, 1)
	for _, c := range []struct {
		name string
		b    []byte
		bad  bool
	}{
		{"light ACK", packet(0x80020000, 0, 0, 7, 105), false},
		{"ACK", packet(0x80020000, 1, 0, 7, 105, 100, 50, 64, 1, 1), false},
		{"NAK", packet(0x80030000, 0, 0, 7, 100, 0x80000000|102, 103), false},
		{"short", []byte{1, 2, 3}, true},
		{"negative ID", packet(0x80010000, 0, 0, 0x80000007, 0), true},
		{"empty data", packet(100, 0xc0000001, 0, 7), true},
		{"long handshake", append(handshake(0xffffffff, 64, 9), 0, 0, 0, 0), true},
		{"negative ID of ours", handshake(0xffffffff, 64, 0x80000009), true},
		{"ACK of the future", packet(0x80020000, 1, 0, 7, 106, 100, 50, 64), true},
		{"light ACK of the future", packet(0x80020000, 0, 0, 7, 106), true},
		{"numbered light ACK", packet(0x80020000, 5, 0, 7, 105), true},
		{"three words of ACK", packet(0x80020000, 1, 0, 7, 105, 100, 50), true},
		{"window above flight", packet(0x80020000, 1, 0, 7, 105, 100, 50, 65), true},
		{"window of one", packet(0x80020000, 1, 0, 7, 105, 100, 50, 1), true},
		{"no RTT", packet(0x80020000, 1, 0, 7, 105, 0, 50, 64), true},
		{"empty NAK", packet(0x80030000, 0, 0, 7), true},
		{"NAK of what was received last", packet(0x80030000, 0, 0, 7, 104), true},
		{"half a range", packet(0x80030000, 0, 0, 7, 0x80000000|101), true},
		{"inverted range", packet(0x80030000, 0, 0, 7, 0x80000000|103, 102), true},
		{"flag at a range's end", packet(0x80030000, 0, 0, 7, 0x80000000|101, 0x80000000|102), true},
		{"NAK out of order", packet(0x80030000, 0, 0, 7, 102, 101), true},
		{"NAK before the first", packet(0x80030000, 0, 0, 7, 99), true},
	} {
		bad := 0
		w := &conduct{fail: func(string, ...any) { bad++ }, ours: toClient}
		w.see(toServer, handshake(1, 8192, 7), fate{})
		w.see(toClient, handshake(0xffffffff, 64, 9), fate{})
		w.see(toServer, data, fate{})
		w.see(toServer, packet(110, 0xc0000001, 0, 7, 1), fate{drop: true})
		if bad > 0 {
			t.Fatalf("%d complaints about good packets", bad)
		}
		if w.see(toClient, c.b, fate{}); bad > 0 != c.bad {
			t.Errorf("%s: %d complaints", c.name, bad)
		}
	}
}

func packet(words ...uint32) (b []byte) {
	for _, w := range words {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return b
}

// distance is how far b is ahead of a, sequence numbers both.
func distance(a, b uint32) int32 {
	return int32((b-a)<<1) >> 1
}

func before(s uint32) uint32 { return (s - 1) & sequenceMask }

func later(a, b uint32) uint32 {
	if distance(a, b) > 0 {
		return b
	}
	return a
}
