package proto

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
)

// Seeds lie in testdata/fuzz. Whatever a parser takes must be written again as
// the same bytes: a field read wrongly can't hide.

func FuzzData(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		d, ok := ParseData(b)
		if !ok {
			if len(b) >= HeaderSize && !IsControl(b) {
				t.Fatal("a data packet is refused")
			}
			return
		}
		if again := d.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("written as %x", again)
		}
		if id, ok := Destination(b); !ok || id != d.Dst {
			t.Fatalf("destination %d, %v", id, ok)
		}
	})
}

func FuzzControl(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		c, ok := ParseControl(b)
		if !ok {
			if len(b) >= HeaderSize && IsControl(b) {
				t.Fatal("a control packet is refused")
			}
			return
		}
		if again := c.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("written as %x", again)
		}
	})
}

func FuzzHandshake(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		h, ok := ParseHandshake(body)
		if !ok {
			return
		}
		if again := h.Append(nil); !bytes.Equal(again, body[:HandshakeSize]) {
			t.Fatalf("written as %x", again)
		}
	})
}

func FuzzACK(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		a, light, ok := ParseACK(body)
		if !ok {
			return
		}
		again := a.AppendFull(nil)
		if light {
			again = a.AppendLight(nil)
		}
		if !bytes.HasPrefix(body, again) || light != (len(body) == len(again) && len(again) == 4) {
			t.Fatalf("written as %x", again)
		}
	})
}

func FuzzNAK(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		for {
			r, rest, ok := NextLoss(body)
			if !ok {
				return
			}
			entry := body[:len(body)-len(rest)]
			again := AppendLoss(nil, r)
			if r.First == r.Last && len(entry) == 8 { // one packet, written as a range
				binary.BigEndian.PutUint32(entry, uint32(r.First))
				entry = entry[:4]
			}
			if !bytes.Equal(again, entry) {
				t.Fatalf("%x written as %x", entry, again)
			}
			body = rest
		}
	})
}

func FuzzDropRequest(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		c, _ := ParseControl(b)
		d, ok := ParseDropRequest(c)
		if !ok {
			return
		}
		c = Control{Type: c.Type, Info: c.Info, Dst: c.Dst, Body: c.Body[:8]}
		if again := d.Append(nil, c.Dst); !bytes.Equal(again, c.Append(nil)) {
			t.Fatalf("written as %x", again)
		}
	})
}

// FuzzAcceptor: nobody gets more bytes than he sent, nor in without the cookie
// of his address.
func FuzzAcceptor(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte, sinceEpoch int64, withCookie bool) {
		jar := testJar(3)
		a := NewAcceptor(jar, Stream)
		now := Instant(max(0, sinceEpoch))
		from := netip.MustParseAddrPort("192.0.2.1:1111")
		if withCookie && len(b) == HeaderSize+HandshakeSize {
			b = bytes.Clone(b)
			binary.BigEndian.PutUint32(b[HeaderSize+28:], jar.Cookie(now, from))
		}
		in := bytes.Clone(b)
		verdict, h, reply := a.Handle(now, from, testTerms, b, nil)
		if !bytes.Equal(b, in) {
			t.Fatal("the request was written to")
		}
		ctl, isControl := ParseControl(b)
		sent, isHandshake := ParseHandshake(ctl.Body)
		sent.Info = ctl.Info
		good := isControl && isHandshake && jar.Valid(now, from, sent.Cookie)
		switch verdict {
		case VerdictIgnore:
			if len(reply) != 0 {
				t.Fatalf("ignored, but answered with %x", reply)
			}
		case VerdictReply:
			out, ok := ParseControl(reply)
			if !ok || len(reply) > len(b) || out.Dst != sent.ID || !bytes.Equal(reply[:12], b[:12]) {
				t.Fatalf("answered with %x", reply)
			}
			switch h, ok := ParseHandshake(out.Body); {
			case !ok:
				t.Fatalf("answered with %x", reply)
			case h.Request == RequestInduction:
				if !jar.Valid(now, from, h.Cookie) {
					t.Fatal("challenged with a cookie that isn't good")
				}
			case h.Request == RequestRejected:
				if !good {
					t.Fatal("judged before the cookie was shown")
				}
			default:
				t.Fatalf("answered with request type %d", h.Request)
			}
		case VerdictAccept:
			if !good || h != sent || len(reply) != 0 || h.Version != Version || h.SocketType != Stream || len(b) != 64 {
				t.Fatalf("accepted %+v", h)
			}
		}
	})
}
