package proto

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

// peerISN is where the peer that the test plays starts counting, in a
// rendezvous: not where we do.
const peerISN = SeqMask - 1

// newRendezvousScript starts a rendezvous; its first request is in sent.
func newRendezvousScript(t testing.TB, cfg Config) *script {
	s := &script{t: t, c: NewRendezvous(0, cfg)}
	s.step()
	return s
}

// testMeeting is a handshake of the peer that dials as well.
func testMeeting(r RequestType) Handshake {
	return Handshake{
		Version: Version, SocketType: Stream, ISN: peerISN, MSS: 1500, FlightFlag: 4000,
		Request: r, ID: peerSocket,
	}
}

// agreement is what a libudt peer answers that is connected.
func agreement() Handshake {
	return Handshake{ISN: peerISN, MSS: 1500, FlightFlag: 25_600, Request: RequestAgreement, ID: peerSocket}
}

// request gives a handshake with the socket ID 0.
func (s *script) request(h Handshake) {
	s.t.Helper()
	b := request(h)
	s.c.HandleRequest(s.now, b)
	clear(b)
	s.step()
}

// sentTo returns the handshakes sent since the last call, and to which sockets.
func (s *script) sentTo() (hs []Handshake, to []uint32) {
	for _, c := range s.taken(TypeHandshake) {
		h, ok := ParseHandshake(c.Body)
		if !ok || len(c.Body) != HandshakeSize || c.Timestamp == 0 && h.Request != RequestAgreement {
			s.t.Fatalf("handshake %x", c.Body)
		}
		h.Info = c.Info
		hs, to = append(hs, h), append(to, c.Dst)
	}
	return hs, to
}

// halfWay is a rendezvous that has heard the peer's first request.
func halfWay(t testing.TB, cfg Config) *script {
	s := newRendezvousScript(t, cfg)
	s.request(testMeeting(RequestRendezvous))
	s.take()
	return s
}

func TestRendezvousRequests(t *testing.T) {
	cfg := testConfig(42)
	s := newRendezvousScript(t, cfg)
	s.pass(600 * ms)
	sent := slices.Clone(s.sent)
	hs, to := s.sentTo()
	want := Handshake{
		Version: Version, SocketType: Stream, ISN: cfg.ISN, MSS: 1500, FlightFlag: 8192,
		Request: RequestRendezvous, ID: 42, IP: WireIP(cfg.PeerIP), Info: extensionOffer,
	}
	if !slices.Equal(hs, []Handshake{want, want, want}) || !slices.Equal(to, []uint32{0, 0, 0}) {
		t.Errorf("requests %+v to %v, want three of %+v", hs, to, want)
	}
	for i, p := range sent {
		if want := Instant(i) * Instant(250*ms); p.at != want {
			t.Errorf("request %d at %v", i, time.Duration(p.at))
		}
	}

	// From the peer's first request on it is told that it was heard.
	s.request(testMeeting(RequestRendezvous))
	s.pass(300 * ms)
	hs, to = s.sentTo()
	want.Request = RequestConclusion
	if !slices.Equal(hs, []Handshake{want, want}) || !slices.Equal(to, []uint32{peerSocket, peerSocket}) {
		t.Errorf("requests %+v to %v, want two of %+v", hs, to, want)
	}
}

