package proto

import "time"

// BBR models the path by the rate it delivers and its least round-trip time,
// and sends accordingly, instead of taking every loss for congestion. It
// follows draft-ietf-ccwg-bbr-04 (BBRv3), whose sections the comments name;
// docs/congestion.md says where it leaves the draft, and why:
//
//   - UDT's receivers measure the bottleneck's capacity with packet pairs, so
//     Startup need not double its way up from 16 packets (cc_bbr_startup.go).
//   - Loss is held against what the path loses while it has no queue, so that
//     random loss is not taken for congestion (cc_bbr_congestion.go).
//   - A queue that grows while less is delivered than expected is taken for
//     it, with or without loss (cc_bbr_squeeze.go).
//   - ProbeBW probes every few round trips and goes on while it finds more, so
//     that it follows a path that becomes faster (cc_bbr_cycle.go).
type BBR struct {
	phase   bbrPhase
	rounds  int // round trips since the phase began
	model   bbrModel
	startup bbrStartup
	cycle   bbrCycle
	probe   bbrProbeRTT

	rate   float64 // packets/s; 0 = as the window allows
	cwnd   float64 // packets on their way
	window float64 // packets from the lowest unacknowledged to the highest sent
}

// bbrPhase is what BBR is doing (section 5.1).
type bbrPhase uint8

const (
	phaseStartup  bbrPhase = iota // finding the bandwidth
	phaseDrain                    // emptying the queue
	phaseDown                     // ProbeBW: emptying the queue of the last probe
	phaseCruise                   // ProbeBW: sending at the bandwidth found
	phaseRefill                   // ProbeBW: filling the pipe for the probe
	phaseUp                       // ProbeBW: probing for more
	phaseProbeRTT                 // looking at the path without a queue
)

// Gains (section 5.6.1) and the margin (section 5.6.2) that lets a queue
// drain by and by. Drain's where the path has become slower is BBRv1's
// (draft-cardwell-iccrg-bbr-congestion-control-00): the queue is ours, and long.
// Up's window is smaller than the draft's 2.25: a bottleneck buffer of a quarter
// BDP shall hold what a probe puts into it.
const (
	bbrStartupGain = 2.77
	bbrDrainGain   = 0.5
	bbrSlowerGain  = 0.35
	bbrDownGain    = 0.9
	bbrWindowGain  = 2.0
	bbrMargin      = 0.99
	// windowTime is how much a window has room for beyond the BDP on a path
	// shorter than that.
	windowTime = 40 * time.Millisecond
	// bbrMinWindow is what keeps ACKs coming (section 5.6.4.3).
	bbrMinWindow = 4
)

// NewBBR returns BBR congestion control.
func NewBBR() *BBR {
	return &BBR{cwnd: initialWindow, window: initialWindow, startup: bbrStartup{train: initialWindow}}
}

// Name implements Controller.
func (b *BBR) Name() string { return "bbr" }

// Init implements Controller.
func (b *BBR) Init(s *PathState) {
	b.model.init(s)
	b.startup.noQueue = time.Hour // until a round trip was measured
	b.cycle.rng = uint64(s.ISN)<<1 | 1
	b.probe.at = s.Now
}

// Rate implements Controller.
func (b *BBR) Rate() float64 { return b.rate }

// Window implements Controller.
func (b *BBR) Window() float64 { return b.window }

// OnACK implements Controller.
func (b *BBR) OnACK(s *PathState, _ int) { b.update(s) }

// OnLoss implements Controller.
func (b *BBR) OnLoss(s *PathState, _ int64) { b.update(s) }

// OnTimeout implements Controller. What a timeout presumes lost is two packets;
// while nothing is heard the window keeps anything more from being sent.
func (b *BBR) OnTimeout(s *PathState) { b.setWindow(s) }

