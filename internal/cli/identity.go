package cli

import (
	"errors"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/spf13/cobra"

	"github.com/udtcp/udtcp/internal/transfer/secure"
)

// trustOptions say who this end is and whom it accepts.
type trustOptions struct {
	identity string // a file, or from the environment the private key itself; empty: the user's own
	peers    peersValue
}

func addTrustFlags(cmd *cobra.Command, o *trustOptions) {
	f := cmd.Flags()
	f.StringVar(&o.identity, "identity", "", "`FILE` with the private key to be; UDTCP_IDENTITY may have the key itself")
	f.Var(&o.peers, "peer", "public key to accept this time, beside one's own and the trusted ones")
}

// check refuses what makes no sense on the command line of cmd. What is in the environment is meant for all runs, and may
// be of no use to this one; plain says why it is, if it is.
func (o *trustOptions) check(cmd *cobra.Command, plain string) error {
	for _, name := range []string{"identity", "peer"} {
		f := cmd.Flags().Lookup(name)
		if !f.Changed || f.Annotations[envAnnotation] != nil {
			continue
		}
		if plain != "" {
			return usageError("--%s: %s", name, plain)
		}
		if secure.LooksSecret(f.Value.String()) {
			return usageError("a private key has no place on the command line, where others can read it: put it into a file, or into %s", envName("identity"))
		}
	}
	return nil
}

// peersValue is the value of --peer, which may be given more than once.
type peersValue map[secure.PublicKey]bool

func (v *peersValue) String() string { return "" }
func (v *peersValue) Type() string   { return "KEY" }
func (v *peersValue) Set(s string) error {
	k, err := secure.ParsePublicKey(s)
	if err != nil {
		return err
	}
	if *v == nil {
		*v = peersValue{}
	}
	(*v)[k] = true
	return nil
}

// quoteValue is a flag's value for a message, unless it must not be seen.
func quoteValue(s string) string {
	if secure.LooksSecret(s) {
		return "(a private key)"
	}
	return quote(s)
}

// ring is where this user's keys are.
func (a *app) ring() (secure.Ring, error) {
	for _, place := range []struct{ name, below string }{{"XDG_CONFIG_HOME", ""}, {"HOME", ".config"}, {"APPDATA", ""}} {
		if dir, _ := a.env.LookupEnv(place.name); filepath.IsAbs(dir) {
			return secure.Ring(filepath.Join(dir, place.below, "udtcp")), nil
		}
	}
	return "", fail(exitAuth, "set one, or UDTCP_IDENTITY=$(udtcp key new) at both ends", "no place for an identity: neither XDG_CONFIG_HOME nor HOME is set")
}

// identity reads the identity that this run is to have. make says whether the user's own is made if there is none yet.
func (a *app) identity(given string, make bool) (secure.Identity, error) {
	a.protectMemory()
	switch {
	case secure.LooksSecret(given):
		return secure.ParseIdentity(given)
	case given != "":
		return secure.LoadIdentity(given)
	}
	ring, err := a.ring()
	if err != nil {
		return secure.Identity{}, err
	}
	if !make {
		id, err := ring.Identity()
		if errors.Is(err, fs.ErrNotExist) {
			err = fail(exitAuth, "'udtcp key show' makes one; 'udtcp key trust' with what it prints, at the other end, lets it in",
				"this user has no identity yet: %w", err)
		}
		return id, err
	}
	id, made, err := ring.EnsureIdentity()
	if made {
		a.out.info("made an identity, %s, in %s", id.Public(), ring.IdentityPath())
	}
	return id, err
}

// protectMemory is called before there is a private key in it.
func (a *app) protectMemory() {
	if a.env.Protect == nil {
		return
	}
	if err := a.env.Protect(); err != nil {
		a.out.detail("a private key may get into a core dump: %v", err)
	}
}

// trusted decides on peers: those of this run, and those of the file, which is read again for a key that is not in it, so
// that 'udtcp key trust' helps an end that waits already.
type trusted struct {
	peers peersValue
	ring  secure.Ring // "": there is none
	out   *console

	mu    sync.Mutex
	known map[secure.PublicKey]bool // of the file
}

// trusts says whether a peer is to be accepted.
func (a *app) trusts(o *trustOptions) (*trusted, error) {
	t := &trusted{peers: o.peers, out: a.out}
	ring, err := a.ring()
	if err != nil {
		return t, nil //nolint:nilerr // without a file there is nobody in it
	}
	t.ring = ring
	t.known, err = ring.Trusted() // what is wrong with it is told now
	return t, err
}

func (t *trusted) accept(k secure.PublicKey) bool {
	if t.peers[k] {
		return true
	}
	t.mu.Lock()
	known := t.known[k]
	t.mu.Unlock()
	if known || t.ring == "" {
		return known
	}
	now, err := t.ring.Trusted()
	if err != nil {
		t.out.warn("%v", err)
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known = now
	return now[k]
}
