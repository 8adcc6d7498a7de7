package proto

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

// requests returns the handshakes sent since the last call, with their times.
func (s *script) requests() (hs []Handshake, at []time.Duration) {
	for _, p := range s.take() {
		if c, ok := ParseControl(p.b); ok && c.Type == TypeHandshake {
			h, ok := ParseHandshake(c.Body)
			if !ok || len(c.Body) != HandshakeSize {
				s.t.Fatalf("handshake %x", p.b)
			}
			hs, at = append(hs, h), append(at, time.Duration(p.at))
		}
	}
	return hs, at
}

func TestHandshakeRequests(t *testing.T) {
	cfg := testConfig(42)
	cfg.PeerIP = netip.MustParseAddr("192.0.2.2")
	s := newClientScript(t, cfg)
	s.pass(700 * ms)
	hs, at := s.requests()
	if want := []time.Duration{0, 250 * ms, 500 * ms}; !slices.Equal(at, want) {
		t.Errorf("requests at %v, want %v", at, want)
	}
	want := Handshake{
		Version: Version, SocketType: Stream, ISN: cfg.ISN, MSS: 1500, FlightFlag: 8192,
		Request: RequestInduction, ID: 42, IP: WireIP(cfg.PeerIP),
	}
	if hs[0] != want || hs[2] != want {
		t.Errorf("first request %+v, want %+v", hs[0], want)
	}

	s.handshake(testChallenge(cfg))
	s.pass(100 * ms)
	hs, at = s.requests()
	want.Request, want.Cookie = RequestConclusion, 0xC00C1E
	if len(hs) != 1 || hs[0] != want || at[0] != 700*ms {
		t.Errorf("the challenge is answered at %v with %+v, want at once with %+v", at, hs, want)
	}
	s.pass(200 * ms)
	if hs, at = s.requests(); len(hs) != 1 || hs[0] != want || at[0] != 950*ms {
		t.Errorf("second request repeated at %v: %+v", at, hs)
	}
}

func TestConnectTimeout(t *testing.T) {
	cfg := testConfig(1)
	cfg.ConnectTimeout = 3 * time.Second
	s := newClientScript(t, cfg)
	s.pass(3*time.Second - 1)
	if s.c.End() != EndNone || s.c.Ready().Connected {
		t.Fatalf("ended early: %d", s.c.End())
	}
	s.pass(1)
	if s.c.End() != EndTimeout || !s.c.Ready().Closed || !s.c.Ready().Connected {
		t.Errorf("end %d after the connect timeout", s.c.End())
	}
	if _, ok := s.c.NextTimeout(); ok {
		t.Error("a timer runs on a connection that is over")
	}
}

// Libudt's listener refuses a cookie silently once its minute has turned; the
// client gets itself a new one.
func TestTrapH1StaleCookie(t *testing.T) {
	cfg := testConfig(1)
	s := newClientScript(t, cfg)
	s.handshake(testChallenge(cfg))
	s.pass(800 * ms)
	hs, _ := s.requests()
	var types []RequestType
	for _, h := range hs {
		types = append(types, h.Request)
	}
	if want := []RequestType{1, -1, -1, -1, 1}; !slices.Equal(types, want) {
		t.Fatalf("requests %v, want %v", types, want)
	}
	if last := hs[len(hs)-1]; last.Cookie != 0 {
		t.Errorf("a request for a new cookie carries %x", last.Cookie)
	}
	fresh := testChallenge(cfg)
	fresh.Cookie = 0xFEED
	s.handshake(fresh)
	if hs, _ := s.requests(); len(hs) != 1 || hs[0].Request != RequestConclusion || hs[0].Cookie != 0xFEED {
		t.Errorf("answer to the new challenge: %+v", hs)
	}
	s.handshake(testResponse(cfg))
	if s.c.State() != StateConnected {
		t.Errorf("state %d", s.c.State())
	}
}

