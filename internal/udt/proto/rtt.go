package proto

import "time"

// Round-trip times before anything was measured, and the bounds of what is
// believed.
const (
	initialRTT    = 100 * time.Millisecond
	initialRTTVar = 50 * time.Millisecond
	maxRTT        = 60 * time.Second
)

// rttEstimator smooths round-trip samples (RFC 6298, section 2, with UDT's
// gains: 1/8 for the mean, 1/4 for the deviation).
type rttEstimator struct {
	srtt, rttvar time.Duration
	measured     bool
	guesses      int // reports of the peer still to be passed over
}

func (e *rttEstimator) init() { e.srtt, e.rttvar = initialRTT, initialRTTVar }

func (e *rttEstimator) sample(d time.Duration) {
	if d <= 0 || d > maxRTT {
		return
	}
	if !e.measured {
		e.measured = true
		e.srtt, e.rttvar = d, d/2
		return
	}
	dev := e.srtt - d
	if dev < 0 {
		dev = -dev
	}
	e.rttvar += (dev - e.rttvar) / 4
	e.srtt += (d - e.srtt) / 8
}

// guessReports is how many reports of a libudt receiver its initial guess
// weighs on: it averages every round trip into it with 1/8, so that after 16 of
// them an eighth of the guess is left.
const guessReports = 16

// adopt takes over the peer's own estimate, in microseconds, from an ACK. A
// guess of the peer's, and what it still weighs on, is passed over if anything
// was measured here.
func (e *rttEstimator) adopt(rtt, rttvar uint32) {
	d, v := time.Duration(rtt)*time.Microsecond, time.Duration(rttvar)*time.Microsecond
	if d <= 0 || d > maxRTT || v < 0 || v > maxRTT {
		return
	}
	if e.measured {
		if guessedRTT(rtt, rttvar) {
			e.guesses = guessReports
			return
		}
		if e.guesses > 0 {
			e.guesses--
			return
		}
	}
	e.srtt, e.rttvar = d, v
}

// guessedRTT tells whether an ACK's words are those of an end that has measured
// nothing yet.
func guessedRTT(rtt, rttvar uint32) bool {
	return time.Duration(rtt)*time.Microsecond == initialRTT && time.Duration(rttvar)*time.Microsecond == initialRTTVar
}

// spread is the mean plus four deviations: nearly every round trip is shorter.
func (e *rttEstimator) spread() time.Duration { return e.srtt + 4*e.rttvar }

// words are the estimates as an ACK carries them, microseconds.
func (e *rttEstimator) words() (rtt, rttvar uint32) {
	return uint32(max(1, e.srtt.Microseconds())), uint32(e.rttvar.Microseconds())
}
