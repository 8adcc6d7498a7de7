package proto

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// earlyConfig is testConfig of a client that sends early data.
func earlyConfig() Config {
	cfg := testConfig(1)
	cfg.EarlyData = true
	return cfg
}

// earlyChallenge is testChallenge of a listener that takes early data.
func earlyChallenge() Handshake {
	h := testChallenge(testConfig(1))
	h.grants(testTerms, earlySocket)
	return h
}

// earlyResponse is testResponse to them, from the socket they were addressed to.
func earlyResponse() Handshake {
	h := testResponse(testConfig(1))
	h.Info, h.ID = extensionAccept, earlySocket
	return h
}

// earlySocket is the socket ID that early data are addressed to.
const earlySocket = 4711

// destinations returns the socket IDs of the data packets sent since the last
// call.
func (s *script) destinations() (ids []uint32) {
	for _, p := range s.take() {
		if d, ok := ParseData(p.b); ok {
			ids = append(ids, d.Dst)
		}
	}
	return ids
}

// Data goes right behind the second request, to the socket that it will make.
func TestEarlyDataFollowsTheRequest(t *testing.T) {
	s := newClientScript(t, earlyConfig())
	s.pass(30 * ms)
	s.take()
	s.handshake(earlyChallenge())
	if !s.c.Ready().Connected || s.c.State() != StateConnected || s.c.PeerID() != earlySocket {
		t.Fatalf("state %d, peer's ID %d", s.c.State(), s.c.PeerID())
	}
	s.write(3)
	s.step()
	first, ok := ParseControl(s.sent[0].b)
	if !ok || first.Type != TypeHandshake || first.Info != extensionEarly || first.Dst != 0 {
		t.Fatalf("the first packet is %x", s.sent[0].b)
	}
	if ids := s.destinations(); !slices.Equal(ids, []uint32{earlySocket, earlySocket, earlySocket}) {
		t.Errorf("data for %d", ids)
	}
	s.handshake(earlyChallenge()) // a copy
	if n := len(s.take()); n != 0 {
		t.Errorf("%d packets in answer to a copy of the challenge", n)
	}
	s.pass(20 * ms)
	s.handshake(earlyResponse())
	if n := len(s.taken(TypeKeepAlive)); n != 1 {
		t.Errorf("%d keep-alives tell the listener of its answer", n)
	}
	s.pass(600 * ms)
	if n := len(s.taken(TypeHandshake)); n != 0 {
		t.Errorf("%d requests after the answer", n)
	}
	s.pass(15 * time.Second)
	if s.c.End() != EndNone {
		t.Errorf("end %d: the time to connect is not over with the answer", s.c.End())
	}
}

// Who did not ask for it, or meets another listener, waits for the answer.
func TestEarlyDataIsAgreed(t *testing.T) {
	plain := testChallenge(testConfig(1))
	echoed := plain
	echoed.Info = extensionOffer
	tiny := earlyChallenge()
	tiny.MSS = MinMSS - 1
	nobody := earlyChallenge()
	nobody.grants(testTerms, 0)
	for name, c := range map[string]struct {
		cfg       Config
		challenge Handshake
	}{
		"libudt": {earlyConfig(), plain}, "echo": {earlyConfig(), echoed}, "not asked for": {testConfig(1), earlyChallenge()},
		"packets too small": {earlyConfig(), tiny}, "no ID": {earlyConfig(), nobody},
	} {
		s := newClientScript(t, c.cfg)
		s.handshake(c.challenge)
		second, _ := ParseControl(s.sent[len(s.sent)-1].b)
		if s.c.State() != StateConnecting || second.Info != extensionOffer {
			t.Errorf("%s: state %d, request with %x", name, s.c.State(), second.Info)
		}
	}
}

// The listener marks its challenge for clients that it can take, and says what it
// grants; to others it is as libudt's. It is never longer than the request.
func TestAcceptorTakesEarlyData(t *testing.T) {
	offer := testRequest(1000)
	offer.Request, offer.Info = RequestInduction, extensionOffer
	again, other, old, alien := offer, offer, offer, offer
	again.Info, again.Request = extensionEarly, RequestConclusion // its cookie is stale
	other.SocketType = Datagram
	old.Version = 3
	alien.Info = 0
	for name, c := range map[string]struct {
		h    Handshake
		info uint32
	}{
		"ours": {offer, extensionEarly}, "stale": {again, extensionEarly}, "other type": {other, extensionOffer},
		"other version": {old, extensionOffer}, "libudt": {alien, 0},
	} {
		in := request(c.h)
		verdict, _, reply := testAcceptor().Handle(0, clientAddr, Terms{MSS: 1400, Window: 77}, in, nil)
		ctl, _ := ParseControl(reply)
		h, ok := ParseHandshake(ctl.Body)
		h.Info = ctl.Info
		if verdict != VerdictReply || !ok || len(reply) > len(in) || ctl.Info != c.info {
			t.Fatalf("%s: verdict %d, reply %x", name, verdict, reply)
		}
		mss, flight := uint32(1500), uint32(8192)
		if c.info == extensionEarly {
			mss, flight = 1400, 77
		}
		if id := h.granted(); (id != 0) != (c.info == extensionEarly) {
			t.Errorf("%s: socket ID %d", name, id)
		}
		if h.MSS != mss || h.FlightFlag != flight || h.Request != RequestInduction {
			t.Errorf("%s: %+v", name, h)
		}
	}
	small := offer
	small.MSS = 1000
	_, _, reply := testAcceptor().Handle(0, clientAddr, testTerms, request(small), nil)
	ctl, _ := ParseControl(reply)
	if h, _ := ParseHandshake(ctl.Body); h.MSS != 1000 {
		t.Errorf("a client of 1000 bytes is granted %d", h.MSS)
	}
}

