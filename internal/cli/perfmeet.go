package cli

import (
	"context"
	"errors"
	"time"
)

// This file is perf over a rendezvous: both ends dial, so that who sends is settled by -R.

// checkMeeting looks for options that the end which receives in a rendezvous, or any, cannot have.
func (o *perfOptions) checkMeeting() error {
	switch {
	case o.streams != 1:
		return usageError("--rendezvous makes one connection: leave out --streams")
	case o.reverse && (o.time != 0 || o.bytes != 0):
		return usageError("with --rendezvous -t and -n are for the end that sends, which is the one without -R")
	}
	return nil
}

// meetPerf is a test with the peer that dials as well. Both ends send their hello before they read the other's, so that
// neither waits for the other to speak first.
func meetPerf(ctx context.Context, a *app, o *perfOptions, remote address) error {
	l, err := a.dial(ctx, &o.commonOptions, remote)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Abort() })
	ours := o.hello()
	ours.bytes = o.bytes
	hello, err := greetPerf(l, ours, o.connectTimeout)
	if !stop() && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = l.Close() // what we said is to arrive: the other end fails over the same
		return err
	}
	test := &perfTest{streams: []*perfStream{{l: l, hello: hello, sends: !o.reverse}}}
	a.outcome, err = runPerfTest(ctx, a, &o.commonOptions, test, "")
	return err
}

// greetPerf exchanges hellos and gives the sender's, which counts.
func greetPerf(l link, ours perfHello, limit time.Duration) (perfHello, error) {
	if _, err := l.Write(ours.encode()); err != nil {
		return perfHello{}, &linkFault{err}
	}
	theirs, err := hearPerf(l, limit)
	switch {
	case errors.Is(err, errNotPerf):
		return perfHello{}, fail(exitNoLink, "start 'udtcp perf --rendezvous' there", "%s is there but does not speak as 'udtcp perf' does: %w", l.RemoteAddr(), err)
	case isWord(err):
		return perfHello{}, err
	case err != nil:
		return perfHello{}, fail(exitPolicy, "do both ends have the same version?", "%w", err)
	case theirs.streams != ours.streams:
		return perfHello{}, fail(exitPolicy, "do both ends have the same version?", "the other end wants %d streams", theirs.streams)
	case theirs.reverse && ours.reverse:
		return perfHello{}, fail(exitUsage, "leave out -R at the end that is to send", "both ends want to receive")
	case !theirs.reverse && !ours.reverse:
		return perfHello{}, fail(exitUsage, "give -R to the end that is to receive", "both ends want to send")
	case ours.reverse:
		return theirs, nil
	}
	return ours, nil
}