// What each handshake does before and after the peer was first heard.
func TestRendezvousStates(t *testing.T) {
	for _, c := range []struct {
		heard     bool // the peer, before
		got       Handshake
		toZero    bool // sent to the socket ID 0
		connected bool
		answer    RequestType
	}{
		{false, testMeeting(0), true, false, -1},
		{false, testMeeting(0), false, false, -1},
		{false, testMeeting(-1), false, false, -1},
		{false, testMeeting(-1), true, false, -1},
		{false, agreement(), false, false, -1},
		{true, testMeeting(0), true, false, -1},
		{true, testMeeting(0), false, false, -1},
		{true, testMeeting(-1), false, true, -2},
		{true, testMeeting(-1), true, false, -1}, // anybody can say that
		{true, testMeeting(-2), false, true, 1},
		{true, agreement(), false, true, 1},
		{true, agreement(), true, false, -1},
	} {
		s := newRendezvousScript(t, testConfig(1))
		if c.heard {
			s = halfWay(t, testConfig(1))
		}
		s.take()
		if c.toZero {
			s.request(c.got)
		} else {
			s.handshake(c.got)
		}
		hs, to := s.sentTo()
		answered := len(hs) == 1 && hs[0].Request == c.answer && to[0] == peerSocket
		if c.answer == 1 { // the peer knows all that it has to
			answered = len(hs) == 0
		}
		if (s.c.State() == StateConnected) != c.connected || !answered {
			t.Errorf("heard %v, got %d to 0 %v: state %d, sent %+v to %v", c.heard, c.got.Request, c.toZero, s.c.State(), hs, to)
		}
	}
}

// Each end counts from a number of its own.
func TestRendezvousNumbers(t *testing.T) {
	cfg := testConfig(1)
	cfg.ISN = 5000
	s := halfWay(t, cfg)
	s.handshake(agreement())
	s.c.Write(s.now, []byte("ours"))
	s.step()
	sent := s.take()
	if d, ok := ParseData(sent[len(sent)-1].b); !ok || d.Seq != cfg.ISN || string(d.Payload) != "ours" {
		t.Errorf("sent %+v", d)
	}
	for i, want := range []Seq{SeqMask, 0, 1} {
		s.give(Data{Seq: Seq(peerISN).Add(i), Boundary: BoundarySolo, Dst: s.c.ID(), Payload: []byte("x")}.Append(nil))
		s.pass(12 * ms)
		full, _, _ := s.acks()
		if len(full) == 0 || full[len(full)-1].Next != want {
			t.Errorf("packet %d acknowledged by %+v", i, full)
		}
	}
	s.give(Data{Seq: 5, Dst: s.c.ID(), Payload: []byte("x")}.Append(nil))
	naks := s.taken(TypeNAK)
	if len(naks) != 1 {
		t.Fatalf("%d NAKs", len(naks))
	}
	if r, _, ok := NextLoss(naks[0].Body); !ok || r != (SeqRange{1, 4}) {
		t.Errorf("NAK %v", r)
	}
	s.control(TypeACK, 1, 5001, 20_000, 1000, 100, 1000, 10_000)
	if s.c.Unacknowledged() != 0 {
		t.Error("our data was not acknowledged")
	}
}

// A peer that is connected first may be silent about it but in what it sends,
// none of which is lost.
func TestRendezvousCompletedByData(t *testing.T) {
	s := halfWay(t, testConfig(1))
	s.give(Data{Seq: peerISN, Boundary: BoundarySolo, Dst: 1, Payload: []byte("hello")}.Append(nil))
	if s.c.State() != StateConnected || s.c.PeerID() != peerSocket || s.c.peerFlight != 4000 {
		t.Fatalf("state %d, peer %d, flight %d", s.c.State(), s.c.PeerID(), s.c.peerFlight)
	}
	if full, _, _ := s.acks(); len(full) != 1 || full[0].Next != SeqMask {
		t.Errorf("acknowledged by %+v", full)
	}
	var p [10]byte
	if n := s.c.Read(p[:]); string(p[:n]) != "hello" {
		t.Errorf("read %q", p[:n])
	}
}

func TestRendezvousCompletedByControl(t *testing.T) {
	s := halfWay(t, testConfig(1))
	s.control(TypeKeepAlive, 0)
	if s.c.State() != StateConnected || len(s.taken(TypeKeepAlive)) != 1 {
		t.Errorf("a keep-alive: state %d", s.c.State())
	}
	s = halfWay(t, testConfig(1))
	s.control(TypeShutdown, 0)
	s.pass(time.Second)
	if s.c.State() != StateConnected || s.c.End() != EndPeer {
		t.Errorf("a shutdown: state %d, end %d", s.c.State(), s.c.End())
	}
}

