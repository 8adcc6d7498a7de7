package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/udtcp/udtcp/internal/transfer"
)

// compatValue is the value of --compat: whether it was given, since there is one exchange.
type compatValue bool

func (c *compatValue) String() string {
	if *c {
		return "sendfile"
	}
	return ""
}
func (c *compatValue) Type() string { return "NAME" }
func (c *compatValue) Set(s string) error {
	if s != "sendfile" {
		return errors.New("there is only sendfile, the exchange of UDT4's sendfile and recvfile programs")
	}
	*c = true
	return nil
}

// addNoCompat refuses --compat where no files are moved.
func addNoCompat(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Var(noCompatValue{}, "compat", "")
	f.Lookup("compat").Hidden = true
}

type noCompatValue struct{}

func (noCompatValue) String() string   { return "" }
func (noCompatValue) Type() string     { return "NAME" }
func (noCompatValue) Set(string) error { return errors.New("it is for send and recv") }

// notCompat says of flags why they make no sense with --compat sendfile.
var notCompat = map[string]string{
	"rendezvous":  "one end waits to be asked",
	"recursive":   "it knows files alone, no directories",
	"preserve":    "it carries neither mode nor time",
	"no-preserve": "it carries neither mode nor time",
	"checksum":    "it has no digests",
	"links":       "it knows files alone",
	"exclude":     "it serves the files named",
	"files-from":  "it serves the files named",
	"null":        "it serves the files named",
	"dry-run":     "it serves the files named",
	"verify":      "it goes on with nothing that an earlier attempt left",
}

// checkCompat refuses flags on the command line that make no sense with --compat. What is in the environment is meant for
// all runs and may be of no use to this one.
func checkCompat(cmd *cobra.Command) error {
	var err error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if why := notCompat[f.Name]; err == nil && why != "" && f.Annotations[envAnnotation] == nil {
			err = usageError("--%s and --compat sendfile exclude each other: %s", f.Name, why)
		}
	})
	return err
}

const compatCaution = "--compat sendfile is neither verified nor encrypted: the exchange has no digest, and anyone on the path can read and change what is sent"

// runServe is send --listen --compat sendfile.
func runServe(ctx context.Context, a *app, o *sendOptions, args []string) error {
	if !o.listen.set {
		return usageError("--compat sendfile waits to be asked: give --listen and the files, HOST:PORT is for the other end")
	}
	ep, paths, err := o.endpoint(args, true)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return usageError("nothing to serve: give the files")
	}
	exports, err := transfer.NewExports(paths)
	if err != nil {
		return err
	}
	o.drain = true // the watchdog sees what is acknowledged, so a client may be slow
	o.retryFor = 0 // the exchange has no way to go on
	c := &transferCommand{o: &o.commonOptions, ep: ep, verb: "sent", caution: compatCaution}
	c.armed = func(m *meter, p *transfer.Progress) bool {
		return p.Total() < 0 || p.Bytes() < p.Total() || m.Unacknowledged() > 0
	}
	c.run = func(ctx context.Context, m *meter, h hooks) (transfer.Result, error) {
		so := transfer.SendOptions{Digest: transfer.Digest(o.digest), Progress: h.progress, OnFile: h.onFile, OnMessage: h.onMessage}
		return transfer.ServeLegacy(ctx, m, exports, so)
	}
	return c.start(ctx, a)
}

// runFetch is recv --compat sendfile.
func runFetch(ctx context.Context, a *app, o *recvOptions, args []string) error {
	if o.listen.set {
		return usageError("--compat sendfile dials the server: give its HOST:PORT and the NAME of a file, --listen is for the other end")
	}
	ep, names, err := o.endpoint(args, true)
	switch {
	case err != nil:
		return err
	case len(names) == 0:
		return usageError("which file? give its NAME at the server after HOST:PORT")
	case len(names) > 1:
		return usageError("--compat sendfile fetches one file: what is %s for?", quote(names[1]))
	}
	name := names[0]
	ro, stdout := o.destination(a)
	if err := transfer.CheckFetchLegacy(name, ro); err != nil {
		return err
	}
	if stdout {
		growPipe(a.env.Stdout)
	}
	o.retryFor = 0 // the exchange has no way to go on
	c := &transferCommand{o: &o.commonOptions, ep: ep, carries: payload{out: stdout}, verb: "received", caution: compatCaution}
	c.ready = func() { a.confine(ro) }
	c.armed = func(_ *meter, p *transfer.Progress) bool {
		total := p.Total()
		return total < 0 || !stdout && p.Bytes() < total
	}
	c.run = func(ctx context.Context, m *meter, h hooks) (transfer.Result, error) {
		if err := requestFits(m, name); err != nil {
			return transfer.Result{}, err
		}
		ro := ro
		ro.Progress, ro.OnFile, ro.OnMessage = h.progress, h.onFile, h.onMessage
		return transfer.FetchLegacy(ctx, m, name, ro)
	}
	return c.start(ctx, a)
}

// packetHeaders are those of IP, UDP and UDT, which the MSS includes, bytes.
const packetHeaders = 28 + 16

// requestFits makes sure that the name and its length travel in one packet: UDT4's server takes a part of a name for all
// of it.
func requestFits(l link, name string) error {
	const length = 4
	if room := l.MSS() - packetHeaders - length; len(name) > room {
		return fail(exitPolicy, "ask for it by a shorter path, or raise --mss at both ends",
			"the name to ask for has %d bytes, and a packet on this connection has room for %d", len(name), room)
	}
	return nil
}
