package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/udtcp/udtcp/internal/transfer/secure"
)

var keyStatuses = []status{exitOK, exitUsage, exitAuth, exitLocalIO}

func newKeyCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "this user's identity, and the peers it trusts",
		Long: `An end of a secure transfer is known by its key. A peer is accepted if its public key is this user's own, is trusted, or
is named by --peer. The key pair, the identity, is made by the first 'udtcp recv --listen' or 'udtcp key show'.

On one machine, or with one home directory, there is nothing to set up. Between two machines each prints its public key
with 'udtcp key show' and trusts the other's with 'udtcp key trust KEY'. Without that, one throw-away identity for both
ends does: UDTCP_IDENTITY=$(udtcp key new), carried over by a way that others cannot read.

To trust a peer no more, remove its line from the file 'trusted' in the directory that 'udtcp key path' prints.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageHint(cmd, usageError("key has show, new, trust and path, nothing else"))
			}
			return usageHint(cmd, usageError("show, new, trust or path?"))
		},
	}
	cmd.Args = cobra.ArbitraryArgs
	describe(cmd, `
udtcp key show [--identity FILE] [--json]
udtcp key new
udtcp key trust KEY [COMMENT]
udtcp key path [--json]`, `
udtcp key show                         print this user's public key
udtcp key trust udtcp-pub1… "laptop"   accept that peer from now on
(umask 077; udtcp key new > FILE)      an identity for --identity FILE
cat "$(udtcp key path)/trusted"        the peers that are trusted`, keyStatuses)
	cmd.AddCommand(newKeyShowCommand(a), newKeyNewCommand(a), newKeyTrustCommand(a), newKeyPathCommand(a))
	return cmd
}

// keyCommand is one of key's own commands.
func (a *app) keyCommand(name, usage, short, long string, run func(args []string) error) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, Long: long, Args: cobra.ArbitraryArgs, DisableFlagsInUseLine: true}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := applyEnv(cmd, a.env.LookupEnv)
		if err == nil {
			err = run(args)
		}
		return usageHint(cmd, err)
	}
	cmd.Annotations = exitSection(keyStatuses...)
	cmd.Annotations[usageAnnotation] = indent("udtcp key " + usage)
	return cmd
}

// print writes what was asked for to standard output: a line, or an object.
func (a *app) print(line string, asJSON bool, object any) error {
	if asJSON {
		b, err := json.Marshal(object)
		if err != nil {
			return err
		}
		line = string(escapeJSON(b))
	}
	if _, err := fmt.Fprintln(a.env.Stdout, line); err != nil {
		return fail(exitLocalIO, "", "standard output: %w", err)
	}
	return nil
}

func newKeyShowCommand(a *app) *cobra.Command {
	var o trustOptions
	var asJSON bool
	var cmd *cobra.Command
	cmd = a.keyCommand("show", "show [--identity FILE] [--json]", "print the public key",
		"Print the public key of this user's identity, which is made if there is none yet, or of another identity.",
		func(args []string) error {
			if len(args) > 0 {
				return usageError("show takes no arguments")
			}
			if err := o.check(cmd, ""); err != nil {
				return err
			}
			id, err := a.identity(o.identity, true)
			if err != nil {
				return err
			}
			return a.print(id.Public().String(), asJSON, struct {
				PublicKey string `json:"public_key"`
			}{id.Public().String()})
		})
	addTrustFlags(cmd, &o)
	cmd.Flags().Lookup("peer").Hidden = true
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return cmd
}

func newKeyNewCommand(a *app) *cobra.Command {
	return a.keyCommand("new", "new", "print a new private key",
		"Print a new private key on standard output, and keep it nowhere; its public key goes to standard error. The key is for\nUDTCP_IDENTITY, or for a file that nobody else can read.",
		func(args []string) error {
			if len(args) > 0 {
				return usageError("new takes no arguments")
			}
			a.protectMemory()
			id := secure.NewIdentity()
			a.out.info("public key: %s", id.Public())
			return a.print(id.Secret(), false, nil)
		})
}

func newKeyTrustCommand(a *app) *cobra.Command {
	return a.keyCommand("trust", "trust KEY [COMMENT]", "accept a peer from now on",
		"Add a peer's public key, as 'udtcp key show' prints it there, to those that are trusted. The comment is for people; without\none it is today's date. An end that is waiting already takes notice.",
		func(args []string) error {
			if len(args) == 0 {
				return usageError("whom? give the KEY that 'udtcp key show' prints there")
			}
			k, err := secure.ParsePublicKey(args[0])
			if err != nil {
				return usageError("%w", err)
			}
			comment := strings.Join(args[1:], " ")
			if secure.LooksSecret(comment) {
				return usageError("the comment is a private key")
			}
			if comment == "" {
				comment = time.Now().Format(time.DateOnly)
			}
			ring, err := a.ring()
			if err != nil {
				return err
			}
			added, err := ring.Trust(k, comment)
			if err == nil && !added {
				a.out.info("that key is trusted already")
			}
			return err
		})
}

func newKeyPathCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := a.keyCommand("path", "path [--json]", "print where identity and trusted peers are",
		"Print the directory with the files 'identity', which others must not be able to read, and 'trusted', a public key a line\nwith a comment. --json names the files.",
		func(args []string) error {
			if len(args) > 0 {
				return usageError("path takes no arguments")
			}
			ring, err := a.ring()
			if err != nil {
				return err
			}
			return a.print(string(ring), asJSON, struct {
				Directory string `json:"directory"`
				Identity  string `json:"identity"`
				Trusted   string `json:"trusted"`
			}{string(ring), ring.IdentityPath(), ring.TrustedPath()})
		})
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return cmd
}
