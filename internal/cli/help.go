package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// exitAnnotation holds a command's "Exit status" section.
const exitAnnotation = "udtcp-exit"

// exitSection lists the statuses a command can end with.
func exitSection(codes ...status) map[string]string {
	var b strings.Builder
	for _, c := range codes {
		fmt.Fprintf(&b, "  %3d  %s\n", int(c), exitNotes[c])
	}
	return map[string]string{exitAnnotation: strings.TrimRight(b.String(), "\n")}
}

// transferStatuses are those of send and recv.
var transferStatuses = []status{
	exitOK, exitInternal, exitUsage, exitNoLink, exitAuth, exitLost, exitIntegrity, exitLocalIO, 8, exitPolicy, exitUnknown,
	exitInterrupt, exitTerminate,
}

// catStatuses are those of cat; a message that is too large is exitPolicy.
var catStatuses = []status{exitOK, exitInternal, exitUsage, exitNoLink, exitLost, exitLocalIO, exitPolicy, exitInterrupt, exitTerminate}

const helpTemplate = `{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}{{.UsageString}}`

const usageTemplate = `Usage:
{{- if .HasParent}}
{{usageLines .}}
{{- else}}
  {{.CommandPath}} COMMAND [flags] ...

Commands:
{{- range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{- end}}
{{- if .HasExample}}

Examples:
{{.Example}}
{{- end}}
{{- if and .HasParent .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{- end}}
{{- with index .Annotations "` + exitAnnotation + `"}}

Exit status:
{{.}}
{{- end}}
{{- if not .HasParent}}

'{{.CommandPath}} COMMAND --help' tells more of a command.
{{- else if .HasAvailableLocalFlags}}

A flag can also be set by a variable: UDTCP_ and its name in capitals, UDTCP_CONNECT_TIMEOUT=5s.
{{- end}}
`

// usageAnnotation holds the lines after "Usage:" of a command with more than one form.
const usageAnnotation = "udtcp-usage"

func usageLines(cmd *cobra.Command) string {
	if lines := cmd.Annotations[usageAnnotation]; lines != "" {
		return lines
	}
	return "  " + cmd.UseLine()
}

// What cobra keeps for the whole process is set once: tests run commands side by side.
func init() {
	cobra.AddTemplateFunc("usageLines", usageLines)
	cobra.EnableCommandSorting = false
}

// describe sets what a command's help shows beside its flags.
func describe(cmd *cobra.Command, usage, examples string, codes []status) {
	cmd.Annotations = exitSection(codes...)
	cmd.Annotations[usageAnnotation] = indent(usage)
	cmd.Example = indent(examples)
}

func indent(s string) string {
	lines := strings.Split(strings.Trim(s, "\n"), "\n")
	for i, l := range lines {
		if l != "" {
			lines[i] = "  " + l
		}
	}
	return strings.Join(lines, "\n")
}