// Nothing completes a rendezvous with a peer that was never heard, and no data
// that can't be the peer's does.
func TestRendezvousNotCompleted(t *testing.T) {
	s := newRendezvousScript(t, testConfig(1))
	s.control(TypeKeepAlive, 0)
	s.give(Data{Seq: peerISN, Dst: 1, Payload: []byte("x")}.Append(nil))
	if s.c.State() != StateConnecting {
		t.Errorf("state %d before the peer was heard", s.c.State())
	}
	s = halfWay(t, testConfig(1))
	for _, seq := range []Seq{peerISN - 1, Seq(peerISN).Add(8192), 1 << 30} {
		s.give(Data{Seq: seq, Dst: 1, Payload: []byte("x")}.Append(nil))
	}
	if s.c.State() != StateConnecting || s.c.count.Invalid != 3 || s.c.count.DataReceived != 0 {
		t.Errorf("state %d, %+v", s.c.State(), s.c.count)
	}
}

// Requests that come late are answered by a connected end, with its own numbers,
// and change nothing.
func TestRendezvousLateRequests(t *testing.T) {
	cfg := testConfig(1)
	s := halfWay(t, cfg)
	s.handshake(agreement())
	s.pass(time.Second)
	s.take()
	late := testMeeting(RequestConclusion)
	late.FlightFlag, late.MSS = 7, 100
	for _, r := range []RequestType{RequestRendezvous, RequestConclusion} {
		late.Request = r
		s.handshake(late)
		hs, to := s.sentTo()
		want := Handshake{
			Version: Version, SocketType: Stream, ISN: cfg.ISN, MSS: 1500, FlightFlag: 8192,
			Request: RequestAgreement, ID: 1, IP: WireIP(cfg.PeerIP), Info: extensionOffer,
		}
		if !slices.Equal(hs, []Handshake{want}) || to[0] != peerSocket {
			t.Errorf("request %d is answered with %+v, want %+v", r, hs, want)
		}
	}
	stranger := testMeeting(RequestConclusion)
	stranger.ID = 5
	for _, h := range []Handshake{agreement(), testMeeting(RequestInduction), testMeeting(RequestRejected), stranger} {
		s.handshake(h)
	}
	s.request(testMeeting(RequestRendezvous))
	if hs, _ := s.sentTo(); len(hs) != 0 {
		t.Errorf("answered with %+v", hs)
	}
	if s.c.peerFlight != 4000 || s.c.MSS() != 1500 || s.c.PeerID() != peerSocket {
		t.Errorf("flight %d, MSS %d, peer %d", s.c.peerFlight, s.c.MSS(), s.c.PeerID())
	}
}

// Trap H6: each libudt end adopts the other's MSS. We send by the smaller one,
// say so to a peer that would adopt ours, and take what we have said we can.
func TestTrapH6MSS(t *testing.T) {
	for _, c := range []struct {
		own    int
		theirs uint32
		want   int
	}{{1500, 1000, 1000}, {1000, 1500, 1000}, {1500, 9000, 1500}, {1500, 76, 76}, {1500, 1<<32 - 1, 1500}} {
		cfg := testConfig(1)
		cfg.MSS = c.own
		s := newRendezvousScript(t, cfg)
		h := testMeeting(RequestConclusion)
		h.MSS = c.theirs
		s.handshake(h)
		s.handshake(h)
		hs, _ := s.sentTo()
		if len(hs) != 3 || hs[0].MSS != uint32(c.own) || hs[1].MSS != uint32(c.want) || hs[2].MSS != uint32(c.want) || s.c.MSS() != c.want {
			t.Errorf("own %d, theirs %d: MSS %d, sent %+v", c.own, c.theirs, s.c.MSS(), hs)
		}
		s.pass(20 * ms)
		s.c.Write(s.now, make([]byte, 5000))
		s.step()
		for _, p := range s.take() {
			if len(p.b) > c.want-IPUDPHeaders && !IsControl(p.b) {
				t.Errorf("a datagram of %d bytes at MSS %d", len(p.b), c.want)
			}
		}
		full := bytes.Repeat([]byte("f"), c.own-IPUDPHeaders-HeaderSize)
		s.give(Data{Seq: peerISN, Dst: 1, Payload: full}.Append(nil))
		got := make([]byte, c.own)
		if n := s.c.Read(got); n != len(full) {
			t.Errorf("own %d, theirs %d: took %d bytes of a packet of %d", c.own, c.theirs, n, len(full))
		}
	}
}

