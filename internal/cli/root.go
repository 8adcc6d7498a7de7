package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// app is one run of the program.
type app struct {
	env     Env
	net     network
	out     *console
	events  *emitter // nil without --json
	signals *signals
	opts    *commonOptions // of the command that runs; nil until its flags are read
	outcome outcome        // what the command amounted to, for the event "end"

	buffersTold sync.Once // that the socket's buffers are too small
}

// Main runs the command line args (without the program's name) and gives the exit status.
func Main(args []string, env Env) int {
	env = env.complete()
	a := &app{env: env, net: env.network, out: &console{w: env.Stderr}}
	if a.net == nil {
		a.net = udtNetwork{}
	}
	ctx, sig, stop := watchSignals(context.Background(), env)
	defer stop()
	a.signals = sig

	args = joinListen(args)
	root := newRootCommand(a)
	root.SetArgs(args)
	text := &textOutput{w: env.Stdout}
	root.SetOut(text)
	err := root.ExecuteContext(ctx)
	if err == nil && text.err != nil {
		err = fail(exitLocalIO, "", "standard output: %w", text.err)
	}
	// Whatever an interrupted run stumbled over, the signal is why it ended.
	if cause := context.Cause(ctx); cause != nil && err != nil {
		err = cause
	}
	return int(a.finish(err, args))
}

// textOutput is standard output for what cobra writes there, help and version. It keeps to itself what goes wrong, which cobra
// would tell in words of its own, or not at all.
type textOutput struct {
	w   io.Writer
	err error
}

func (t *textOutput) Write(b []byte) (int, error) {
	if t.err == nil {
		_, t.err = t.w.Write(b)
	}
	return len(b), nil
}

// finish tells how the run ended, on standard error and as the event "end".
func (a *app) finish(err error, args []string) status {
	v := judge(err)
	a.out.setBar(nil)
	if v.status != exitOK && !errors.Is(err, errShown) {
		a.out.fail(v)
	}
	if err != nil && a.events == nil && a.opts == nil && wantsJSON(args, a.env.LookupEnv) {
		// The flags never got as far as being read.
		a.events = &emitter{w: a.env.Stdout, now: time.Now}
		if mayCarryPayload(args) {
			a.events.w = a.env.Stderr
		}
	}
	a.events.emit("end", a.outcome.event(v))
	return v.status
}

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "udtcp",
		Short: "copy files and streams over UDT",
		Long: `udtcp moves files, directories and streams between two hosts over UDT, a reliable protocol on UDP
that keeps fast links of any length full.`,
		Example: indent(`
udtcp recv --listen                    on one host: wait for a sender on port 9000
udtcp send HOST photos/ notes.txt      on the other: send a directory and a file
tar c . | udtcp send HOST -            send a stream;  udtcp recv --listen -o - | tar x  takes it
udtcp perf --listen                    measure:  udtcp perf HOST  on the other host`),
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				cmd.SetOut(a.env.Stderr)
				if err := cmd.Usage(); err != nil {
					return err
				}
				return errShown
			}
			hint := "'udtcp --help' lists the commands"
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				hint = "did you mean 'udtcp " + near[0] + "'?"
			}
			return fail(exitUsage, hint, "there is no command %s", quote(args[0]))
		},
	}
	root.Version = readBuild().String()
	root.SetVersionTemplate("{{.Version}}\n")
	root.CompletionOptions.DisableDefaultCmd = true
	root.SuggestionsMinimumDistance = 2
	root.SetIn(a.env.Stdin)
	root.SetErr(a.env.Stderr)
	root.SetHelpTemplate(helpTemplate)
	root.SetUsageTemplate(usageTemplate)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		var bad *pflag.InvalidValueError
		if errors.As(err, &bad) {
			// The innermost cause: the layers around it name Go's functions.
			err = fmt.Errorf("--%s %s: %w", bad.GetFlag().Name, quoteValue(bad.GetValue()), unwrapAll(err))
		}
		return usageHint(cmd, usageError("%w", err))
	})
	root.AddCommand(newSendCommand(a), newRecvCommand(a), newCatCommand(a), newPerfCommand(a), newKeyCommand(a), newVersionCommand(a))
	return root
}

// usageHint adds where to read on to a usage error without a hint.
func usageHint(cmd *cobra.Command, err error) error {
	var f *failure
	if errors.As(err, &f) && f.status == exitUsage && f.hint == "" {
		f.hint = "see '" + cmd.CommandPath() + " --help'"
	}
	return err
}

// command wraps the run function of a command with the flags of commonOptions: it reads the environment, refuses what
// cannot be, and sets up what goes to standard error and to JSON. payload says whether standard output carries payload.
func (a *app) command(cmd *cobra.Command, o *commonOptions, payload func() bool, run func(ctx context.Context, args []string) error) {
	cmd.Args = cobra.ArbitraryArgs
	cmd.DisableFlagsInUseLine = true
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := applyEnv(cmd, a.env.LookupEnv)
		a.setUp(o, payload())
		if o.rendezvous && !cmd.Flags().Changed("connect-timeout") {
			o.connectTimeout = rendezvousTimeout
		}
		if err == nil {
			err = o.check()
		}
		if err == nil {
			err = run(cmd.Context(), args)
		}
		return usageHint(cmd, err)
	}
}

// setUp lets the output flags take effect.
func (a *app) setUp(o *commonOptions, payload bool) {
	a.opts = o
	a.out.verbosity = min(o.verbose, 2)
	if o.quiet {
		a.out.verbosity = -1
	}
	a.out.color = a.env.wantColor(o.color)
	if o.json {
		a.events = &emitter{w: a.env.Stdout, now: time.Now}
		if payload {
			a.events.w = a.env.Stderr
		}
	}
}

// wantsJSON looks for --json in a command line that could not be parsed.
func wantsJSON(args []string, lookup func(string) (string, bool)) bool {
	for _, arg := range args {
		switch arg {
		case "--json", "--json=true":
			return true
		case "--":
			return false
		}
	}
	v, _ := lookup(envName("json"))
	return v == "true" || v == "1"
}

// mayCarryPayload says whether standard output might have been meant for payload in a command line that could not be
// parsed. When in doubt it was: a stray line there would be taken for data.
func mayCarryPayload(args []string) bool {
	for _, arg := range args {
		if arg == "cat" || arg == "-" || strings.HasSuffix(arg, "o-") || strings.HasSuffix(arg, "=-") {
			return true
		}
	}
	return false
}