// update follows every report of the receiver (section 5.2.3).
func (b *BBR) update(s *PathState) {
	m := &b.model
	m.sending = b.rate
	if b.phase == phaseStartup && !b.startup.over {
		m.forgive(s) // a train overruns a short queue at any rate
	}
	m.update(s, b.phase)
	if m.newRound {
		b.rounds++
		b.startup.over = b.startup.over || b.startup.told
	}
	switch b.phase {
	case phaseStartup:
		b.updateStartup(s)
	case phaseDrain:
		// Section 5.3.2.
		if m.drained(s, b.rounds) || b.rounds > 3 {
			b.endDrain(s)
		}
	case phaseProbeRTT:
		b.updateProbeRTT(s)
	default:
		b.updateCycle(s)
	}
	b.checkProbeRTT(s)
	b.setRate()
	b.setWindow(s)
}

// enter begins a phase.
func (b *BBR) enter(p bbrPhase) { b.phase, b.rounds = p, 0 }

// setRate sets the pacing rate (section 5.6.2).
func (b *BBR) setRate() {
	bw := b.model.bandwidth()
	if bw <= 0 {
		return // as the window allows, until the first sample
	}
	switch b.phase {
	case phaseStartup:
		b.rate = 0 // as the window allows, until the trains have told what they can
		if b.startup.told {
			b.rate = max(b.startup.rate(bw, b.model.turns.spread()), bbrStartupGain*b.startup.window(&b.model))
		}
	case phaseDrain:
		b.rate = bbrDrainGain * bw
		if b.model.squeeze.slower {
			b.rate = bbrSlowerGain * bw
		}
	case phaseDown:
		b.rate = bbrDownGain * bw
	case phaseUp:
		b.rate = bw * bbrMargin
		if !b.cycle.full {
			b.rate *= b.cycle.gain
		}
	default:
		b.rate = bw * bbrMargin
	}
}

// setWindow sets the windows (section 5.6.4).
func (b *BBR) setWindow(s *PathState) {
	m := &b.model
	if m.bandwidth() > 0 {
		switch b.phase {
		case phaseStartup:
			// What a jump sends in a round trip has to fit, although the bandwidth
			// is not measured yet.
			b.cwnd = max(float64(b.startup.train), m.inflight(bbrWindowGain), m.volume(b.startup.jump)*1.25) + m.slack() + m.silent(b.rate)
		case phaseUp:
			b.cwnd = m.inflight(b.cycle.gain) + m.slack()
			if m.rivalled(s.Now) {
				b.cwnd += m.room(s.Now) * b.cycle.gain
			}
		case phaseProbeRTT:
			b.cwnd = m.inflight(probeRTTGain)
		default:
			b.cwnd = m.inflight(1) + m.slack()
			if b.phase != phaseDrain || !m.squeeze.plunged { // a slower path's queue is ours alone, and goes first
				b.cwnd += m.room(s.Now)
			}
		}
		b.cwnd = max(bbrMinWindow, m.bounded(b.cwnd, b.cycle.reach(), s.Now, b.phase))
	}
	if b.phase == phaseStartup && b.startup.begun && !b.startup.told {
		b.cwnd = min(b.cwnd, float64(s.Pipe)) // nothing may blur what the train tells
	}
	// Behind a hole the cumulative ACK stands still; what has arrived there
	// is on its way no more.
	b.window = max(1, b.cwnd+float64(s.InFlight-s.Pipe))
}

// probeRTTGain is how much of the BDP ProbeRTT leaves in flight (section 2.13.2).
const probeRTTGain = 0.5

// volume is how many packets a rate has on their way in the least round trip.
func (m *bbrModel) volume(rate float64) float64 { return rate * m.minRTT().Seconds() }

// inflight is the given multiple of the BDP (section 5.6.4.2).
func (m *bbrModel) inflight(gain float64) float64 { return gain * m.volume(m.bandwidth()) }

// slack is what may be in flight beyond the BDP because packets leave in
// bursts and are acknowledged in batches (sections 5.5.8 and 5.5.9).
func (m *bbrModel) slack() float64 {
	return m.burst() + max(m.extra.most(), m.silent(m.bandwidth()))
}

