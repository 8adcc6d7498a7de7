package proto

import (
	"bytes"
	"net/netip"
	"testing"
)

// The request of a libudt 4.11 client, byte for byte, and its second request.
func TestHandshakeVectors(t *testing.T) {
	h := Handshake{
		Version: Version, SocketType: Stream, ISN: 0x5f75ef5f, MSS: 1500, FlightFlag: 8192,
		Request: RequestInduction, ID: 0x33a39a9e, IP: WireIP(netip.MustParseAddr("127.0.0.1")),
	}
	first := unhex(t, `80000000 00000000 00000000 00000000  00000004 00000001 5f75ef5f 000005dc
		00002000 00000001 33a39a9e 00000000  0100007f 00000000 00000000 00000000`)
	if got := appendHandshake(nil, h, 0); !bytes.Equal(got, first) {
		t.Errorf("first request:\n%x, want\n%x", got, first)
	}
	second := unhex(t, `80000000 00000000 00000000 00000000  00000004 00000001 5f75ef5f 000005dc
		00002000 ffffffff 33a39a9e 31a1beff  0100007f 00000000 00000000 00000000`)
	h.Request, h.Cookie = RequestConclusion, 0x31a1beff
	if got := appendHandshake(nil, h, 0); !bytes.Equal(got, second) {
		t.Errorf("second request:\n%x, want\n%x", got, second)
	}
	if got, ok := ParseHandshake(second[HeaderSize:]); !ok || got != h {
		t.Errorf("second request read as %+v, ok %v", got, ok)
	}
}

func TestParseHandshakeLength(t *testing.T) {
	body := testRequest(5).Append(nil)
	if len(body) != HandshakeSize {
		t.Fatalf("a handshake has %d bytes", len(body))
	}
	for n := range HandshakeSize {
		if h, ok := ParseHandshake(body[:n]); ok {
			t.Errorf("%d bytes parsed as %+v", n, h)
		}
	}
	if h, ok := ParseHandshake(append(body, 1, 2, 3)); !ok || h != testRequest(5) {
		t.Errorf("with a tail: %+v, ok %v", h, ok)
	}
}

func TestParseHandshakeISNTopBit(t *testing.T) {
	body := testRequest(5).Append(nil)
	body[8] |= 0x80
	if h, ok := ParseHandshake(body); ok {
		t.Errorf("parsed as %+v", h)
	}
}

func TestRejected(t *testing.T) {
	for r, want := range map[RequestType]bool{
		RequestInduction: false, RequestConclusion: false, 0: false, -2: false, 999: false, -1002: false,
		1000: true, RequestRejected: true, 1004: true, 1<<31 - 1: true,
	} {
		if r.Rejected() != want {
			t.Errorf("%d: rejected %v", r, r.Rejected())
		}
	}
}

func TestWireIP(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1":             "0100007f 00000000 00000000 00000000",
		"192.0.2.5":             "050200c0 00000000 00000000 00000000",
		"::ffff:192.0.2.5":      "050200c0 00000000 00000000 00000000",
		"::1":                   "00000000 00000000 00000000 01000000",
		"2001:db8:102:304::506": "b80d0120 04030201 00000000 06050000",
	} {
		if got := WireIP(netip.MustParseAddr(addr)); !bytes.Equal(got[:], unhex(t, want)) {
			t.Errorf("%s: %x, want %s", addr, got, want)
		}
	}
}
