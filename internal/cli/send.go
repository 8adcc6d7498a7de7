package cli

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/udtcp/udtcp/internal/transfer"
)

type sendOptions struct {
	commonOptions
	fileOptions
	chooseOptions
}

// fileOptions are the flags that send and recv share for files.
type fileOptions struct {
	recursive            bool
	preserve, noPreserve bool
	noResume, verify     bool
	digest               digestValue
	trust                trustOptions
	compat               compatValue
	checksum, links      bool
}

func addFileFlags(cmd *cobra.Command, o *fileOptions, retryFor *time.Duration) {
	f := cmd.Flags()
	o.digest = digestValue(transfer.BLAKE3)
	f.BoolVarP(&o.recursive, "recursive", "r", false, "accepted; directories are always sent with all they hold")
	f.BoolVarP(&o.preserve, "preserve", "p", true, "keep mode and modification time")
	f.BoolVar(&o.noPreserve, "no-preserve", false, "do not keep them")
	f.BoolVarP(&o.checksum, "checksum", "c", false, "compare digests, not size and time, to tell what is there already")
	f.BoolVar(&o.links, "links", false, "keep symbolic links that stay inside the directory sent; needed at both ends")
	f.Var(newDurationValue(retryFor, "5m"), "retry-for", "how long to reconnect and go on when the connection is lost; 0 is never")
	f.BoolVar(&o.noResume, "no-resume", false, "start over: use nothing that an earlier attempt left")
	f.BoolVar(&o.verify, "verify", false, "read what an earlier attempt left before going on with it")
	f.Var(&o.digest, "digest", "digest to print: blake3 or sha256")
	addTrustFlags(cmd, &o.trust)
	f.Var(&o.compat, "compat", "sendfile: speak with UDT4's own programs; neither verified nor encrypted")
}

// check looks for what pflag cannot see.
func (o *fileOptions) check() error {
	if o.noResume && o.verify {
		return usageError("--no-resume and --verify exclude each other")
	}
	return nil
}

// plain says why there are no identities, if there are none.
func (o *fileOptions) plain(insecure bool) string {
	switch {
	case bool(o.compat):
		return "--compat sendfile has no encryption and no identities"
	case insecure:
		return "--insecure is without encryption and identities"
	}
	return ""
}

// keeps says whether mode and time are kept: --no-preserve wins over the default, not over -p.
func (o *fileOptions) keeps(cmd *cobra.Command) (bool, error) {
	if o.noPreserve && o.preserve && cmd.Flags().Changed("preserve") {
		return false, usageError("-p and --no-preserve exclude each other")
	}
	return o.preserve && !o.noPreserve, nil
}

// digestValue is the value of --digest.
type digestValue transfer.Digest

func (d *digestValue) String() string { return string(*d) }
func (d *digestValue) Type() string   { return "NAME" }
func (d *digestValue) Set(s string) error {
	switch transfer.Digest(s) {
	case transfer.BLAKE3, transfer.SHA256:
		*d = digestValue(s)
		return nil
	}
	return errors.New("want blake3 or sha256")
}

