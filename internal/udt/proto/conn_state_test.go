package proto

import (
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

func TestReady(t *testing.T) {
	cfg := testConfig(1)
	s := newClientScript(t, cfg)
	if got := s.c.Ready(); got != (Ready{}) || !s.c.CanWrite() {
		t.Errorf("connecting: %+v, can write %v", got, s.c.CanWrite())
	}
	if _, ok := s.c.Reserve(); ok {
		t.Error("data is taken before the connection stands")
	}
	if _, ok := s.c.Aim(&Stage{}, 1); ok {
		t.Error("data is aimed before the connection stands")
	}
	s.handshake(testChallenge(cfg))
	s.handshake(testResponse(cfg))
	if got := s.c.Ready(); got != (Ready{Connected: true, Writable: true}) {
		t.Errorf("connected: %+v", got)
	}
	s.data(1, []byte("b")) // out of order
	if s.c.Ready().Readable {
		t.Error("readable behind a gap")
	}
	s.data(0, []byte("a"))
	if !s.c.Ready().Readable {
		t.Error("not readable with data in order")
	}
	s.c.Read(make([]byte, 1))
	if !s.c.Ready().Readable {
		t.Error("not readable with half of it read")
	}
	s.c.Read(make([]byte, 1))
	if s.c.Ready().Readable {
		t.Error("readable with all read")
	}
	s.c.Close(s.now, 0)
	s.pass(time.Second)
	if got := s.c.Ready(); got != (Ready{Connected: true, Readable: true, Writable: true, Closed: true}) {
		t.Errorf("closed: %+v", got)
	}
}

// A writer that has filled the buffer is called back for a decent amount, not
// for every packet acknowledged.
func TestWritableWithHysteresis(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	for s.c.Write(s.now, make([]byte, 1<<20)) > 0 {
	}
	if s.c.Ready().Writable {
		t.Fatal("a full buffer is writable")
	}
	s.step()
	held := s.c.Unacknowledged()
	if held < minBacklog/1456 || held > minBacklog/1456+64 {
		t.Errorf("%d packets held at the start, want about a backlog of %d bytes", held, minBacklog)
	}
	for i := range packetIndex(400) { // one by one
		if s.c.Ready().Writable {
			free := s.c.snd.limit - s.c.snd.held()
			if free < held/5 {
				t.Errorf("writable with %d packets free of %d", free, held)
			}
			return
		}
		s.pass(ms)
		s.ack(uint32(i+1), min(i+1, s.c.snd.next), 8192)
	}
	t.Error("never writable again")
}

// The send buffer grows with the flight, up to the window.
func TestSendBufferFollowsFlight(t *testing.T) {
	cfg := testConfig(1)
	cfg.Window = 20_000
	cfg.Controller = NewFixed(1e12)
	s := newClientScript(t, cfg)
	s.handshake(testChallenge(cfg))
	h := testResponse(cfg)
	h.FlightFlag = 20_000
	s.handshake(h)
	for range 60 {
		s.c.Write(s.now, make([]byte, 2<<20))
		s.pass(ms / 10)
	}
	if got := s.c.snd.next; got != 20_000 {
		t.Errorf("%d packets in flight, the window is 20000", got)
	}
	if got := s.c.Unacknowledged(); got != 20_000 {
		t.Errorf("%d packets held, the window is 20000", got)
	}
}

func TestStats(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.pass(100 * ms)
	s.c.Write(s.now, make([]byte, 3000))
	s.step()
	s.pass(20 * ms)
	st := s.c.Stats(s.now)
	if st.SendDuration != 20*ms || st.InFlight != 3 || st.BytesSent != 3000 || st.DataSent != 3 ||
		st.MSS != 1500 || st.Payload != 1456 || st.CongestionWindow != 16 || st.FlowWindow != 8192 || st.ReceiveFree != 8192 {
		t.Errorf("in flight: %+v", st)
	}
	if st.SendFree != s.c.snd.limit-3 || st.SendFree < 700 {
		t.Errorf("free %d of %d", st.SendFree, s.c.snd.limit)
	}
	s.ack(1, 3, 100)
	s.pass(100 * ms)
	st = s.c.Stats(s.now)
	if st.SendDuration != 20*ms || st.InFlight != 0 || st.RTT != 20*ms || st.FlowWindow != 100 || st.ACKReceived != 1 {
		t.Errorf("acknowledged: %+v", st)
	}
	s.receive(0, 2)
	s.receive(4, 5)
	s.receive(4, 5)
	s.c.Read(make([]byte, 1456))
	st = s.c.Stats(s.now)
	if st.DataReceived != 4 || st.ReceiveLoss != 2 || st.Duplicates != 1 || st.BytesReceived != 3*1456 ||
		st.NAKSent != 1 || st.ACKSent != 1 || st.ReceiveFree != 8191 {
		t.Errorf("received: %+v", st)
	}
	if newClientScript(t, testConfig(1)).c.Stats(5).Payload != 0 {
		t.Error("a payload size before there is one")
	}
}

// Calls of HandleTimeout that are early or superfluous change nothing.
func TestSpuriousTimeouts(t *testing.T) {
	for seed := range uint64(10) {
		trace := func(spurious bool) uint64 {
			link := simnet.Params{Rate: 50e6, Delay: 10 * ms, Queue: 100_000, Loss: 0.01}
			p := newPair(t, seed, link, link)
			p.data(0, 500_000)
			p.data(1, 100_000)
			p.dial()
			p.run(60*time.Second, func() bool {
				for _, e := range p.ends {
					if spurious && e.conn != nil {
						e.conn.HandleTimeout(p.now)
						e.conn.NextTimeout()
						e.conn.Ready()
						e.conn.Stats(p.now)
					}
				}
				return p.delivered()
			})
			return p.trace
		}
		if trace(false) != trace(true) {
			t.Errorf("seed %d: the traces differ", seed)
		}
	}
}

// A driver may take as few runs at a time as it likes.
func TestTransmitOneAtATime(t *testing.T) {
	for seed := range uint64(10) {
		link := simnet.Params{Rate: 100e6, Delay: 10 * ms, Queue: 300_000, Loss: 0.01}
		p := newPair(t, seed, link, link)
		p.most = 1
		p.data(0, 500_000)
		p.data(1, 300_000)
		for _, e := range p.ends {
			e.closing = true
		}
		p.dial()
		p.run(20*time.Second, func() bool {
			return p.ends[1].conn != nil && p.ends[0].conn.End() != EndNone && p.ends[1].conn.End() != EndNone
		})
	}
}

// A driver that is always late loses speed, not bytes.
func TestLateDriver(t *testing.T) {
	for seed := range uint64(5) {
		link := simnet.Params{Rate: 100e6, Delay: 10 * ms, Queue: 300_000}
		p := newPair(t, seed, link, link)
		p.data(0, 3_000_000)
		p.lag = func() time.Duration { return time.Duration(p.rng.Int64N(int64(3 * ms))) }
		p.dial()
		p.run(5*time.Second, p.delivered)
		p.intact()
	}
}