// A listener that finds the cookie stale may challenge anew at once.
func TestTrapH1SecondChallenge(t *testing.T) {
	cfg := testConfig(1)
	s := newClientScript(t, cfg)
	s.handshake(testChallenge(cfg))
	s.pass(10 * ms)
	s.take()
	fresh := testChallenge(cfg)
	fresh.Cookie = 0xFEED
	s.handshake(fresh)
	if hs, at := s.requests(); len(hs) != 1 || hs[0].Cookie != 0xFEED || at[0] != 10*ms {
		t.Errorf("answered with %+v at %v", hs, at)
	}
}

func TestChallengeWithoutCookieIsIgnored(t *testing.T) {
	cfg := testConfig(1)
	s := newClientScript(t, cfg)
	h := testChallenge(cfg)
	h.Cookie = 0
	s.take()
	s.handshake(h)
	if hs, _ := s.requests(); len(hs) != 0 || s.c.count.Invalid != 1 {
		t.Errorf("answered with %+v, %d invalid", hs, s.c.count.Invalid)
	}
}

// Libudt's repeated responses have version, type, cookie and address 0 and
// another flight size: they are good for connecting, and change nothing later.
func TestTrapH5DuplicateResponses(t *testing.T) {
	cfg := testConfig(1)
	s := newClientScript(t, cfg)
	s.handshake(testChallenge(cfg))
	dup := Handshake{ISN: cfg.ISN, MSS: 1500, FlightFlag: 25_600, Request: RequestConclusion, ID: peerSocket}
	s.handshake(dup)
	if s.c.State() != StateConnected || s.c.PeerID() != peerSocket || s.c.peerFlight != 25_600 {
		t.Fatalf("state %d, end %d, peer %d, flight %d", s.c.State(), s.c.End(), s.c.PeerID(), s.c.peerFlight)
	}

	s = newConnectedScript(t, cfg)
	flow := s.c.flowEnd
	dup.ID, dup.ISN, dup.MSS = 999, 5, 500
	s.handshake(dup)
	if s.c.PeerID() != peerSocket || s.c.MSS() != 1500 || s.c.peerFlight != 8192 || s.c.flowEnd != flow || s.c.State() != StateConnected {
		t.Errorf("a later response changed the connection: %+v", s.c)
	}
	if n := len(s.take()); n != 0 {
		t.Errorf("answered with %d packets", n)
	}
}

// Any request type of 1000 and more is a rejection, also where libudt would
// take it for success.
func TestTrapH4Rejection(t *testing.T) {
	for _, typ := range []RequestType{1000, RequestRejected, 1004, 2_000_000_000} {
		cfg := testConfig(1)
		s := newClientScript(t, cfg)
		s.handshake(testChallenge(cfg))
		h := testChallenge(cfg)
		h.Request = typ
		s.handshake(h)
		if s.c.End() != EndRejected || !s.c.Ready().Closed {
			t.Errorf("request type %d: end %d", typ, s.c.End())
		}
		s.sent = nil
		s.pass(time.Second)
		if len(s.sent) != 0 {
			t.Errorf("request type %d: %d packets follow", typ, len(s.sent))
		}
	}
}

// A rejection from a listener of ours tells what it is; libudt's is a copy of
// the request.
func TestRejectionSaysWhy(t *testing.T) {
	for want, spoil := range map[End]func(*Handshake){
		EndRejected:     func(*Handshake) {},
		EndOtherType:    func(h *Handshake) { h.SocketType = Datagram },
		EndOtherVersion: func(h *Handshake) { h.Version = 5 },
	} {
		cfg := testConfig(1)
		s := newClientScript(t, cfg)
		s.handshake(testChallenge(cfg))
		h := testChallenge(cfg)
		h.Request = RequestRejected
		spoil(&h)
		s.handshake(h)
		if s.c.End() != want {
			t.Errorf("end %d, want %d", s.c.End(), want)
		}
	}
}

