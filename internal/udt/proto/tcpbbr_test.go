package proto

import "time"

// A bbr1Flow stands for a TCP flow with BBR as Linux has it, version 1
// (Cardwell, Cheng, Gunn, Yeganeh, Jacobson, "BBR: congestion-based congestion
// control", ACM Queue 14(5), 2016), as a neighbour. Recovery is that of UDT. It
// keeps two BDP in flight; Linux adds what ACKs in batches seem to need.
type bbr1Flow struct {
	phase  bbr1Phase
	bw     [10]float64 // most delivered, packets/s, in each of the last round trips
	end    int64       // delivered when the round trip ends
	rounds int
	full   float64 // bandwidth that Startup has to exceed
	count  int     // round trips without
	step   int     // of the gain cycle
	since  Instant // when it began
	least  time.Duration
	at     Instant // when that was measured
	until  Instant // when ProbeRTT ends; 0 = not drained yet
	most   float64 // BDP in flight

	rate, window float64
}

type bbr1Phase uint8

const (
	bbr1Startup bbr1Phase = iota
	bbr1Drain
	bbr1ProbeBW
	bbr1ProbeRTT
)

const (
	bbr1High    = 2.885
	bbr1Longest = 10 * time.Second // that a least round trip is believed
	bbr1Look    = 200 * time.Millisecond
)

var bbr1Gains = [...]float64{1.25, 0.75, 1, 1, 1, 1, 1, 1}

func newBBR1Flow(most float64) *bbr1Flow { return &bbr1Flow{most: most, window: 10} }

func (f *bbr1Flow) Name() string                 { return "bbr1" }
func (f *bbr1Flow) Init(*PathState)              {}
func (f *bbr1Flow) Rate() float64                { return f.rate }
func (f *bbr1Flow) Window() float64              { return f.window }
func (f *bbr1Flow) OnTimeout(*PathState)         {}
func (f *bbr1Flow) OnACK(s *PathState, _ int)    { f.update(s) }
func (f *bbr1Flow) OnLoss(s *PathState, _ int64) { f.update(s) }

func (f *bbr1Flow) update(s *PathState) {
	r := &s.Sample
	if r.Interval <= 0 {
		return
	}
	newRound := r.Prior >= f.end
	if newRound {
		f.end = s.Delivered
		f.rounds++
		f.bw[f.rounds%len(f.bw)] = 0
	}
	f.bw[f.rounds%len(f.bw)] = max(f.bw[f.rounds%len(f.bw)], r.Rate())
	bw := 0.0
	for _, b := range f.bw {
		bw = max(bw, b)
	}
	stale := s.Now.Sub(f.at) > bbr1Longest
	if r.RTT > 0 && (f.least == 0 || r.RTT <= f.least || stale) {
		f.least, f.at = r.RTT, s.Now
	}
	bdp := bw * f.least.Seconds()
	f.advance(s, newRound, bw, bdp, stale)

	gain, window := 1.0, f.most*bdp
	switch f.phase {
	case bbr1Startup:
		gain, window = bbr1High, bbr1High*bdp
	case bbr1Drain:
		gain, window = 1/bbr1High, bbr1High*bdp
	case bbr1ProbeBW:
		gain = bbr1Gains[f.step]
	case bbr1ProbeRTT:
		window = 4
	}
	f.rate = max(10, gain*bw)
	f.window = max(4, window+float64(s.InFlight-s.Pipe))
}

// advance goes from phase to phase.
func (f *bbr1Flow) advance(s *PathState, newRound bool, bw, bdp float64, stale bool) {
	switch f.phase {
	case bbr1Startup:
		if !newRound {
			break
		}
		if f.count++; bw >= 1.25*f.full {
			f.full, f.count = bw, 0
		}
		if f.count >= 3 {
			f.phase = bbr1Drain
		}
	case bbr1Drain:
		if float64(s.Pipe) <= bdp {
			f.phase, f.step, f.since = bbr1ProbeBW, 2, s.Now
		}
	case bbr1ProbeBW:
		long := s.Now.Sub(f.since) > f.least
		switch f.step {
		case 0:
			long = long && float64(s.Pipe) >= 1.25*bdp
		case 1:
			long = long || float64(s.Pipe) <= bdp
		}
		if long {
			f.step, f.since = (f.step+1)%len(bbr1Gains), s.Now
		}
	case bbr1ProbeRTT:
		if f.until == 0 && s.Pipe <= 4 {
			f.until = s.Now.Add(bbr1Look)
		}
		if f.until > 0 && s.Now > f.until {
			f.at = s.Now
			f.phase, f.step, f.since = bbr1ProbeBW, 2, s.Now
		}
	}
	if stale && f.phase != bbr1ProbeRTT {
		f.phase, f.until = bbr1ProbeRTT, 0
	}
}