// Trap H6: libudt looks at neither version nor socket type. A peer that is
// known for sure to have others ends the attempt, once it was told ours.
func TestTrapH6Mismatch(t *testing.T) {
	for name, spoil := range map[string]func(*Handshake){
		"version":        func(h *Handshake) { h.Version = 5 },
		"no version":     func(h *Handshake) { h.Version = 0 },
		"type":           func(h *Handshake) { h.SocketType = Datagram },
		"half an answer": func(h *Handshake) { h.Request, h.Version = RequestAgreement, 0 },
	} {
		s := newRendezvousScript(t, testConfig(1))
		s.take()
		h := testMeeting(RequestRendezvous)
		spoil(&h)
		s.request(h) // of anybody
		hs, to := s.sentTo()
		if s.c.State() != StateConnecting || len(hs) != 1 || hs[0].Request != RequestRendezvous || to[0] != peerSocket {
			t.Errorf("%s: state %d, answered with %+v to %v", name, s.c.State(), hs, to)
		}
		h = testMeeting(RequestConclusion)
		spoil(&h)
		s.handshake(h) // of the peer
		hs, to = s.sentTo()
		if s.c.End() != EndMismatched || len(hs) != 1 || hs[0].Request != RequestRendezvous || to[0] != peerSocket {
			t.Errorf("%s: end %d, answered with %+v to %v", name, s.c.End(), hs, to)
		}
		s.pass(time.Second)
		if n := len(s.take()); n != 0 {
			t.Errorf("%s: %d packets after the end", name, n)
		}
	}
}

// A peer whose type was seen, but that never heard us, is known by the time the
// attempt is over; and it doesn't keep us from another.
func TestMismatchUnsure(t *testing.T) {
	s := newRendezvousScript(t, testConfig(1))
	alien := testMeeting(RequestRendezvous)
	alien.SocketType = Datagram
	s.request(alien)
	s.pass(10 * time.Second)
	if s.c.End() != EndMismatched {
		t.Errorf("end %d", s.c.End())
	}

	s = newRendezvousScript(t, testConfig(1))
	s.request(alien)
	s.request(testMeeting(RequestRendezvous))
	s.handshake(testMeeting(RequestConclusion))
	if s.c.State() != StateConnected {
		t.Errorf("state %d", s.c.State())
	}
}

func TestRendezvousTimeout(t *testing.T) {
	for _, s := range []*script{newRendezvousScript(t, testConfig(1)), halfWay(t, testConfig(1))} {
		s.pass(10*time.Second - 1)
		if s.c.End() != EndNone {
			t.Fatalf("ended early: %d", s.c.End())
		}
		s.pass(1)
		if s.c.End() != EndTimeout || !s.c.Ready().Closed {
			t.Errorf("end %d", s.c.End())
		}
	}
}

// A listener of ours challenges what it takes for a client's request.
func TestRendezvousMeetsListener(t *testing.T) {
	s := newRendezvousScript(t, testConfig(1))
	verdict, _, reply := testAcceptor().Handle(0, clientAddr, testTerms, s.sent[0].b, nil)
	if verdict != VerdictReply {
		t.Fatalf("verdict %d", verdict)
	}
	s.give(reply)
	if s.c.End() != EndListener {
		t.Errorf("end %d", s.c.End())
	}
}