// Libudt's clients check nothing of a response.
func TestTrapH4MismatchedResponse(t *testing.T) {
	for name, spoil := range map[string]func(*Handshake){
		"ISN":     func(h *Handshake) { h.ISN++ },
		"version": func(h *Handshake) { h.Version = 5 },
		"type":    func(h *Handshake) { h.SocketType = Datagram },
	} {
		cfg := testConfig(1)
		s := newClientScript(t, cfg)
		s.handshake(testChallenge(cfg))
		h := testResponse(cfg)
		spoil(&h)
		s.handshake(h)
		if s.c.End() != EndMismatched || !s.c.Ready().Closed {
			t.Errorf("%s: state %d, end %d", name, s.c.State(), s.c.End())
		}
	}
}

// A repeated challenge and the response in one batch: the request that the
// first asks for is not needed any more, and must not keep the driver awake.
func TestChallengeAndResponseTogether(t *testing.T) {
	cfg := testConfig(1)
	s := newClientScript(t, cfg)
	s.handshake(testChallenge(cfg))
	s.take()
	both := appendHandshake(appendHandshake(nil, testChallenge(cfg), 1), testResponse(cfg), 1)
	s.c.HandleRun(s.now, both, len(both)/2)
	s.step() // fails if it spins
	if hs, _ := s.requests(); s.c.State() != StateConnected || len(hs) != 0 {
		t.Errorf("state %d, requests %+v", s.c.State(), hs)
	}
}

// What can't be a response to our second request is not taken for one.
func TestResponseOutOfTurnIsIgnored(t *testing.T) {
	cfg := testConfig(1)
	s := newClientScript(t, cfg)
	s.handshake(testResponse(cfg))
	s.give(controlPacket(1, TypeHandshake, 0, 1, 2, 3))
	s.handshake(testChallenge(cfg))
	for _, id := range []uint32{0, 1 << 31} {
		h := testResponse(cfg)
		h.ID = id
		s.handshake(h)
	}
	if s.c.State() != StateConnecting || s.c.count.Invalid != 4 {
		t.Errorf("state %d, end %d, %d invalid", s.c.State(), s.c.End(), s.c.count.Invalid)
	}
	s.handshake(testResponse(cfg))
	if s.c.State() != StateConnected {
		t.Errorf("state %d", s.c.State())
	}
}

// A libudt client adopts any MSS it is told, even a larger one.
func TestTrapMSSClamp(t *testing.T) {
	for _, c := range []struct {
		own    int
		theirs uint32
		want   int
	}{
		{1500, 1500, 1500}, {1500, 9000, 1500}, {1500, 1400, 1400}, {1500, 0, 1500}, {1500, 75, 1500},
		{1500, 76, 76}, {1500, 1<<32 - 1, 1500}, {1500, 1 << 31, 1500},
	} {
		cfg := testConfig(1)
		cfg.MSS = c.own
		s := newClientScript(t, cfg)
		s.handshake(testChallenge(cfg))
		h := testResponse(cfg)
		h.MSS = c.theirs
		s.handshake(h)
		if s.c.MSS() != c.want {
			t.Errorf("client of %d told %d: MSS %d, want %d", c.own, c.theirs, s.c.MSS(), c.want)
		}
		s.c.Write(s.now, make([]byte, 5000))
		s.sent = nil
		s.step()
		for _, p := range s.sent {
			if len(p.b) > c.want-IPUDPHeaders {
				t.Errorf("a datagram of %d bytes at MSS %d", len(p.b), c.want)
			}
		}
	}
	for _, c := range []struct {
		own    int
		theirs uint32
		want   int
	}{{1500, 1500, 1500}, {1500, 9000, 1500}, {9000, 1500, 1500}, {1500, 76, 76}, {1500, 1<<32 - 1, 1500}} {
		cfg := testConfig(1)
		cfg.MSS = c.own
		h := testRequest(cfg.ISN)
		h.MSS = c.theirs
		s := &script{t: t, c: NewServer(0, cfg, h)}
		s.step()
		hs, _ := s.requests()
		if s.c.MSS() != c.want || len(hs) != 1 || hs[0].MSS != uint32(c.want) {
			t.Errorf("server of %d asked for %d: MSS %d, response %+v; want %d", c.own, c.theirs, s.c.MSS(), hs, c.want)
		}
	}
}

