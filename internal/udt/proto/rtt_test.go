package proto

import (
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

const ms = time.Millisecond

func TestRTT(t *testing.T) {
	var e rttEstimator
	e.init()
	if e.srtt != 100*ms || e.rttvar != 50*ms || e.measured {
		t.Fatalf("before any sample: %+v", e)
	}
	e.sample(40 * ms)
	if e.srtt != 40*ms || e.rttvar != 20*ms || !e.measured {
		t.Errorf("after 40 ms: %+v", e)
	}
	e.sample(80 * ms)
	if e.srtt != 45*ms || e.rttvar != 25*ms {
		t.Errorf("after 80 ms: %+v", e)
	}
	e.sample(5 * ms)
	if e.srtt != 40*ms || e.rttvar != 28750*time.Microsecond {
		t.Errorf("after 5 ms: %+v", e)
	}
	if want := 40*ms + 4*28750*time.Microsecond; e.spread() != want {
		t.Errorf("spread %v, want %v", e.spread(), want)
	}
	for range 200 {
		e.sample(30 * ms)
	}
	if e.srtt < 29*ms || e.srtt > 31*ms || e.rttvar > ms {
		t.Errorf("after many of 30 ms: %+v", e)
	}
}

func TestRTTIgnoresNonsense(t *testing.T) {
	var e rttEstimator
	e.init()
	e.sample(30 * ms)
	want := e
	e.sample(0)
	e.sample(-time.Second)
	e.sample(maxRTT + 1)
	e.adopt(0, 1)
	e.adopt(1<<32-1, 1)
	e.adopt(1, 1<<32-1)
	if e != want {
		t.Errorf("%+v, want %+v", e, want)
	}
	e.adopt(10_000, 500)
	if e.srtt != 10*ms || e.rttvar != ms/2 {
		t.Errorf("adopted %+v", e)
	}
}

// A libudt receiver reports its guess of 100 ms first, then averages into it:
// whoever has measured the handshake knows better.
func TestAdoptPassesTheGuessOver(t *testing.T) {
	var e rttEstimator
	e.init()
	e.adopt(100_000, 50_000)
	e.adopt(90_000, 45_000)
	if e.srtt != 90*ms {
		t.Errorf("%v adopted where nothing was measured, want 90ms", e.srtt)
	}
	e.init()
	e.sample(10 * ms)
	e.adopt(100_000, 50_000)
	for range guessReports {
		e.adopt(88_000, 40_000)
	}
	if e.srtt != 10*ms {
		t.Errorf("%v after the guess, want 10ms", e.srtt)
	}
	e.adopt(12_000, 1000)
	if e.srtt != 12*ms || e.rttvar != ms {
		t.Errorf("%v, %v; later reports count", e.srtt, e.rttvar)
	}
}

// Both ends know the round trip as soon as they are connected, also where it
// is so long that requests are repeated.
func TestFirstRTTIsTheHandshakes(t *testing.T) {
	for _, rtt := range []time.Duration{2 * ms, 20 * ms, 80 * ms, 300 * ms} {
		link := simnet.Params{Delay: rtt / 2}
		p := newPair(t, 1, link, link)
		p.dial()
		p.run(2*time.Second, func() bool { return p.ends[0].conn.State() == StateConnected })
		p.sleep(rtt)
		for i, e := range p.ends {
			for _, r := range []rttEstimator{e.conn.rtt, e.conn.ackRTT} {
				if d := r.srtt - rtt; d < -ms || d > ms || !r.measured {
					t.Errorf("round trip %v: end %d knows %v", rtt, i, r.srtt)
				}
			}
		}
	}
}

// A client that speaks late tells the listener's end nothing.
func TestFirstRTTIsNotTheClientsPause(t *testing.T) {
	s := newServerScript(t, testConfig(1))
	s.pass(3 * time.Second)
	s.data(0, []byte("x"))
	if s.c.rtt.measured || s.c.ackRTT.measured {
		t.Errorf("round trip %v from a client's pause", s.c.rtt.srtt)
	}
}

// A loss among the first packets is repaired after a round trip of the path,
// not one of the guess.
func TestFirstLossIsRepairedInTime(t *testing.T) {
	const rtt = 10 * ms
	for lost := range 3 {
		link := simnet.Params{Rate: 100e6, Delay: rtt / 2, Queue: 1 << 20}
		p := newPair(t, 1, link, link)
		p.data(0, 8*1456)
		n := 0
		p.ends[0].onPacket = func(b []byte) [][]byte {
			if !IsControl(b) {
				if n++; n == lost+1 {
					return nil
				}
			}
			return [][]byte{b}
		}
		naks := 0
		p.ends[1].onPacket = func(b []byte) [][]byte {
			if c, ok := ParseControl(b); ok && c.Type == TypeNAK {
				if naks++; naks == 1 {
					return nil // the report is lost too: it is repeated after a round trip
				}
			}
			return [][]byte{b}
		}
		p.dial()
		p.run(time.Second, func() bool { return p.ends[0].conn.State() == StateConnected })
		start := p.now
		p.run(time.Second, p.delivered)
		if took := p.now.Sub(start); took > 60*ms {
			t.Errorf("packet %d lost, with its NAK: repaired after %v", lost, took)
		}
	}
}
