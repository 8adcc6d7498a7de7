package proto

import (
	"testing"
	"time"
)

// A blocking libudt client is dead for good if anything reaches it before the
// response (H2), and loses what comes right behind it (H3): nothing but the
// response leaves in the first 20 ms.
func TestTrapH2NothingBeforeResponse(t *testing.T) {
	for name, act := range map[string]func(s *script){
		"data":        func(s *script) { s.write(100) },
		"close":       func(s *script) { s.c.Close(s.now, time.Second) },
		"abort":       func(s *script) { s.c.Abort(s.now) },
		"write+abort": func(s *script) { s.write(1); s.c.Abort(s.now) },
		"write+close": func(s *script) { s.write(1); s.c.Close(s.now, time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServerScript(t, testConfig(1))
			act(s)
			s.pass(20*ms - 1)
			first := true
			for _, p := range s.take() {
				c, ok := ParseControl(p.b)
				if !ok || c.Type != TypeHandshake || !hasRequest(c, RequestConclusion) {
					t.Fatalf("at %v: sent %x", time.Duration(p.at), p.b)
				}
				if first && p.at != 0 {
					t.Errorf("the response leaves at %v", time.Duration(p.at))
				}
				first = false
			}
			s.pass(1)
			for _, p := range s.take() {
				if c, ok := ParseControl(p.b); !ok || c.Type != TypeHandshake {
					return // now it may
				}
			}
			t.Error("nothing leaves after 20 ms")
		})
	}
}

// A client of ours keeps what is early: its first data follow the response at
// once, and are not repeated before it can have acknowledged them.
func TestNoHoldForAnEndOfOurs(t *testing.T) {
	h := testRequest(1000)
	h.Info = extensionOffer
	s := &script{t: t, c: NewServer(0, testConfig(1), h)}
	s.step()
	s.write(10)
	if n := len(s.takenData()); n != 10 || s.now != 0 {
		t.Errorf("%d packets left at %v, want 10 at once", n, time.Duration(s.now))
	}
	s.pass(100 * ms)
	if again := s.takenData(); len(again) > 0 {
		t.Errorf("packets %v are repeated within 100 ms", again)
	}
}

// The client was heard: data may go at once.
func TestTrapH2HoldEndsWhenClientIsHeard(t *testing.T) {
	s := newServerScript(t, testConfig(1))
	s.write(10)
	s.pass(3 * ms)
	s.take()
	s.handshake(testRequest(1000)) // a handshake isn't a sign that the response has arrived
	if n := len(s.takenData()); n != 0 {
		t.Fatalf("%d packets left on a repeated request", n)
	}
	s.control(TypeKeepAlive, 0, 0)
	if n := len(s.takenData()); n != 10 {
		t.Errorf("%d packets left when the client was heard, want 10", n)
	}
	if s.now != Instant(3*ms) {
		t.Errorf("at %v", time.Duration(s.now))
	}
}

// The response is repeated within the hold, and again, ahead of the data, when
// the first flight stays unanswered.
func TestTrapH3ResponseRepeated(t *testing.T) {
	s := newServerScript(t, testConfig(1))
	s.write(5)
	s.pass(20*ms - 1)
	if hs, at := s.requests(); len(hs) != 2 || at[1] != 10*ms {
		t.Errorf("responses at %v, want at 0 and 10 ms", at)
	}
	s.pass(1)
	if n := len(s.takenData()); n != 5 {
		t.Fatalf("%d packets after the hold", n)
	}
	s.pass(30 * ms)
	sent := s.take()
	if len(sent) < 2 {
		t.Fatalf("%d packets sent 30 ms after an unanswered first flight", len(sent))
	}
	if c, ok := ParseControl(sent[0].b); !ok || !hasRequest(c, RequestConclusion) {
		t.Errorf("first comes %x, want the response", sent[0].b)
	}
	if d, ok := ParseData(sent[1].b); !ok || d.Seq != 1000 {
		t.Errorf("then comes %x, want the first packet", sent[1].b)
	}
}

