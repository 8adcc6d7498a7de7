package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// envPrefix and a flag's name in capitals make the variable that sets the flag where the command line does not.
const envPrefix = "UDTCP_"

func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// opposites are flags of which one on the command line overrules the other in the environment.
var opposites = map[string]string{
	"progress": "no-progress", "no-progress": "progress",
	"preserve": "no-preserve", "no-preserve": "preserve",
	"verbose": "quiet", "quiet": "verbose",
	"ipv4": "ipv6", "ipv6": "ipv4",
}

// envAnnotation marks flags that the environment set, noEnvAnnotation those that it does not set.
const (
	envAnnotation   = "udtcp-env"
	noEnvAnnotation = "udtcp-no-env"
)

// applyEnv sets from the environment every flag that the command line left alone. An empty variable counts as unset.
func applyEnv(cmd *cobra.Command, lookup func(string) (string, bool)) error {
	flags := cmd.Flags()
	given := map[string]bool{}
	flags.Visit(func(f *pflag.Flag) { given[f.Name] = true })
	var err error
	flags.VisitAll(func(f *pflag.Flag) {
		if err != nil || given[f.Name] || given[opposites[f.Name]] || f.Name == "help" || f.Annotations[noEnvAnnotation] != nil {
			return
		}
		v, ok := lookup(envName(f.Name))
		if !ok || v == "" {
			return
		}
		if e := flags.Set(f.Name, v); e != nil {
			// pflag's message names the flag; the cause is what follows it.
			err = usageError("%s=%s: %w", envName(f.Name), quoteValue(v), unwrapAll(e))
		}
		if f.Annotations == nil {
			f.Annotations = map[string][]string{}
		}
		f.Annotations[envAnnotation] = []string{"true"}
	})
	return err
}

// unwrapAll gives the innermost error.
func unwrapAll(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok || u.Unwrap() == nil {
			return err
		}
		err = u.Unwrap()
	}
}
