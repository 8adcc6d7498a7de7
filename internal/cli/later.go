package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// laterAnnotation marks flags that belong to the command line's contract and that this version cannot honour. They are
// refused by name: a flag that is silently ignored is worse than none.
const laterAnnotation = "udtcp-later"

// addLater declares flags that are refused. A name ending in "=" takes a value; "x,name" has the shorthand x.
func addLater(cmd *cobra.Command, names ...string) {
	f := cmd.Flags()
	for _, name := range names {
		short := ""
		if s, long, ok := strings.Cut(name, ","); ok {
			short, name = s, long
		}
		name, takesValue := strings.CutSuffix(name, "=")
		f.VarP(&laterValue{}, name, short, "not available in this version")
		flag := f.Lookup(name)
		if !takesValue {
			flag.NoOptDefVal = "true"
		}
		flag.Hidden = true
		flag.Annotations = map[string][]string{laterAnnotation: {"true"}}
	}
}

// laterValue takes anything, so that the refusal names the flag and not its value.
type laterValue struct{}

func (*laterValue) String() string   { return "" }
func (*laterValue) Type() string     { return "bool" }
func (*laterValue) Set(string) error { return nil }

// refuseLater is the usage error for the first such flag that was given.
func refuseLater(cmd *cobra.Command) error {
	var err error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if err == nil && f.Annotations[laterAnnotation] != nil {
			err = usageError("--%s is not available in this version", f.Name)
		}
	})
	return err
}