// A client says something at once: the listener holds its data until then.
func TestClientSpeaksWhenConnected(t *testing.T) {
	cfg := testConfig(1)
	s := newClientScript(t, cfg)
	s.handshake(testChallenge(cfg))
	s.take()
	s.handshake(testResponse(cfg))
	if n := len(s.taken(TypeKeepAlive)); n != 1 {
		t.Errorf("%d keep-alives", n)
	}
}

// Data that overtakes the response is kept, and acknowledged once connected.
func TestTrapEarlyDataKeptByClient(t *testing.T) {
	cfg := testConfig(1)
	s := newClientScript(t, cfg)
	s.data(0, []byte("too early")) // before the second request there is no peer
	s.handshake(testChallenge(cfg))
	s.data(0, []byte("hello "))
	s.data(1, []byte("world"))
	if s.c.Ready().Connected {
		t.Fatal("data made a connection")
	}
	if n := len(s.taken(TypeACK)); n != 0 {
		t.Fatalf("%d ACKs to a peer unknown", n)
	}
	s.handshake(testResponse(cfg))
	s.pass(20 * ms)
	acks := s.taken(TypeACK)
	if len(acks) == 0 {
		t.Fatal("no ACK for early data")
	}
	if a, light, ok := ParseACK(acks[0].Body); !ok || light || a.Next != s.seq(2) {
		t.Errorf("ACK %+v", a)
	}
	var p [100]byte
	if n := s.c.Read(p[:]); string(p[:n]) != "hello world" {
		t.Errorf("read %q", p[:n])
	}
}

// A gap among early packets is reported when there is somebody to report to;
// until then it must not keep the driver awake.
func TestTrapEarlyDataWithGap(t *testing.T) {
	cfg := testConfig(1)
	s := newClientScript(t, cfg)
	s.handshake(testChallenge(cfg))
	s.data(2, []byte("c")) // step fails if this makes it spin
	s.pass(5 * ms)
	if n := len(s.taken(TypeNAK)); n != 0 {
		t.Fatalf("%d NAKs to a peer unknown", n)
	}
	s.handshake(testResponse(cfg))
	naks := s.taken(TypeNAK)
	if len(naks) != 1 {
		t.Fatalf("%d NAKs", len(naks))
	}
	if r, _, ok := NextLoss(naks[0].Body); !ok || r != (SeqRange{s.seq(0), s.seq(1)}) {
		t.Errorf("NAK %v", r)
	}
}

// What anybody can send to a socket that is still connecting is bounded.
func TestEarlyDataIsBounded(t *testing.T) {
	cfg := testConfig(1)
	s := newClientScript(t, cfg)
	s.handshake(testChallenge(cfg))
	for i := range packetIndex(3 * maxOvertaking) {
		s.data(i, []byte("x"))
	}
	if s.c.rcv.next != maxOvertaking {
		t.Errorf("%d early packets kept", s.c.rcv.next)
	}
}

// A flight size of nothing, or of more than anyone has, is made usable.
func TestPeerFlightClamp(t *testing.T) {
	for theirs, want := range map[uint32]packetIndex{0: 2, 1: 2, 2: 2, 100: 100, 8192: 8192, 9000: 8192, 1<<32 - 1: 8192} {
		cfg := testConfig(1)
		s := newClientScript(t, cfg)
		s.handshake(testChallenge(cfg))
		h := testResponse(cfg)
		h.FlightFlag = theirs
		s.handshake(h)
		if s.c.flowEnd != want {
			t.Errorf("flight %d: first window %d, want %d", theirs, s.c.flowEnd, want)
		}
	}
}