// Nonsense, and what anybody who can forge an address may send, neither ends the
// attempt nor connects it to anyone but the peer.
func TestRendezvousHostile(t *testing.T) {
	own := Handshake{Version: Version, SocketType: Stream, ISN: 1000, MSS: 1500, FlightFlag: 8192, ID: 1}
	for name, h := range map[string]Handshake{
		"a client's request":  testMeeting(RequestInduction),
		"a rejection":         testMeeting(RequestRejected),
		"type 2":              testMeeting(2),
		"type -3":             testMeeting(-3),
		"no ID":               {Version: Version, SocketType: Stream, MSS: 1500},
		"a negative ID":       {Version: Version, SocketType: Stream, MSS: 1500, ID: 1 << 31},
		"packets of 75 bytes": {Version: Version, SocketType: Stream, MSS: 75, ID: peerSocket},
		"our own request":     own,
	} {
		s := newRendezvousScript(t, testConfig(1))
		s.take()
		s.request(h)
		s.handshake(h)
		if hs, _ := s.sentTo(); len(hs) != 0 || s.c.count.Invalid != 2 {
			t.Errorf("%s: answered with %+v, %d invalid", name, hs, s.c.count.Invalid)
		}
		s.request(testMeeting(RequestRendezvous))
		s.request(h)
		s.handshake(h)
		s.handshake(testMeeting(RequestConclusion))
		if s.c.State() != StateConnected || s.c.PeerID() != peerSocket {
			t.Errorf("%s: state %d, end %d, peer %d", name, s.c.State(), s.c.End(), s.c.PeerID())
		}
	}

	s := newRendezvousScript(t, testConfig(1))
	s.handshake(testMeeting(RequestConclusion)) // the peer has heard us
	forged := testMeeting(RequestRendezvous)
	forged.ID, forged.ISN = 666, 5
	s.request(forged)
	if hs, to := s.sentTo(); len(hs) != 3 || to[2] != 666 {
		t.Fatalf("%+v to %v", hs, to)
	}
	s.pass(250 * ms)
	if _, to := s.sentTo(); !slices.Equal(to, []uint32{peerSocket}) {
		t.Errorf("repeated to %v", to)
	}
	s.control(TypeKeepAlive, 0)
	if s.c.PeerID() != peerSocket || s.c.rcv.isn != peerISN {
		t.Errorf("met %d from %d on", s.c.PeerID(), s.c.rcv.isn)
	}

	for _, b := range [][]byte{nil, make([]byte, 15), request(testMeeting(0))[:40], Data{Seq: peerISN}.Append(nil),
		controlPacket(0, TypeKeepAlive, 0), controlPacket(0, TypeShutdown, 0), appendHandshake(nil, testMeeting(-1), 1)} {
		s := halfWay(t, testConfig(1))
		s.c.HandleRequest(s.now, b)
		s.step()
		if n := len(s.take()); s.c.State() != StateConnecting || n != 0 {
			t.Errorf("%x: state %d, %d packets", b, s.c.State(), n)
		}
	}
	c := NewClient(0, testConfig(1))
	c.HandleRequest(0, request(testMeeting(RequestRendezvous)))
	if c.hs.request.Request != RequestInduction || c.count.Invalid != 0 {
		t.Error("a client took a rendezvous's request")
	}
}

// A blocking libudt peer is connected by a handshake and lost by anything else
// (traps H2, H3), so it has its -2 first.
func TestTrapH2RendezvousHoldsData(t *testing.T) {
	s := halfWay(t, testConfig(1))
	s.handshake(testMeeting(RequestConclusion))
	s.c.Write(s.now, []byte("early"))
	s.step()
	s.pass(25 * ms)
	var kinds []string
	for _, p := range s.take() {
		kind := "data"
		if c, ok := ParseControl(p.b); ok {
			h, _ := ParseHandshake(c.Body)
			kind = map[bool]string{true: "-2"}[c.Type == TypeHandshake && h.Request == RequestAgreement]
		}
		kinds = append(kinds, kind+" "+time.Duration(p.at).String())
	}
	if want := []string{"-2 0s", "-2 10ms", "-2 20ms", "data 20ms"}; !slices.Equal(kinds, want) {
		t.Errorf("sent %v, want %v", kinds, want)
	}
	for name, sign := range map[string]func(s *script){
		"-2":           func(s *script) { s.handshake(agreement()) },
		"a keep-alive": func(s *script) { s.control(TypeKeepAlive, 0) },
	} {
		s := halfWay(t, testConfig(1))
		s.handshake(testMeeting(RequestConclusion))
		s.c.Write(s.now, []byte("early"))
		s.pass(2 * ms)
		s.take()
		sign(s)
		if n := len(s.takenData()); n != 1 {
			t.Errorf("%s: %d data packets follow", name, n)
		}
	}
}

