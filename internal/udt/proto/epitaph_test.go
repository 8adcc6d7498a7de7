package proto

import "testing"

// What is told at a grave: the last ACK to who repeats what had arrived, a
// shutdown to everybody but who brings one.
func TestEpitaph(t *testing.T) {
	const isn = Seq(1<<31 - 2) // numbers wrap behind the second packet
	cfg := testConfig(1)
	cfg.ISN = isn
	s := newConnectedScript(t, cfg)
	s.receive(0, 3)
	s.take()
	acked := s.c.acks.number
	s.c.Abort(s.now)
	s.pass(100 * ms)
	if !s.c.Ready().Closed {
		t.Fatal("not over")
	}
	e := s.c.Epitaph()
	data := func(i packetIndex) []byte {
		return Data{Seq: i.seqOf(s.c.isn), Boundary: BoundarySolo, Message: 1, Payload: []byte("x")}.Append(nil)
	}
	for name, c := range map[string]struct {
		packet []byte
		want   []Type
	}{
		"data that had arrived": {data(2), []Type{TypeACK, TypeShutdown}},
		"data that had not":     {data(3), []Type{TypeShutdown}},
		"a keep-alive":          {Control{Type: TypeKeepAlive}.Append(nil), []Type{TypeShutdown}},
		"an ACK":                {ACK{Next: s.c.isn}.AppendLight(Control{Type: TypeACK}.Append(nil)), []Type{TypeShutdown}},
		"a shutdown":            {AppendShutdown(nil, 1, false), nil},
	} {
		out := e.Answer(nil, c.packet)
		if len(out) != len(c.want) {
			t.Errorf("%s: %d answers, want %d", name, len(out), len(c.want))
			continue
		}
		for i, r := range out {
			ctl, ok := ParseControl(r.Buf)
			if !ok || ctl.Type != c.want[i] || ctl.Dst != s.c.PeerID() || r.Segment != len(r.Buf) {
				t.Errorf("%s: answer %d is %+v", name, i, ctl)
			}
			switch ctl.Type {
			case TypeACK:
				a, light, ok := ParseACK(ctl.Body)
				if !ok || light || a.Next != packetIndex(3).seqOf(s.c.isn) || a.Window < 2 || ctl.Info <= acked {
					t.Errorf("%s: ACK %d, %+v", name, ctl.Info, a)
				}
			case TypeShutdown:
				if ctl.Info != shutdownAborted {
					t.Errorf("%s: the shutdown hides that not everything was delivered", name)
				}
			}
		}
	}
}