// The socket ID of a request is the one that its challenge told, and depends on
// all that tells clients apart.
func TestEarlySocketID(t *testing.T) {
	a := testAcceptor()
	granted := func(from netip.AddrPort, id uint32, isn Seq) uint32 {
		h := testRequest(isn)
		h.ID, h.Request, h.Info = id, RequestInduction, extensionOffer
		_, _, reply := a.Handle(0, from, testTerms, request(h), nil)
		ctl, _ := ParseControl(reply)
		challenge, _ := ParseHandshake(ctl.Body)
		challenge.Info = ctl.Info
		h.Request, h.Info, h.Cookie = RequestConclusion, extensionEarly, challenge.Cookie
		verdict, got, _ := a.Handle(0, from, testTerms, request(h), nil)
		if verdict != VerdictAccept || got.EarlyID == 0 || got.EarlyID != challenge.granted() {
			t.Errorf("verdict %d, socket ID %d, told %d", verdict, got.EarlyID, challenge.granted())
		}
		h.Info = extensionOffer
		if _, got, _ := a.Handle(0, from, testTerms, request(h), nil); got.EarlyID != 0 {
			t.Error("an ID for a client that sends no early data")
		}
		return got.EarlyID
	}
	seen := map[uint32]bool{
		granted(clientAddr, 1, 1): true, granted(clientAddr, 2, 1): true, granted(clientAddr, 1, 2): true,
		granted(serverAddr, 1, 1): true, granted(netip.AddrPortFrom(clientAddr.Addr(), 9), 1, 1): true,
		testJar(4).SocketID(clientAddr, 1, 1): true,
	}
	if len(seen) != 6 {
		t.Errorf("%d IDs of 6 are different", len(seen))
	}
}

// The challenge's terms are those of the data.
func TestEarlyDataKeepsTheTerms(t *testing.T) {
	s := newClientScript(t, earlyConfig())
	h := earlyChallenge()
	h.MSS, h.FlightFlag = 1000, 5
	s.handshake(h)
	s.take()
	s.c.Write(s.now, make([]byte, 20_000))
	s.step()
	packets := s.take()
	if len(packets) != 5 {
		t.Errorf("%d packets sent, 5 fit in", len(packets))
	}
	for _, p := range packets {
		if len(p.b) != 1000-IPUDPHeaders {
			t.Errorf("a packet of %d bytes", len(p.b))
		}
	}
}

// How it ends when the answer is no, none, or another listener's.
func TestEarlyDataRefused(t *testing.T) {
	connect := func() *script {
		s := newClientScript(t, earlyConfig())
		s.handshake(earlyChallenge())
		s.write(3)
		s.step()
		return s
	}
	answers := map[End]func(h *Handshake){
		EndRejected:   func(h *Handshake) { h.Request = RequestRejected },
		EndOtherType:  func(h *Handshake) { h.Request, h.SocketType = RequestRejected, Datagram },
		EndMismatched: func(h *Handshake) { h.ISN++ },
	}
	for want, change := range answers {
		s := connect()
		h := earlyResponse()
		change(&h)
		s.handshake(h)
		if s.c.End() != want || !s.c.Ready().Readable || !s.c.Ready().Writable {
			t.Errorf("end %d, want %d: %+v", s.c.End(), want, s.c.Ready())
		}
	}
	for name, change := range map[string]func(h *Handshake){
		"not ours": func(h *Handshake) { h.Info = 0 }, "packets": func(h *Handshake) { h.MSS = 1400 },
		"window": func(h *Handshake) { h.FlightFlag = 100 },
	} {
		s := connect()
		h := earlyResponse()
		change(&h)
		s.handshake(h)
		if s.c.End() != EndMismatched {
			t.Errorf("%s: end %d", name, s.c.End())
		}
	}
	s := connect()
	s.pass(10*time.Second - 1)
	if s.c.End() != EndNone {
		t.Fatalf("end %d before the time to connect is over", s.c.End())
	}
	s.pass(1)
	if s.c.End() != EndTimeout {
		t.Errorf("end %d without an answer", s.c.End())
	}
}

