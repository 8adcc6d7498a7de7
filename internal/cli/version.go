package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker in release builds.
var version string

// build is what `version --json` prints.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision"` // of the source, where the toolchain recorded it
	Modified bool   `json:"modified"` // the source had uncommitted changes
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func readBuild() build {
	b := build{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if ok {
		if b.Version == "" && info.Main.Version != "(devel)" {
			b.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Revision = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	if b.Version == "" {
		b.Version = "devel"
	}
	return b
}

// String is the one line of `version`.
func (b build) String() string {
	s := "udtcp " + b.Version
	if len(b.Revision) >= 12 {
		s += " " + b.Revision[:12]
		if b.Modified {
			s += "+"
		}
	}
	return fmt.Sprintf("%s (%s, %s/%s)", s, b.Go, b.OS, b.Arch)
}

// software is what this program calls itself to a peer.
func software() string { return "udtcp " + readBuild().Version }

func newVersionCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "print the version",
		Long:  "Print the version on one line; with --json its parts.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := applyEnv(cmd, a.env.LookupEnv); err != nil {
				return usageHint(cmd, err)
			}
			if len(args) > 0 {
				return usageHint(cmd, usageError("version takes no arguments"))
			}
			return printVersion(a.env, asJSON)
		},
	}
	cmd.Args = cobra.ArbitraryArgs
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	describe(cmd, "udtcp version [--json]", "udtcp version --json | jq -r .version", []status{exitOK, exitUsage, exitLocalIO})
	return cmd
}

func printVersion(env Env, asJSON bool) error {
	b := readBuild()
	line := b.String()
	if asJSON {
		enc, err := json.Marshal(b)
		if err != nil {
			return err
		}
		line = string(enc)
	}
	if _, err := fmt.Fprintln(env.Stdout, line); err != nil {
		return fail(exitLocalIO, "", "standard output: %w", err)
	}
	return nil
}
