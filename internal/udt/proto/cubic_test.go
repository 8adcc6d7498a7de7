package proto

import "math"

// A cubicFlow stands for a TCP flow with CUBIC (RFC 9438) as a neighbour: its
// window and its answer to loss, paced like Linux's (section 4.7 of RFC 9002
// has the same factor). Recovery is that of UDT.
type cubicFlow struct {
	cwnd, ssthresh float64
	most           float64 // window at the last loss
	epoch          Instant // of growth; 0 = none
	start          float64 // window then
	reno           float64 // estimate of a Reno flow's window
	recover        int64   // losses before this index belong to the last event
	rate, window   float64
}

func newCubicFlow() *cubicFlow { return &cubicFlow{cwnd: 10, ssthresh: math.Inf(1), window: 10} }

func (c *cubicFlow) Name() string    { return "cubic" }
func (c *cubicFlow) Init(*PathState) {}
func (c *cubicFlow) Rate() float64   { return c.rate }
func (c *cubicFlow) Window() float64 { return c.window }
func (c *cubicFlow) set(s *PathState) {
	factor := 1.2
	if c.cwnd < c.ssthresh {
		factor = 2
	}
	c.rate = factor * c.cwnd / s.RTT.Seconds()
	c.window = max(1, c.cwnd+float64(s.InFlight-s.Pipe))
}

func (c *cubicFlow) OnACK(s *PathState, acked int) {
	defer c.set(s)
	n := float64(s.Sample.Delivered)
	if s.Sample.Interval <= 0 {
		return
	}
	n = min(float64(acked), n)
	if c.cwnd < c.ssthresh {
		c.cwnd += n
		return
	}
	const cubic, beta = 0.4, 0.7
	if c.epoch == 0 {
		c.epoch, c.start, c.reno = s.Now, c.cwnd, c.cwnd
		c.most = max(c.most, c.cwnd)
	}
	k := math.Cbrt((c.most - c.start) / cubic)
	at := s.Now.Sub(c.epoch).Seconds() + s.RTT.Seconds()
	target := cubic*(at-k)*(at-k)*(at-k) + c.most
	c.reno += 3 * (1 - beta) / (1 + beta) * n / c.cwnd
	target = max(target, c.reno)
	if target > c.cwnd {
		c.cwnd += min((target-c.cwnd)/c.cwnd, 0.5) * n
	}
}

func (c *cubicFlow) OnLoss(s *PathState, first int64) {
	if first >= c.recover {
		c.recover = s.Sent
		c.most = c.cwnd
		c.cwnd = max(2, c.cwnd*0.7)
		c.ssthresh, c.epoch = c.cwnd, 0
	}
	c.set(s)
}

func (c *cubicFlow) OnTimeout(s *PathState) {}