// A machine that is busy looks late after its timers: the first response has its
// time nevertheless, and so has the second.
func TestTrapH2HoldOfABusyMachine(t *testing.T) {
	s := &script{t: t, c: NewServer(0, testConfig(1), testRequest(1000)), now: Instant(30 * ms)}
	s.write(5)
	for _, which := range []string{"first", "second"} {
		sent := s.take()
		if c, ok := ParseControl(sent[0].b); len(sent) != 1 || !ok || !hasRequest(c, RequestConclusion) {
			t.Fatalf("%s: %d packets, the first of them %x, want a response alone", which, len(sent), sent[0].b)
		}
		if which == "first" {
			s.now = s.now.Add(35 * ms) // in place of 10
			s.step()
		}
	}
	s.pass(10 * ms)
	if n := len(s.takenData()); n != 5 {
		t.Errorf("%d packets after the hold", n)
	}
}

// The first flight that a client can't know of yet is no sign of congestion.
func TestTrapH3EarlyTimeoutIsNoCongestion(t *testing.T) {
	cfg := testConfig(1)
	cc := &recorder{Native: NewNative()}
	cfg.Controller = cc
	s := newServerScript(t, cfg)
	s.write(5)
	s.pass(200 * ms)
	if s.c.count.Retransmitted == 0 || cc.timeouts != 0 {
		t.Errorf("%d packets sent again, %d timeouts told to the controller", s.c.count.Retransmitted, cc.timeouts)
	}
	s.control(TypeKeepAlive, 0, 0) // from now on silence counts
	s.pass(2 * time.Second)
	if cc.timeouts == 0 {
		t.Error("no timeout told to the controller")
	}
}

// A lost response costs one repeat, not the client's three seconds.
func TestTrapH3LostResponse(t *testing.T) {
	s := newServerScript(t, testConfig(1))
	s.pass(time.Second)
	s.take()
	s.c.RepeatResponse() // the client has repeated its second request
	s.step()
	hs, at := s.requests()
	if len(hs) != 1 || at[0] != time.Second || hs[0].Request != RequestConclusion || hs[0].ID != 1 || hs[0].Cookie != 0xC00C1E {
		t.Errorf("repeated at %v: %+v", at, hs)
	}
}

// A first request on the socket's own ID comes from a client that takes us for
// the listener still: the response once more. A second request says nothing.
func TestTrapH5RequestOnSocketID(t *testing.T) {
	s := newServerScript(t, testConfig(1))
	s.pass(time.Second)
	s.take()
	h := testRequest(1000)
	s.handshake(h)
	if hs, _ := s.requests(); len(hs) != 0 {
		t.Errorf("request -1 answered with %+v", hs)
	}
	h.Request = RequestInduction
	s.handshake(h)
	if hs, _ := s.requests(); len(hs) != 1 || hs[0].Request != RequestConclusion {
		t.Errorf("request 1 answered with %+v", hs)
	}
	h.Request = RequestRejected
	s.handshake(h)
	if hs, _ := s.requests(); len(hs) != 0 || s.c.State() != StateConnected {
		t.Errorf("a rejection on a live connection: answered with %+v, state %d", hs, s.c.State())
	}
}

// The response says what libudt needs: the client's ISN and cookie, the own ID
// and flight size, the client's address.
func TestServerResponse(t *testing.T) {
	cfg := testConfig(42)
	cfg.Window, cfg.PeerIP = 5000, clientAddr.Addr()
	h := testRequest(0x7ffffff0)
	s := &script{t: t, c: NewServer(0, cfg, h)}
	s.step()
	if c, _ := ParseControl(s.sent[0].b); c.Dst != peerSocket {
		t.Errorf("response to socket %d", c.Dst)
	}
	hs, _ := s.requests()
	want := Handshake{
		Version: Version, SocketType: Stream, ISN: h.ISN, MSS: 1500, FlightFlag: 5000,
		Request: RequestConclusion, ID: 42, Cookie: h.Cookie, IP: WireIP(clientAddr.Addr()),
	}
	if len(hs) != 1 || hs[0] != want {
		t.Errorf("response %+v, want %+v", hs, want)
	}
	// Both directions use the client's ISN.
	s.control(TypeKeepAlive, 0, 0)
	s.write(1)
	if d, ok := ParseData(s.sent[len(s.sent)-1].b); !ok || d.Seq != h.ISN || d.Dst != peerSocket {
		t.Errorf("first packet %+v", d)
	}
}
