package proto

import (
	"bytes"
	"testing"
)

// testTerms are what a listener grants.
var testTerms = Terms{MSS: 1500, Window: 8192}

func testAcceptor() *Acceptor { return NewAcceptor(testJar(3), Stream) }

// request makes the datagram of a client's request.
func request(h Handshake) []byte { return appendHandshake(nil, h, 0) }

// cookieFor runs the first exchange and returns the cookie.
func cookieFor(t testing.TB, a *Acceptor, now Instant) uint32 {
	t.Helper()
	h := testRequest(1000)
	h.Request, h.Cookie = RequestInduction, 0
	verdict, _, reply := a.Handle(now, clientAddr, testTerms, request(h), nil)
	ctl, ok := ParseControl(reply)
	if verdict != VerdictReply || !ok {
		t.Fatalf("first request: verdict %d, reply %x", verdict, reply)
	}
	got, ok := ParseHandshake(ctl.Body)
	if !ok {
		t.Fatalf("reply %x", reply)
	}
	return got.Cookie
}

// The challenge is the request, byte for byte, but for destination and cookie,
// and with words 0 to 2 of the header as they came.
func TestAcceptorEchoesRequest(t *testing.T) {
	a := testAcceptor()
	h := testRequest(0x5f75ef5f)
	h.Request, h.Cookie, h.Version, h.SocketType = RequestInduction, 0, 9, Datagram // not judged yet
	h.IP = [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	in := request(h)
	copy(in, unhex(t, "8000abcd 01020304 05060708"))
	buf := []byte("before")
	verdict, _, reply := a.Handle(0, clientAddr, testTerms, in, buf)
	if verdict != VerdictReply || !bytes.HasPrefix(reply, buf) {
		t.Fatalf("verdict %d, reply %q", verdict, reply)
	}
	reply = reply[len(buf):]
	ctl, _ := ParseControl(reply)
	got, ok := ParseHandshake(ctl.Body)
	if !ok || got.Cookie == 0 || ctl.Dst != peerSocket {
		t.Fatalf("reply to %d: %+v, ok %v", ctl.Dst, got, ok)
	}
	want := h
	want.Cookie = got.Cookie
	if got != want {
		t.Errorf("reply %+v, want %+v", got, want)
	}
	if !bytes.Equal(reply[:12], in[:12]) {
		t.Errorf("header words %x, the request had %x", reply[:12], in[:12])
	}
}

func TestAcceptorAccepts(t *testing.T) {
	a := testAcceptor()
	// libudt's listener treats every type but 1 as the second request.
	for _, typ := range []RequestType{RequestConclusion, 0, -2, -7} {
		h := testRequest(1000)
		h.Cookie, h.Request = cookieFor(t, a, 0), typ
		verdict, got, reply := a.Handle(0, clientAddr, testTerms, request(h), nil)
		if verdict != VerdictAccept || got != h || len(reply) != 0 {
			t.Errorf("request type %d: verdict %d, %+v, reply %x", typ, verdict, got, reply)
		}
	}
}

// A second request whose cookie isn't good is challenged anew, where libudt
// falls silent.
func TestTrapH1FreshChallenge(t *testing.T) {
	a := testAcceptor()
	h := testRequest(1000)
	h.Cookie = cookieFor(t, a, 0)
	later := Instant(2 * CookieEpoch)
	verdict, _, reply := a.Handle(later, clientAddr, testTerms, request(h), nil)
	ctl, _ := ParseControl(reply)
	fresh, ok := ParseHandshake(ctl.Body)
	if verdict != VerdictReply || !ok || fresh.Request != RequestInduction || fresh.Cookie == h.Cookie {
		t.Fatalf("verdict %d, reply %+v", verdict, fresh)
	}
	h.Cookie = fresh.Cookie
	if verdict, _, _ := a.Handle(later, clientAddr, testTerms, request(h), nil); verdict != VerdictAccept {
		t.Errorf("the fresh cookie gets verdict %d", verdict)
	}
	// The cookie is worth nothing to anyone else.
	if verdict, _, _ := a.Handle(later, serverAddr, testTerms, request(h), nil); verdict != VerdictReply {
		t.Errorf("the cookie from another address gets verdict %d", verdict)
	}
}

// The turn of the minute that libudt's cookies do not survive.
func TestTrapH1EpochTurns(t *testing.T) {
	a := testAcceptor()
	h := testRequest(1000)
	h.Cookie = cookieFor(t, a, Instant(CookieEpoch)-1)
	if verdict, _, _ := a.Handle(Instant(CookieEpoch), clientAddr, testTerms, request(h), nil); verdict != VerdictAccept {
		t.Errorf("verdict %d", verdict)
	}
}

// Wrong version, type or an impossible MSS: a copy of the request that says
// 1002 and what the listener is, but only to one who has shown a cookie.
func TestAcceptorRejects(t *testing.T) {
	a := testAcceptor()
	for name, spoil := range map[string]func(*Handshake){
		"version": func(h *Handshake) { h.Version = 5 },
		"type":    func(h *Handshake) { h.SocketType = Datagram },
		"MSS":     func(h *Handshake) { h.MSS = MinMSS - 1 },
	} {
		h := testRequest(1000)
		spoil(&h)
		in := request(h)
		copy(in, unhex(t, "80001234 01020304 05060708"))
		verdict, _, reply := a.Handle(0, clientAddr, testTerms, in, nil)
		if ctl, _ := ParseControl(reply); verdict != VerdictReply || !hasRequest(ctl, RequestInduction) {
			t.Errorf("%s, without a cookie: verdict %d, reply %x", name, verdict, reply)
		}

		h.Cookie = cookieFor(t, a, 0)
		in = append(in[:HeaderSize], h.Append(nil)...)
		verdict, _, reply = a.Handle(0, clientAddr, testTerms, in, nil)
		want := h
		want.Request, want.Version, want.SocketType = RequestRejected, Version, Stream
		wire := append(bytes.Clone(in[:12]), 0, 0, peerSocket>>8, peerSocket&0xFF)
		wire = want.Append(wire)
		if verdict != VerdictReply || !bytes.Equal(reply, wire) {
			t.Errorf("%s: verdict %d, reply\n%x, want\n%x", name, verdict, reply, wire)
		}
	}
}

func hasRequest(c Control, r RequestType) bool {
	h, ok := ParseHandshake(c.Body)
	return ok && h.Request == r
}

func TestReject(t *testing.T) {
	h := testRequest(1000)
	in := request(h)
	ctl, _ := ParseControl(in)
	reply := Reject(ctl, h, nil)
	got, _ := ParseControl(reply)
	if !hasRequest(got, RequestRejected) || got.Dst != h.ID || len(reply) > len(in) {
		t.Errorf("rejection %x", reply)
	}
}

func TestAcceptorIgnores(t *testing.T) {
	a := testAcceptor()
	good := testRequest(1000)
	good.Cookie = cookieFor(t, a, 0)
	with := func(change func(*Handshake)) []byte {
		h := good
		change(&h)
		return request(h)
	}
	for name, b := range map[string][]byte{
		"nothing":           nil,
		"15 bytes":          make([]byte, 15),
		"data":              Data{Seq: 1, Payload: make([]byte, 48)}.Append(nil),
		"a keep-alive":      appendEmptyControl(nil, TypeKeepAlive, 0, 0),
		"48 bytes of user":  Control{Type: TypeUser, Body: good.Append(nil)}.Append(nil),
		"one byte less":     request(good)[:HeaderSize+47],
		"one byte more":     append(request(good), 0),
		"only a header":     request(good)[:HeaderSize],
		"ID 0":              with(func(h *Handshake) { h.ID = 0 }),
		"negative ID":       with(func(h *Handshake) { h.ID = 1 << 31 }),
		"a rejection":       with(func(h *Handshake) { h.Request = RequestRejected }),
		"another rejection": with(func(h *Handshake) { h.Request = 1000 }),
		"ISN of 32 bits":    with(func(h *Handshake) { h.ISN |= 1 << 31 }),
	} {
		if verdict, _, reply := a.Handle(0, clientAddr, testTerms, b, nil); verdict != VerdictIgnore || len(reply) != 0 {
			t.Errorf("%s: verdict %d, reply %x", name, verdict, reply)
		}
	}
}
