package cli

import "time"

// outcome is what a command, or with -k one peer's session, amounted to.
type outcome struct {
	peer            string // set only where several peers are served side by side
	files           int
	kept            int // of these, files that were there already
	bytes           int64
	resumed         int64
	elapsed         time.Duration // from the connection to the end
	digest          string
	digestAlgorithm string
	stats           *stats // of the connection, at its end; nil if there was none
	perf            *perfSummary
}

// event is the outcome as the event "end".
func (o outcome) event(v verdict) endEvent {
	return endEvent{
		ExitCode: v.status, Reason: v.message,
		Files: o.files, Bytes: o.bytes, ResumedBytes: o.resumed,
		Seconds: o.elapsed.Seconds(), GoodputBPS: rate(o.bytes-o.resumed, o.elapsed),
		Digest: o.digest, DigestAlgorithm: o.digestAlgorithm,
		Stats: o.stats, Peer: o.peer, Perf: o.perf,
	}
}

// add sums up the sessions of a server.
func (o *outcome) add(p outcome) {
	o.files += p.files
	o.kept += p.kept
	o.bytes += p.bytes
	o.resumed += p.resumed
}
