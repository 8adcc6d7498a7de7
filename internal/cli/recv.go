package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/udtcp/udtcp/internal/transfer"
)

type recvOptions struct {
	commonOptions
	fileOptions
	output    string
	overwrite bool
	maxSize   int64
}

func newRecvCommand(a *app) *cobra.Command {
	o := &recvOptions{}
	cmd := &cobra.Command{
		Use:   "recv",
		Short: "receive files, directories or a stream",
		Long: `Wait for a 'udtcp send' with --listen, or dial one that waits, and write what it sends below the current
directory, or where -o says.

A file appears under its name only when it is complete and verified. An existing file of the same size and time
as the sender's (with --checksum: the same digest) is left as it is and counts as received; any other is refused
unless --overwrite.
With -o - everything is received when the reader of standard output has taken it (on Linux; elsewhere, when it is in the
pipe). Until then both ends wait, so that a program which starts recv must read while it runs, not after it has ended.
recv --listen serves one sender and ends with that transfer's status; with -k it serves any number side by side until
a signal, then finishes what is in flight and ends with 0 (each transfer's own outcome is told as it ends).
The default port is 9000.

With --compat sendfile it fetches the file NAME from UDT4's 'sendfile' server, or from 'udtcp send --listen --compat
sendfile'. NAME is spelled as the server knows it; without -o the file is called by its last component here. The
exchange has no digest, so that nothing proves the file to be the server's: a file appears under its name when as many
bytes came as were announced, and recv prints its own digest, to compare by hand.

What is sent is encrypted, and each end knows the other by its key: 'udtcp key --help' tells how. On one machine there
is nothing to set up. A peer that is refused does not end the wait of a recv that listens.`,
	}
	describe(cmd, `
udtcp recv [flags] --listen[=[HOST]:PORT]
udtcp recv [flags] HOST[:PORT]
udtcp recv [flags] --rendezvous --bind :PORT HOST[:PORT]
udtcp recv [flags] --compat sendfile HOST[:PORT] NAME`, `
udtcp recv --listen
udtcp recv --listen :7000 -o /srv/incoming/
udtcp recv --listen -o - | tar x
udtcp recv -k --listen --json >> log
udtcp recv HOST:7000                        dial a listening sender: udtcp send --listen :7000 PATH
udtcp recv --compat sendfile HOST /srv/disk.img -o disk.img    from UDT4's 'sendfile'`, transferStatuses)
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "",
		"`PATH` to write to: a directory (existing or ending in /), a file, - for standard output")
	f.BoolVar(&o.overwrite, "overwrite", false, "replace existing files, each in one step")
	f.Var(newSizeValue(&o.maxSize, ""), "max-size", "refuse more than this in all")
	addFileFlags(cmd, &o.fileOptions, &o.retryFor)
	addCommonFlags(cmd, &o.commonOptions)
	addKeepOpen(f, &o.commonOptions, "with --listen: serve any number of senders until a signal")
	addChosenThere(cmd)
	a.command(cmd, &o.commonOptions, func() bool { return o.output == "-" }, func(ctx context.Context, args []string) error {
		if f.Changed("max-size") && o.maxSize == 0 {
			return usageError("--max-size must be more than 0")
		}
		if err := o.trust.check(cmd, o.plain(o.insecure)); err != nil {
			return err
		}
		if o.compat {
			if err := checkCompat(cmd); err != nil {
				return err
			}
			return runFetch(ctx, a, o, args)
		}
		if err := o.fileOptions.check(); err != nil {
			return err
		}
		keep, err := o.keeps(cmd)
		if err != nil {
			return err
		}
		return runRecv(ctx, a, o, keep, args)
	})
	return cmd
}

// destination is where to put what comes, by the flags.
func (o *recvOptions) destination(a *app) (ro transfer.RecvOptions, stdout bool) {
	ro = transfer.RecvOptions{
		Overwrite: o.overwrite, NoResume: o.noResume, Verify: o.verify, MaxSize: o.maxSize,
		Links: o.links, Checksum: o.checksum, Digest: transfer.Digest(o.digest), Software: software(),
	}
	if ro.Dir, ro.File, stdout = transfer.Destination(o.output); stdout {
		ro.Stdout = drainable(a.env.Stdout)
	}
	return ro, stdout
}

func runRecv(ctx context.Context, a *app, o *recvOptions, preserve bool, args []string) error {
	ep, _, err := o.endpoint(args, false)
	if err != nil {
		return err
	}
	ro, stdout := o.destination(a)
	ro.Preserve = preserve
	if stdout && o.keepOpen {
		return usageError("standard output can take one transfer: -k and -o - exclude each other")
	}
	// Before a sender is kept waiting for nothing.
	if err := transfer.CheckDestination(ro); err != nil {
		return err
	}
	if stdout {
		growPipe(a.env.Stdout)
	}
	c := &transferCommand{o: &o.commonOptions, ep: ep, carries: payload{out: stdout}, trust: &o.trust, verb: "received"}
	ro.Secure = !o.insecure
	c.ready = func() { a.confine(ro) }
	c.run = func(ctx context.Context, _ *meter, h hooks) (transfer.Result, error) {
		ro := ro
		ro.Progress, ro.OnFile, ro.OnMessage = h.progress, h.onFile, h.onMessage
		ro.Retry, ro.OnReconnect = h.retry, h.onReconnect
		return transfer.Recv(ctx, h.conn, ro)
	}
	return c.start(ctx, a)
}
