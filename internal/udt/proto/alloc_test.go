package proto

import (
	"testing"
	"time"
)

// flow is a pair of connected ends without a network: what one transmits the
// other takes in the same moment, as it would from a batch.
type flow struct {
	t            testing.TB
	now          Instant
	from, to     *Conn
	block, space []byte
}

func newFlow(t testing.TB) *flow {
	cfg := testConfig(100)
	cfg.Controller = NewFixed(1e12)
	client := newClientScript(t, cfg)
	client.handshake(testChallenge(cfg))
	response := testResponse(cfg)
	response.ID = 101
	client.handshake(response)
	cfg.ID = 101
	request := testRequest(cfg.ISN)
	request.ID = 100
	f := &flow{t: t, from: client.c, to: NewServer(0, cfg, request)}
	f.block, f.space = make([]byte, 256<<10), make([]byte, 512<<10)
	return f
}

// round moves a block from one end to the other and lets a millisecond pass.
// Every skip-th packet is lost once, none if it is 0.
func (f *flow) round(skip int) {
	f.from.Write(f.now, f.block)
	f.now = f.now.Add(time.Millisecond)
	var runs [8]Run
	for range 4 {
		for _, dir := range [2][2]*Conn{{f.from, f.to}, {f.to, f.from}} {
			dir[0].HandleTimeout(f.now)
			for {
				out := dir[0].Transmit(f.now, runs[:0])
				if len(out) == 0 {
					break
				}
				for _, r := range out {
					b := r.Buf
					if n := r.Segment * 3; skip > 0 && len(b) > n && f.now%Instant(skip) == 0 {
						dir[1].HandleRun(f.now, b[:r.Segment], r.Segment) // the second and third packet are lost
						b = b[n:]
					}
					dir[1].HandleRun(f.now, b, r.Segment)
				}
			}
		}
		f.to.Read(f.space)
	}
}

// Nothing is allocated per packet, neither where packets are sent nor where
// they are received, read and acknowledged.
func TestNoAllocationPerPacket(t *testing.T) {
	for name, skip := range map[string]int{"clean": 0, "lossy": int(2 * ms)} {
		f := newFlow(t)
		for range 200 { // rings, spares and queues grow to their size
			f.round(skip)
		}
		packets := f.to.count.DataReceived
		allocs := testing.AllocsPerRun(200, func() { f.round(skip) })
		packets = f.to.count.DataReceived - packets
		if packets < 10_000 {
			t.Fatalf("%s: only %d packets", name, packets)
		}
		if skip > 0 && f.from.count.Retransmitted < 100 {
			t.Fatalf("%s: only %d packets sent again", name, f.from.count.Retransmitted)
		}
		if allocs > 0 {
			t.Errorf("%s: %v allocations for %d packets", name, allocs, packets/200)
		}
	}
}

// BenchmarkEngine is what the engine costs without a network: both ends of a
// transfer on one processor.
func BenchmarkEngine(b *testing.B) {
	f := newFlow(b)
	for range 200 {
		f.round(0)
	}
	start := f.to.count.BytesReceived
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		f.round(0)
	}
	b.SetBytes((f.to.count.BytesReceived - start) / int64(b.N))
}