func newSendCommand(a *app) *cobra.Command {
	o := &sendOptions{}
	cmd := &cobra.Command{
		Use:   "send",
		Short: "send files, directories or standard input",
		Long: `Send files, directories or standard input to a waiting 'udtcp recv', or with --listen wait for one.

PATH is a file, a directory (sent with all it holds, under its own name), or - for standard input.
send ends with 0 only once the receiver has everything, verified and durable. Files that the receiver has with the
same size and time (with --checksum: the same digest) are not sent again.

` + chooseText + `

With --listen --compat sendfile it serves files to UDT4's 'recvfile' programs, or to 'udtcp recv --compat sendfile': the
files named and no others, each by its PATH as given or by the last component of that where no other file shares it.
The exchange has no digest and no receipt. send prints its own digest, to compare by hand, and ends with 0 once the
other end has acknowledged every byte.

The address of --listen may follow it as a word of its own if it has the form [HOST]:PORT; a file with such a name is
written ./NAME. The default port is 9000.

What is sent is encrypted, and each end knows the other by its key: 'udtcp key --help' tells how. On one machine there
is nothing to set up.`,
	}
	describe(cmd, `
udtcp send [flags] HOST[:PORT] PATH...
udtcp send [flags] --listen[=[HOST]:PORT] PATH...
udtcp send [flags] --rendezvous --bind :PORT HOST[:PORT] PATH...
udtcp send [flags] --listen[=[HOST]:PORT] --compat sendfile FILE...`, `
udtcp send backup.example.org photos/ notes.txt
udtcp send --exclude '*.o' --exclude .git/ HOST src
find . -newer stamp -type f -print0 | udtcp send -0 --files-from - HOST
udtcp send --bwlimit 800Mbit [2001:db8::7]:7000 disk.img
tar c . | udtcp send HOST -
udtcp send --listen :7000 disk.img          the receiver dials: udtcp recv HOST:7000
udtcp send --rendezvous --bind :9000 HOST:9000 disk.img    both dial: udtcp recv --rendezvous --bind :9000 THIS:9000
udtcp send -k --listen --compat sendfile disk.img    UDT4's 'recvfile HOST 9000 disk.img COPY' fetches it`, transferStatuses)
	addChooseFlags(cmd, &o.chooseOptions)
	addFileFlags(cmd, &o.fileOptions, &o.retryFor)
	addCommonFlags(cmd, &o.commonOptions)
	addKeepOpen(cmd.Flags(), &o.commonOptions, "with --listen: serve any number of receivers until a signal")
	a.command(cmd, &o.commonOptions, func() bool { return false }, func(ctx context.Context, args []string) error {
		if err := o.trust.check(cmd, o.plain(o.insecure)); err != nil {
			return err
		}
		if o.compat {
			if err := checkCompat(cmd); err != nil {
				return err
			}
			return runServe(ctx, a, o, args)
		}
		if err := o.fileOptions.check(); err != nil {
			return err
		}
		keep, err := o.keeps(cmd)
		if err != nil {
			return err
		}
		return runSend(ctx, a, o, keep, args)
	})
	return cmd
}

func runSend(ctx context.Context, a *app, o *sendOptions, preserve bool, args []string) error {
	ep, paths, err := o.endpoint(args, true)
	if err != nil {
		return err
	}
	stdin := slices.Contains(paths, "-")
	switch {
	case len(paths) == 0 && o.filesFrom == "":
		return usageError("nothing to send: give a PATH, or - for standard input")
	case stdin && len(paths) > 1:
		return usageError("- (standard input) goes alone")
	case stdin && o.dryRun:
		return usageError("what standard input holds is not known before: -n and - exclude each other")
	case stdin && o.keepOpen:
		return usageError("standard input can be sent once: -k and - exclude each other")
	}
	so := transfer.SendOptions{
		Paths: paths, Stdin: a.env.Stdin, Preserve: preserve, NoResume: o.noResume, Verify: o.verify,
		Links: o.links, Checksum: o.checksum, Digest: transfer.Digest(o.digest), Software: software(),
	}
	if err := o.choose(a, &so); err != nil {
		return err
	}
	if o.dryRun {
		return dryRun(ctx, a, so)
	}
	// Before the other end is troubled.
	if err := transfer.CheckSources(so); err != nil {
		return err
	}
	if stdin {
		growPipe(a.env.Stdin)
	}
	c := &transferCommand{o: &o.commonOptions, ep: ep, carries: payload{in: stdin}, trust: &o.trust, verb: "sent"}
	so.Secure = !o.insecure
	c.run = func(ctx context.Context, _ *meter, h hooks) (transfer.Result, error) {
		so := so
		so.Progress, so.OnFile, so.OnMessage = h.progress, h.onFile, h.onMessage
		so.Retry, so.OnReconnect = h.retry, h.onReconnect
		return transfer.Send(ctx, h.conn, so)
	}
	return c.start(ctx, a)
}