// untold is how long a receiver may keep an arrival to itself.
func (m *bbrModel) untold() time.Duration {
	return time.Duration(m.silent(m.bandwidth()) / m.bandwidth() * 1e9)
}

// silent is how many packets arrive at a rate before the receiver says so.
func (m *bbrModel) silent(rate float64) float64 { return min(m.unreported, rate*syn.Seconds()) }

// room is what may be in flight beyond the BDP because others make a queue: as
// much again, and on a short path more, for the queue of a flow on a longer
// path does not shrink with ours.
func (m *bbrModel) room(now Instant) float64 {
	room := max(m.inflight(bbrWindowGain-1), min(m.bandwidth()*windowTime.Seconds(), m.inflight(3)))
	if m.rivalled(now) {
		room = max(room, 1.25*m.bandwidth()*m.last.rtt.Seconds())
	}
	return room
}

// burst is how many packets may leave at once.
func (m *bbrModel) burst() float64 { return max(m.bandwidth()*paceMaxBurst.Seconds(), paceMinBurst) }

// bbrProbeRTT is when and how the path is looked at without a queue
// (section 5.3.4).
type bbrProbeRTT struct {
	at    Instant // when the least round trip was last confirmed
	until Instant // when to stop; 0 = the pipe is not drained yet

	blind int           // probes in a row that lost packets and saw no queue
	was   time.Duration // the least round trip before
	trust Instant       // until when there is no doubt
}

const (
	probeRTTInterval = 5 * time.Second
	probeRTTTime     = 200 * time.Millisecond
	// doubtInterval replaces probeRTTInterval while there is doubt, and
	// trustTime is how long there is none once it has proved wrong.
	doubtInterval = time.Second
	trustTime     = 30 * time.Second
)

// doubt reports whether the least round trip may be that of a full queue, from
// before our first packet: sending more leads to loss and not to a queue.
func (p *bbrProbeRTT) doubt(now Instant) bool { return p.blind >= 2 && now >= p.trust }

// probed notes what a probe has met with.
func (p *bbrProbeRTT) probed(lossy, queued bool) {
	if lossy && !queued {
		p.blind++
	} else {
		p.blind = 0
	}
}

// checkProbeRTT enters ProbeRTT if the path was not seen without a queue for
// an interval. A round trip within a sixteenth of the least one says that
// there is none, as it happens after every probe of a flow that is alone; no
// throughput is spent on looking again, unless there is doubt.
func (b *BBR) checkProbeRTT(s *PathState) {
	m, p := &b.model, &b.probe
	since, doubt := s.Now.Sub(p.at), p.doubt(s.Now)
	if since < doubtInterval || since < probeRTTInterval && !doubt || b.phase == phaseProbeRTT || b.phase == phaseStartup {
		return
	}
	seen := m.rtt.current
	if seen > 0 && m.unqueued(seen) && !doubt || s.Sample.Limited {
		m.rtt.turn()
		p.at = s.Now
		return
	}
	p.was = m.minRTT()
	b.enter(phaseProbeRTT)
	p.until = 0
	m.rtt.turn()
}

func (b *BBR) updateProbeRTT(s *PathState) {
	m := &b.model
	switch {
	case b.probe.until == 0:
		if float64(s.Pipe) <= max(bbrMinWindow, m.inflight(probeRTTGain)) {
			b.probe.until = s.Now.Add(min(probeRTTTime, 10*m.minRTT()+syn))
			b.rounds = 0
		}
	case s.Now >= b.probe.until && b.rounds > 0:
		b.probe.at, b.probe.blind = s.Now, 0
		// A few packets less of many make no difference to the queue.
		if least := m.minRTT(); least > b.probe.was-b.probe.was/16 && !m.deprived() {
			b.probe.trust = s.Now.Add(trustTime)
		}
		m.unbind()
		b.startCruise()
	}
}
