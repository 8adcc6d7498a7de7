package proto

import (
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// A lossyLink is one of the links that loss recovery is judged on. The sender
// keeps a fixed rate, so that no congestion control blurs the picture.
type lossyLink struct {
	name  string
	rate  float64 // bits/s
	rtt   time.Duration
	queue int     // bytes
	send  float64 // the sender's rate as a part of the link's
	mss   int
	data  simnet.Params // faults on the way of the data
	acks  simnet.Params // faults on the way of the ACKs
	size  int           // bytes to send
	// Bounds; 0 stands for the usual one.
	share    float64 // least goodput, as a part of what the link's rate and losses and the sender's rate let through
	overhead float64 // most packets retransmitted beyond 1.2 × the losses, as a part of all
	naks     float64 // most NAKs a round trip
}

// allowance is what retransmissions may exceed 1.2 × the losses by, as a part
// of all packets.
const allowance = 0.003

var lossyLinks = []lossyLink{
	{
		name: "500M, 100 ms, 0.1 %", rate: 500e6, rtt: 100 * ms, queue: 3_100_000,
		data: simnet.Params{Loss: 0.001}, size: 100e6, share: 0.93,
	},
	{
		name: "200M, 200 ms, 1 %", rate: 200e6, rtt: 200 * ms, queue: 2_500_000,
		data: simnet.Params{Loss: 0.01}, size: 120e6, share: 0.92,
	},
	{
		name: "200M, 200 ms, 1 %, also of the ACKs", rate: 200e6, rtt: 200 * ms, queue: 2_500_000,
		data: simnet.Params{Loss: 0.01}, acks: simnet.Params{Loss: 0.01}, size: 120e6, share: 0.92,
	},
	{
		name: "50M, 300 ms, 3 %", rate: 50e6, rtt: 300 * ms, queue: 900_000,
		data: simnet.Params{Loss: 0.03}, size: 40e6, share: 0.90,
	},
	{
		name: "50M, 300 ms, 10 %", rate: 50e6, rtt: 300 * ms, queue: 900_000,
		data: simnet.Params{Loss: 0.1}, size: 40e6, share: 0.85,
	},
	{
		name: "200M, 80 ms, bursts of 20", rate: 200e6, rtt: 80 * ms, queue: 1_000_000,
		data: simnet.Params{BurstStart: 0.0005, BurstMean: 20}, size: 80e6, share: 0.95,
	},
	{
		name: "200M, 80 ms, jitter of 20 ms, 1 %", rate: 200e6, rtt: 80 * ms, queue: 1_000_000,
		data: simnet.Params{Loss: 0.01, Jitter: 20 * ms}, size: 80e6, share: 0.95,
	},
	{
		name: "100M, 60 ms, 2 % by 5 ms", rate: 100e6, rtt: 60 * ms, queue: 750_000,
		data: simnet.Params{Reorder: 0.02, ReorderBy: 5 * ms}, size: 60e6, share: 0.97, overhead: 0.0002,
	},
	{
		name: "100M, 60 ms, 2 % by 5 ms, 1 %", rate: 100e6, rtt: 60 * ms, queue: 750_000,
		data: simnet.Params{Loss: 0.01, Reorder: 0.02, ReorderBy: 5 * ms}, size: 60e6, share: 0.95,
	},
	{
		name: "100M, 60 ms, sent 10 % too fast", rate: 100e6, rtt: 60 * ms, queue: 750_000, send: 1.1,
		size: 60e6, share: 0.97,
	},
	{
		name: "83,000 packets in flight, 3 %", rate: 1.3e9, rtt: 100 * ms, queue: 1 << 20, mss: 200,
		data: simnet.Params{Loss: 0.03}, size: 60e6, share: 0.5, naks: 90,
	},
}

// Losses cost what they must: nearly the whole rate is used, next to nothing
// is sent twice, and what was lost is counted as that.
func TestLossRecovery(t *testing.T) {
	for _, l := range lossyLinks {
		if testing.Short() || raceEnabled {
			l.size, l.share = l.size/8, 0
		}
		t.Run(l.name, func(t *testing.T) { l.judge(t) })
	}
}

func (l lossyLink) judge(t *testing.T) {
	p := l.pair(t, 1)
	a, b := p.ends[0], p.ends[1]
	p.data(0, l.size)
	p.dial()
	p.run(10*time.Second, func() bool { return b.conn != nil && b.conn.rcv.high > 0 })
	start, held := p.now, 0
	p.run(5*time.Minute, func() bool {
		held = max(held, a.conn.snd.held())
		return p.delivered()
	})
	took := p.now.Sub(start)
	p.sleep(2 * l.rtt) // what is still under way
	sent, got, lost := a.conn.count, b.conn.count, a.lost
	if sent.DataSent != got.DataReceived+lost {
		t.Errorf("%d packets sent, %d received and %d lost", sent.DataSent, got.DataReceived, lost)
	}
	// What was reported in vain came twice in the end.
	if spurious := sent.SendLoss - lost; spurious < 0 || spurious > got.Duplicates {
		t.Errorf("%d packets counted as lost, %d were, %d came twice", sent.SendLoss, lost, got.Duplicates)
	}
	// A receiver finds a packet missing once, however often it is lost.
	if once := float64(got.ReceiveLoss); once > float64(lost+got.Duplicates) || once < float64(lost)*(1-1.2*float64(lost)/float64(sent.DataSent))-10 {
		t.Errorf("%d packets found missing, %d were lost, some of them more than once", got.ReceiveLoss, lost)
	}
	all := float64(sent.DataSent)
	loss := float64(lost) / all
	overhead := float64(sent.Retransmitted)/all - 1.2*loss
	if l.overhead == 0 {
		l.overhead = allowance
	}
	if overhead > l.overhead+5/all {
		t.Errorf("%.2f %% retransmitted, %.2f %% lost", float64(sent.Retransmitted)/all*100, loss*100)
	}
	payload := float64(a.conn.payload())
	share := float64(l.size) * 8 / took.Seconds() / (l.rate * min(1, l.send) * payload / (payload + 44) * (1 - loss))
	if share < l.share {
		t.Errorf("share %.3f, want %.3f", share, l.share)
	}
	naks := float64(got.NAKSent) * l.rtt.Seconds() / took.Seconds()
	if l.naks == 0 {
		l.naks = max(nakShare, float64(l.rtt/(syn/2)))
	}
	if naks > l.naks {
		t.Errorf("%.1f NAKs a round trip", naks)
	}
	t.Logf("share %.3f, lost %.2f %%, retransmitted %.2f %%, twice %d, reordered %d, %.1f NAKs a round trip, held %.1f BDP",
		share, loss*100, float64(sent.Retransmitted)/all*100, got.Duplicates, got.Reordered, naks,
		float64(held)*(payload+44)*8/l.rate/l.rtt.Seconds())
}

// pair joins two ends by the link.
func (l *lossyLink) pair(t testing.TB, seed uint64) *pair {
	if l.send == 0 {
		l.send = 0.97
	}
	if l.mss == 0 {
		l.mss = 1500
	}
	for _, p := range []*simnet.Params{&l.data, &l.acks} {
		p.Rate, p.Delay, p.Queue = l.rate, l.rtt/2, l.queue
	}
	p := newPair(t, seed, l.data, l.acks)
	p.sparse = true
	for _, e := range p.ends {
		e.cfg.MSS = l.mss
		e.cfg.Window = max(8192, int(8*l.rate/8/float64(l.mss)*l.rtt.Seconds()))
		e.cfg.Controller = NewFixed(l.rate * l.send)
	}
	return p
}
