package cli

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
)

type catOptions struct {
	commonOptions
	stay     bool
	messages messageOptions
}

func newCatCommand(a *app) *cobra.Command {
	o := &catOptions{}
	o.drain = true
	cmd := &cobra.Command{
		Use:   "cat",
		Short: "netcat for UDT: join standard input and output to a bare UDT stream",
		Long: `Join standard input and output to a bare UDT stream, with any UDT program at the other end: no framing, no
encryption, no digest. With --message at both ends it is UDT messages (SOCK_DGRAM) instead: each line is one, and each
that arrives is written as a line. One that is larger than the smaller of both ends' buffers is refused, status 9.

UDT cannot close one direction alone. When standard input ends, cat waits until the other end has acknowledged all of
it, closes, and ends with 0; --stay goes on receiving until the other end closes instead. When the other end closes
first, cat writes out what arrived and ends with 0. A connection that breaks is status 5.

A cat that only receives should be started with --stay if its standard input is empty or closed.
--timeout is how long a silent peer is waited for; a connection that is merely idle lasts for ever.`,
	}
	describe(cmd, `
udtcp cat [flags] HOST[:PORT]
udtcp cat [flags] --listen[=[HOST]:PORT]
udtcp cat [flags] --rendezvous --bind :PORT HOST[:PORT]`, `
udtcp cat --listen --stay > got
udtcp cat HOST < file
udtcp cat HOST:7000                         type to the other end, as netcat does
udtcp cat --message --listen --stay         a line for each message that comes
udtcp cat --message --ttl 200ms HOST        lines that are of no use when they are late`, catStatuses)
	cmd.Flags().BoolVar(&o.stay, "stay", false, "when standard input ends, go on receiving until the peer closes")
	addCommonFlags(cmd, &o.commonOptions)
	addMessageFlags(cmd.Flags(), &o.messages)
	addNoCompat(cmd)
	var trust trustOptions
	addTrustFlags(cmd, &trust)
	for _, name := range []string{"identity", "peer"} {
		cmd.Flags().Lookup(name).Hidden = true
	}
	a.command(cmd, &o.commonOptions, func() bool { return true }, func(ctx context.Context, args []string) error {
		if err := trust.check(cmd, "cat is plain, for any UDT program; send and recv are not"); err != nil {
			return err
		}
		if err := o.messages.check(cmd.Flags()); err != nil {
			return err
		}
		o.datagram = o.messages.enabled
		return runCat(ctx, a, o, args)
	})
	return cmd
}

func runCat(ctx context.Context, a *app, o *catOptions, args []string) error {
	ep, _, err := o.endpoint(args, false)
	if err != nil {
		return err
	}
	a.out.info("cat is plain: no encryption, no digest")
	l, _, _, err := a.connect(ctx, &o.commonOptions, ep)
	if err != nil {
		return err
	}
	began := time.Now()
	a.connected(l)
	m := newMeter(l)
	stopReport := a.report(l, "", payload{in: true, out: true}, func() sample { return sample{bytes: m.moved(), total: -1, totalFiles: -1} })
	growPipe(a.env.Stdin)
	growPipe(a.env.Stdout)
	j := &joint{net: a.net, m: m, stdin: a.env.Stdin, stdout: a.env.Stdout, stay: o.stay, messages: o.messages}
	err = j.run(ctx)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	stopReport()
	st := l.Stats(false)
	a.closeBuffers(l, &st)
	a.outcome = outcome{bytes: m.moved(), elapsed: time.Since(began), stats: &st}
	if err == nil {
		a.out.detail("%s sent, %s received in %s", formatSize(m.out.Load()), formatSize(m.in.Load()), formatSeconds(a.outcome.elapsed))
	}
	return err
}

// joint copies both ways between a link and standard input and output.
type joint struct {
	net    network // nil: standard input is waited for without looking at the link
	m      *meter
	stdin  io.Reader
	stdout io.Writer
	stay   bool

	messages messageOptions

	closing atomic.Bool // standard input ended and the link is being closed by us
}

// run copies until it is over; the link is closed when it returns. It does not wait for a read of standard input that
// nothing can end.
func (j *joint) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = j.m.Abort() })
	defer stop()
	sent := make(chan error, 1)
	received := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { sent <- j.send(ctx) }()
	go func() { received <- j.receive() }()
	select {
	case err := <-received:
		// The peer closed, the link broke, or standard output failed: nothing more can be sent either.
		if j.closing.Load() {
			return <-sent
		}
		_ = j.m.Abort()
		return err
	case err := <-sent:
		if err == nil && !j.stay {
			return nil // drained and closed
		}
		var lf *linkFault
		if err == nil || errors.As(err, &lf) {
			// Either we stay, or writing failed; whether the peer closed in good order or the link broke, the
			// reading side knows, and has what arrived before.
			err := <-received
			_ = j.m.Abort()
			return err
		}
		_ = j.m.Abort()
		return err
	}
}

// send copies standard input to the link. At its end, unless we stay, it drains and closes the link.
func (j *joint) send(ctx context.Context) error {
	in, done := j.newInput(ctx)
	defer done()
	err := j.copyIn(in)
	var refused *failure
	switch {
	case errors.As(err, &refused): // what came before it is delivered
	case err != nil && in.failure() != nil:
		return fail(exitLocalIO, "", "standard input: %w", err)
	case err != nil:
		return &linkFault{err}
	case j.stay:
		return nil
	}
	j.closing.Store(true)
	if cerr := j.m.Close(); cerr != nil && err == nil {
		return fail(exitLost, "", "not all of standard input was acknowledged: %w", cerr)
	}
	return err
}

// copyIn copies in to the link, as a stream or cut into messages.
func (j *joint) copyIn(in io.Reader) error {
	if m, ok := j.m.link.(messenger); ok && j.messages.enabled {
		return j.sendMessages(m, in)
	}
	_, err := io.Copy(j.m.link, in)
	return err
}

// copyOut copies what comes from the link to out.
func (j *joint) copyOut(out io.Writer) error {
	if m, ok := j.m.link.(messenger); ok && j.messages.enabled {
		return j.receiveMessages(m, out)
	}
	_, err := io.Copy(out, j.m.link)
	return err
}

// receive copies the link to standard output until the peer closes, which is nil.
func (j *joint) receive() error {
	out := newCatOutput(j.stdout, &j.m.in)
	err := j.copyOut(out)
	var refused *failure
	switch {
	case out.failure() != nil:
		return fail(exitLocalIO, "", "standard output: %w", err)
	case err == nil, errors.As(err, &refused):
		return err
	}
	return &linkFault{err}
}
