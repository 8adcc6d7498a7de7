package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/udtcp/udtcp/internal/transfer"
)

// chooseOptions are the flags that choose what is sent.
type chooseOptions struct {
	exclude   []string
	filesFrom string
	null      bool
	dryRun    bool
}

// chooseText explains them in the help of send.
const chooseText = `--exclude leaves out what a pattern matches, as in a shell: '*.o' is held against the last component of
every path, one with a slash, 'build/*.tmp', against the whole path below the PATH named; ** stands for any
number of components, and 'cache/' for directories alone. What is in a directory left out is left out too.

--files-from sends the paths that a file lists, one a line (with -0 NUL-separated, as 'find -print0' writes
them; - reads standard input), and under these paths. They are relative to the current directory, or to the
one directory given as PATH. A directory stands for all it holds.

-n shows what would be sent and connects to nobody.`

func addChooseFlags(cmd *cobra.Command, o *chooseOptions) {
	f := cmd.Flags()
	f.StringArrayVar(&o.exclude, "exclude", nil, "leave out what matches `GLOB`; may be given more than once")
	f.StringVar(&o.filesFrom, "files-from", "", "send what `FILE` lists, - reads standard input")
	f.BoolVarP(&o.null, "null", "0", false, "with --files-from: names end in NUL, not in a line's end")
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "show what would be sent, and send nothing")
}

// choose adds the choice to what is to be sent. It reads the list.
func (o *chooseOptions) choose(a *app, so *transfer.SendOptions) error {
	so.Exclude = o.exclude
	if o.filesFrom == "" {
		if o.null {
			return usageError("-0 is for --files-from")
		}
		return nil
	}
	list, err := readList(a.env.Stdin, o.filesFrom)
	if err != nil {
		return fail(exitLocalIO, "check the path", "read the list of files %s: %w", quote(o.filesFrom), unwrapAll(err))
	}
	sep := "\n"
	if o.null {
		sep = "\x00"
	}
	so.Listed = []string{}
	for p := range strings.SplitSeq(list, sep) {
		if p != "" {
			so.Listed = append(so.Listed, p)
		}
	}
	return nil
}

func readList(stdin io.Reader, name string) (string, error) {
	if name == "-" {
		b, err := io.ReadAll(stdin)
		return string(b), err
	}
	b, err := os.ReadFile(name)
	return string(b), err
}

// dryRun shows what would be sent.
func dryRun(ctx context.Context, a *app, so transfer.SendOptions) error {
	so.OnFile = func(f transfer.FileDone) {
		a.out.info("would send %s, %s", quote(f.Name), formatSize(f.Size))
		a.events.emit("file", fileEvent{Name: f.Name, Size: f.Size})
	}
	so.OnMessage = func(line string) { a.out.warn("%s", line) }
	res, err := transfer.Plan(so, ctx.Done())
	a.outcome = outcome{files: res.Files, bytes: res.Bytes, digestAlgorithm: string(so.Digest)}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil {
		a.out.info("would send %s, %s in all; nothing was sent", formatCount(res.Files, "file"), formatSize(res.Bytes))
	}
	return err
}

// addChosenThere refuses on recv the flags that choose what is sent. A variable of such a name is meant for send.
func addChosenThere(cmd *cobra.Command) {
	f := cmd.Flags()
	for _, name := range []string{"exclude", "files-from", "null", "dry-run"} {
		short := map[string]string{"null": "0", "dry-run": "n"}[name]
		f.VarP(chosenThere{}, name, short, "")
		flag := f.Lookup(name)
		if short != "" {
			flag.NoOptDefVal = "true"
		}
		flag.Hidden = true
		flag.Annotations = map[string][]string{noEnvAnnotation: {"true"}}
	}
}

type chosenThere struct{}

func (chosenThere) String() string { return "" }
func (chosenThere) Type() string   { return "" }
func (chosenThere) Set(string) error {
	return errors.New("it is for send: what is sent is chosen there")
}
