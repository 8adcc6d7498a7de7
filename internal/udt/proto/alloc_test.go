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

func newFlow(t testing.TB, typ SocketType) *flow {
	cfg := testConfig(100)
	cfg.Type = typ
	cfg.Controller = NewFixed(1e12)
	client := newClientScript(t, cfg)
	client.handshake(testChallenge(cfg))
	response := testResponse(cfg)
	response.ID, response.SocketType = 101, typ
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
	f.write()
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
		f.read()
	}
}

func (f *flow) write() {
	if !f.from.messages() {
		f.from.Write(f.now, f.block)
		return
	}
	// Short and long ones, some of which overtake others or expire.
	for i := range 40 {
		o := MessageOptions{InOrder: i%3 == 0}
		if i%4 == 0 {
			o.TTL = time.Microsecond << (i % 20)
		}
		f.from.WriteMessage(f.now, f.block[:1+i*i*10], o)
	}
}

func (f *flow) read() {
	if !f.to.messages() {
		f.to.Read(f.space)
		return
	}
	for {
		if _, _, ok := f.to.ReadMessage(f.space); !ok {
			return
		}
	}
}

// Nothing is allocated per packet, neither where packets are sent nor where
// they are received, read and acknowledged.
func TestNoAllocationPerPacket(t *testing.T) {
	for _, c := range []struct {
		name string
		typ  SocketType
		skip int
	}{
		{"clean", Stream, 0}, {"lossy", Stream, int(2 * ms)},
		{"messages", Datagram, 0}, {"messages, lossy", Datagram, int(2 * ms)},
	} {
		f := newFlow(t, c.typ)
		for range 200 { // rings, spares and queues grow to their size
			f.round(c.skip)
		}
		packets := f.to.count.DataReceived
		allocs := testing.AllocsPerRun(200, func() { f.round(c.skip) })
		packets = f.to.count.DataReceived - packets
		if packets < 10_000 {
			t.Fatalf("%s: only %d packets", c.name, packets)
		}
		if c.skip > 0 && f.from.count.Retransmitted < 100 {
			t.Fatalf("%s: only %d packets sent again", c.name, f.from.count.Retransmitted)
		}
		if c.typ == Datagram && f.from.count.MessagesExpired < 100 {
			t.Fatalf("%s: only %d messages expired", c.name, f.from.count.MessagesExpired)
		}
		if allocs > 0 {
			t.Errorf("%s: %v allocations for %d packets", c.name, allocs, packets/200)
		}
	}
}

// BenchmarkEngine is what the engine costs without a network: both ends of a
// transfer on one processor.
func BenchmarkEngine(b *testing.B) {
	f := newFlow(b, Stream)
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