// Trap H5: the -2 of libudt has a constant where its requests have the size of
// its buffer.
func TestTrapH5Flight(t *testing.T) {
	s := halfWay(t, testConfig(1))
	s.handshake(agreement())
	if s.c.peerFlight != 4000 {
		t.Errorf("flight %d", s.c.peerFlight)
	}
	s = halfWay(t, testConfig(1))
	h := agreement()
	h.ID = 778 // the peer has started anew meanwhile
	s.handshake(h)
	if s.c.peerFlight != 25_600 || s.c.PeerID() != 778 {
		t.Errorf("flight %d, peer %d", s.c.peerFlight, s.c.PeerID())
	}
}

// An end of ours is one that offers itself in a first request, or that answers
// one of ours; a word of ours that is merely returned makes nobody one.
func TestRendezvousExtension(t *testing.T) {
	for _, c := range []struct {
		first, second uint32
		want          bool
	}{
		{extensionOffer, extensionAccept, true},
		{0, 0, false},
		{0, extensionOffer, false},
		{extensionOffer, 0, false},
	} {
		s := newRendezvousScript(t, testConfig(1))
		s.take()
		h := testMeeting(RequestRendezvous)
		h.Info = c.first
		s.request(h)
		hs, _ := s.sentTo()
		if answer := map[bool]uint32{true: extensionAccept, false: extensionOffer}[c.first != 0]; len(hs) != 1 || hs[0].Info != answer {
			t.Errorf("%x is answered with %+v", c.first, hs)
		}
		h.Request, h.Info = RequestConclusion, c.second
		s.handshake(h)
		if s.c.State() != StateConnected || s.c.extended != c.want {
			t.Errorf("%+v: state %d, extended %v", c, s.c.State(), s.c.extended)
		}
	}
	s := newRendezvousScript(t, testConfig(1))
	h := testMeeting(RequestRendezvous)
	h.Info = extensionOffer
	s.request(h)
	s.control(TypeKeepAlive, 0)
	if !s.c.extended {
		t.Error("an end of ours that a keep-alive completed is not known for one")
	}
}

// The peer's answer to our only request, or a timestamp that came back, tells
// the round trip; nothing else does.
func TestRendezvousRoundTrip(t *testing.T) {
	s := newRendezvousScript(t, testConfig(1))
	s.pass(30 * ms)
	s.handshake(testMeeting(RequestConclusion))
	if s.c.rtt.srtt != 30*ms {
		t.Errorf("round trip %v", s.c.rtt.srtt)
	}

	s = newRendezvousScript(t, testConfig(1))
	s.pass(300 * ms)
	s.handshake(testMeeting(RequestConclusion))
	s.pass(5 * ms)
	s.handshake(testMeeting(RequestConclusion))
	s.pass(3 * ms)
	s.control(TypeKeepAlive, 0) // may have crossed our -2
	if s.c.rtt.measured {
		t.Errorf("round trip %v of several requests", s.c.rtt.srtt)
	}

	s = newRendezvousScript(t, testConfig(1))
	s.pass(600 * ms)
	h := testMeeting(RequestConclusion)
	h.Info, h.Cookie = extensionAccept, 560_000
	s.handshake(h)
	if s.c.rtt.srtt != 40*ms {
		t.Errorf("round trip %v", s.c.rtt.srtt)
	}
	// Ours bring the peer's back, at once or not at all.
	s.take()
	s.give(appendRequest(nil, h, 1, 12345))
	hs, _ := s.sentTo()
	if len(hs) != 1 || hs[0].Request != RequestAgreement || hs[0].Cookie != 12345 {
		t.Errorf("answered with %+v", hs)
	}
	s.pass(12 * ms)
	if hs, _ = s.sentTo(); len(hs) != 1 || hs[0].Cookie != 0 {
		t.Errorf("repeated as %+v", hs)
	}
}
