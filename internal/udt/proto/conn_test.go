package proto

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

func TestTransferClean(t *testing.T) {
	for _, size := range []int{0, 1, 1455, 1456, 1457, 100_000, 5_000_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			link := simnet.Params{Rate: 1e9, Delay: 5 * time.Millisecond, Queue: 4 << 20}
			p := newPair(t, 1, link, link)
			p.data(0, size)
			p.data(1, size/2)
			p.dial()
			p.run(20*time.Second, p.delivered)
			for _, e := range p.ends {
				if !bytes.Equal(e.got.Bytes(), e.want) {
					t.Errorf("end %d: other bytes", e.i)
				}
				if e.conn.count.Retransmitted != 0 {
					t.Errorf("end %d: retransmissions on a clean link: %s", e.i, p)
				}
			}
		})
	}
}

// faults draws a link from a seed.
func faults(p *pair) (ab, ba simnet.Params) {
	r := p.rng
	one := func() simnet.Params {
		s := simnet.Params{
			Rate:  1e6 * float64(10+r.IntN(490)),
			Delay: time.Duration(r.IntN(60_000)) * time.Microsecond,
			Queue: 20_000 + r.IntN(1<<20),
		}
		switch r.IntN(8) {
		case 0:
			s.Loss = 0.1 * r.Float64()
		case 1:
			s.BurstStart, s.BurstMean = 0.002, 20
		case 2:
			s.Reorder, s.ReorderBy = 0.05, time.Duration(r.IntN(20_000))*time.Microsecond
		case 3:
			s.Duplicate = 0.1
		case 4:
			s.Loss, s.Duplicate, s.Reorder, s.ReorderBy = 0.02, 0.02, 0.02, 3*time.Millisecond
		case 5:
			s.Jitter = 20 * time.Millisecond
		case 6:
			at := time.Duration(r.IntN(500)) * time.Millisecond
			s.Outages = []simnet.Outage{{At: at, For: time.Duration(r.IntN(1500)) * time.Millisecond}}
		}
		return s
	}
	return one(), one()
}

// faultyPair is two ends and a link drawn from the seed.
func faultyPair(t testing.TB, seed uint64) *pair {
	p := newPair(t, seed, simnet.Params{}, simnet.Params{})
	ab, ba := faults(p)
	p.ends[0].link = simnet.NewLink(ab, seed*2)
	p.ends[1].link = simnet.NewLink(ba, seed*2+1)
	for _, e := range p.ends {
		e.stride = 1 << p.rng.IntN(7)
		if p.rng.IntN(4) == 0 {
			e.slow = time.Duration(1+p.rng.IntN(5)) * time.Millisecond
		}
		e.cfg.MSS = 300 + p.rng.IntN(1300)
		e.cfg.Window = 64 << p.rng.IntN(8)
	}
	return p
}

// faultySeed runs one transfer over a link drawn from the seed.
func faultySeed(t testing.TB, seed uint64) *pair {
	p := faultyPair(t, seed)
	if seed%4 == 0 {
		p.ends[0].cfg.ISN = Seq(SeqMask - p.rng.IntN(200))
	} else {
		p.ends[0].cfg.ISN = Seq(p.rng.Uint32() & SeqMask)
	}
	if seed%3 == 0 {
		p.plain()
	}
	p.data(0, p.rng.IntN(600_000))
	p.data(1, p.rng.IntN(2)*p.rng.IntN(200_000))
	p.dial()
	p.runFaulty(seed)
	return p
}

// runFaulty transfers all there is and closes end 0.
func (p *pair) runFaulty(seed uint64) {
	p.t.Helper()
	p.run(300*time.Second, p.delivered)
	p.ends[0].conn.Close(p.now, 10*time.Second)
	p.run(60*time.Second, func() bool {
		return p.ends[0].conn.State() == StateClosed && p.ends[1].conn.Ready().Readable
	})
	want := EndPeer
	if p.ends[0].conn.End() == EndLinger { // ACKs were lost for longer than it waits
		want = EndPeerAbort
	}
	if got := p.ends[1].conn.End(); got != want && got != EndLost {
		p.t.Fatalf("seed %d: server ended with %d: %s", seed, got, p)
	}
}

func TestFaultySeeds(t *testing.T) {
	for seed := uint64(1); seed <= uint64(seeds(2000)); seed++ {
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { faultySeed(t, seed) }) {
			return
		}
	}
}

func TestSameSeedSameTrace(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		if a, b := faultySeed(t, seed).trace, faultySeed(t, seed).trace; a != b {
			t.Errorf("seed %d: traces differ", seed)
		}
	}
}