// A listener that was started anew wants its own cookie back, and knows nothing of
// what went before.
func TestEarlyDataAndAnotherChallenge(t *testing.T) {
	s := newClientScript(t, earlyConfig())
	s.handshake(earlyChallenge())
	s.write(3)
	s.step()
	s.take()
	fresh := earlyChallenge()
	fresh.Cookie = 0xFEED
	s.handshake(fresh)
	sent := s.take()
	if len(sent) != 1 {
		t.Fatalf("%d packets", len(sent))
	}
	ctl, _ := ParseControl(sent[0].b)
	if h, ok := ParseHandshake(ctl.Body); !ok || h.Cookie != 0xFEED || ctl.Info != extensionOffer {
		t.Errorf("answered with %x", sent[0].b)
	}
	h := earlyResponse()
	h.ID = peerSocket
	s.handshake(h)
	s.pass(500 * ms)
	if ids := s.destinations(); len(ids) < 3 || slices.ContainsFunc(ids, func(id uint32) bool { return id != peerSocket }) {
		t.Errorf("what was lost goes to %d", ids)
	}
	if s.c.PeerID() != peerSocket || s.c.End() != EndNone {
		t.Errorf("peer's ID %d, end %d", s.c.PeerID(), s.c.End())
	}
}

// The client's early data say nothing of whether the answer has come, and of the
// round trip; what it sends on having it does.
func TestEarlyDataIsNoAnswer(t *testing.T) {
	h := testRequest(1000)
	h.Info = extensionEarly
	s := &script{t: t, c: NewServer(0, testConfig(1), h)}
	s.data(0, fullPayload)
	s.pass(60 * ms)
	if s.c.rcv.next != 1 || s.c.rtt.measured {
		t.Errorf("%d packets taken, a round trip measured: %v", s.c.rcv.next, s.c.rtt.measured)
	}
	if n := len(s.taken(TypeHandshake)); n != 2 {
		t.Errorf("%d answers, want one repeated", n)
	}
	s.control(TypeKeepAlive, 0, 0)
	if s.c.rtt.srtt != 60*ms {
		t.Errorf("a round trip of %v", s.c.rtt.srtt)
	}
}

// Data has come when the client has been waiting for one and a half round trips
// in all, and goes on at the pace of a connection that knows its round trip.
func TestEarlyDataSavesARoundTrip(t *testing.T) {
	link := simnet.Params{Rate: 100e6, Delay: 50 * ms, Queue: 1_000_000}
	for early, want := range map[bool]time.Duration{false: 250 * ms, true: 150 * ms} {
		p := newPair(t, 1, link, link)
		p.ends[0].cfg.EarlyData = early
		p.data(0, 10_000)
		p.dial()
		p.run(time.Second, func() bool { return p.ends[1].got.Len() > 0 })
		if d := time.Duration(p.now) - want; d < 0 || d > 5*ms {
			t.Errorf("early data %v: the first byte came after %v", early, time.Duration(p.now))
		}
		p.run(5*time.Second, p.delivered)
		p.sleep(time.Second)
		for _, e := range p.ends {
			if rtt := e.conn.rtt.srtt; rtt < 99*ms || rtt > 115*ms {
				t.Errorf("early data %v, end %d: a round trip of %v", early, e.i, rtt)
			}
			if e.conn.count.Retransmitted > 0 {
				t.Errorf("early data %v: %d packets repeated", early, e.conn.count.Retransmitted)
			}
		}
	}
}

// A round trip longer than a client's patience with a cookie does not keep it
// from taking the answer.
func TestConnectOverLongPaths(t *testing.T) {
	for _, early := range []bool{false, true} {
		for _, delay := range []time.Duration{300 * ms, 400 * ms, 500 * ms, 700 * ms, time.Second, 2 * time.Second} {
			link := simnet.Params{Rate: 100e6, Delay: delay, Queue: 1_000_000}
			p := newPair(t, 1, link, link)
			p.ends[0].cfg.EarlyData = early
			p.dial()
			p.sleep(4*delay + 20*ms)
			c := p.ends[0].conn
			if c.State() != StateConnected || c.hs.assumed {
				t.Errorf("early data %v, %v each way: not connected after two round trips", early, delay)
			}
		}
	}
}

// Whatever is lost, delayed or doubled, and also if the listener has no such ID
// for the connection, all arrives.
func TestEarlyDataOnBadPaths(t *testing.T) {
	for seed := range uint64(200) {
		link := simnet.Params{
			Rate: 50e6, Delay: time.Duration(seed%7) * 10 * ms, Queue: 300_000,
			Loss: float64(seed%4) * 0.15, Reorder: 0.3, ReorderBy: time.Duration(seed%3) * 15 * ms, Duplicate: 0.1,
		}
		p := newPair(t, seed, link, link)
		p.ends[0].cfg.EarlyData, p.ends[0].cfg.Controller = true, NewBBR()
		p.ends[0].cfg.ConnectTimeout = time.Minute
		p.ownIDs = seed%5 == 0
		p.data(0, 30_000)
		p.data(1, int(seed%2)*30_000)
		p.ends[0].closing = seed%2 == 0 // nothing comes from the other end then
		p.dial()
		p.run(2*time.Minute, p.delivered)
		if !p.delivered() {
			t.Fatalf("seed %d: %s", seed, p)
		}
	}
}
