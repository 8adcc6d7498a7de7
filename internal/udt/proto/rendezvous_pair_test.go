package proto

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// meeting is a pair of ends with initial sequence numbers of their own, both of
// which have a little to send.
func meeting(t testing.TB, link simnet.Params) *pair {
	p := newPair(t, 1, link, link)
	p.ends[0].cfg.ISN, p.ends[1].cfg.ISN = SeqMask-1, 77
	p.ends[0].cfg.ConnectTimeout, p.ends[1].cfg.ConnectTimeout = 30*time.Second, 30*time.Second
	p.data(0, 5000)
	p.data(1, 4000)
	return p
}

// meetBoth lets end 1 dial late, and waits until all is delivered.
func (p *pair) meetBoth(late, limit time.Duration) {
	p.t.Helper()
	p.meet(0)
	p.sleep(late)
	p.meet(1)
	p.run(limit, func() bool { return p.met() && p.delivered() })
}

// secret makes the ends not know each other for ends of ours, in a rendezvous.
func (p *pair) secret() {
	for _, e := range p.ends {
		e.onPacket = func(b []byte) [][]byte {
			if c, ok := ParseControl(b); ok && c.Type == TypeHandshake {
				b = bytes.Clone(b)
				binary.BigEndian.PutUint32(b[4:], 0)
			}
			return [][]byte{b}
		}
	}
}

// Whoever dials second is connected after a round trip, the other half a round
// trip later at the most, however much later that was; and both then know the
// round trip.
func TestRendezvousTakesARoundTrip(t *testing.T) {
	const rtt = 100 * ms
	for _, late := range []time.Duration{0, ms, 20 * ms, 49 * ms, 51 * ms, 300 * ms, 999 * ms, 20 * time.Second, 29*time.Second + 500*ms} {
		for _, strangers := range []bool{false, true} {
			p := meeting(t, simnet.Params{Delay: rtt / 2})
			if strangers {
				p.secret()
			}
			p.meet(0)
			p.sleep(late)
			p.meet(1)
			start := p.now
			p.run(10*time.Second, func() bool { return p.ends[1].conn.State() == StateConnected })
			if took := p.now.Sub(start); took > 2*rtt {
				t.Errorf("%v late: the second was connected after %v", late, took)
			}
			p.run(10*time.Second, p.met)
			if took := p.now.Sub(start); took > 2*rtt {
				t.Errorf("%v late: both were connected after %v", late, took)
			}
			for i, e := range p.ends {
				if d := e.conn.rtt.srtt; e.conn.extended == strangers || !strangers && (d < rtt-ms || d > rtt+ms) {
					t.Errorf("%v late, end %d: known as ours %v, round trip %v", late, i, e.conn.extended, d)
				}
			}
			p.run(10*time.Second, p.delivered)
		}
	}
}

// Any of the first packets may be lost, in any combination, whoever dials when.
func TestRendezvousLosesAnyPackets(t *testing.T) {
	n := 5 // packets a way
	if brief() {
		n = 4
	}
	for _, late := range []time.Duration{0, 15 * ms, 400 * ms} {
		for lost := range 1 << (2 * n) {
			p := meeting(t, simnet.Params{Delay: 10 * ms})
			if lost%3 == 0 {
				p.secret()
			}
			for i, e := range p.ends {
				mask, k := lost>>(i*n), 0
				next := e.onPacket
				e.onPacket = func(b []byte) [][]byte {
					k++
					if k <= n && mask>>(k-1)&1 == 1 {
						return nil
					}
					if next != nil {
						return next(b)
					}
					return [][]byte{b}
				}
			}
			if !t.Run(fmt.Sprintf("%v late, lost %b", late, lost), func(t *testing.T) {
				p.t = t
				p.meetBoth(late, 10*time.Second)
			}) {
				return
			}
		}
	}
}

// The first packets may arrive in any order, long after each other.
func TestRendezvousInAnyOrder(t *testing.T) {
	delays := []time.Duration{0, 30 * ms, 600 * ms}
	n := 4 // packets a way
	if brief() {
		n = 3
	}
	total := 1
	for range 2 * n {
		total *= len(delays)
	}
	for draw := range total {
		p := meeting(t, simnet.Params{Delay: ms})
		left := draw
		var digits [2][]time.Duration
		for i := range digits {
			for range n {
				digits[i] = append(digits[i], delays[left%len(delays)])
				left /= len(delays)
			}
		}
		if !t.Run(fmt.Sprint(digits), func(t *testing.T) {
			p.t = t
			p.late = func(e *end) (d time.Duration) {
				if len(digits[e.i]) > 0 {
					d, digits[e.i] = digits[e.i][0], digits[e.i][1:]
				}
				return d
			}
			p.meetBoth(time.Duration(draw%7)*100*ms, 10*time.Second)
		}) {
			return
		}
	}
}

func TestRendezvousFaultySeeds(t *testing.T) {
	for seed := uint64(1); seed <= uint64(seeds(2500)); seed++ {
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p := faultyPair(t, seed)
			for i, e := range p.ends {
				e.cfg.ConnectTimeout = 30 * time.Second
				e.cfg.ISN = Seq(p.rng.Uint32() & SeqMask)
				if seed>>i&1 == 1 {
					e.cfg.ISN = Seq(SeqMask - p.rng.IntN(200))
				}
			}
			if seed%3 == 0 {
				p.secret()
			}
			p.data(0, p.rng.IntN(200_000))
			p.data(1, p.rng.IntN(200_000))
			late := time.Duration(p.rng.IntN(2)*p.rng.IntN(2000)) * ms
			p.meet(int(seed % 2))
			p.sleep(late)
			p.meet(int(1 - seed%2))
			p.run(30*time.Second, p.met)
			p.runFaulty(seed)
		}) {
			return
		}
	}
}

func FuzzRendezvous(f *testing.F) {
	f.Fuzz(func(t *testing.T, script []byte) { newRendezvousWorld(t, script[:min(len(script), 4096)]).play() })
}

// The same as random scripts that mostly connect first.
func TestRandomRendezvousWorlds(t *testing.T) {
	for seed := range uint64(seeds(1500)) {
		r := rand.New(rand.NewPCG(seed, 4))
		script := make([]byte, 6+r.IntN(400))
		fill(r, script)
		connect := []byte{0x13, 0x03, 0x13, 0x03, 0x13, 11, 200, 100}
		if r.IntN(8) > 0 && len(script) > 6+len(connect) {
			copy(script[6:], connect)
		}
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { newRendezvousWorld(t, script).play() }) {
			t.Fatalf("the script was %x", script)
		}
	}
}
