package cli

import (
	"fmt"
	"time"
)

// rendezvousTimeout is the default of --connect-timeout where both ends dial: people start them, one after the other.
const rendezvousTimeout = 30 * time.Second

// checkRendezvous looks for the local port, which --rendezvous cannot do without.
func (o *commonOptions) checkRendezvous() error {
	b, err := parseLocal(o.bind, 0)
	if o.bind == "" || err == nil && b.port == 0 {
		return usageError("--rendezvous needs --bind with the port that the other end dials: --bind :%d", defaultPort)
	}
	return err
}

// notMet says what was tried in vain in a rendezvous, and what the other end has to do.
func notMet(o *commonOptions, remote address, local, tried string) error {
	b, err := parseLocal(o.bind, 0)
	if err != nil {
		return err
	}
	return fail(exitNoLink,
		fmt.Sprintf("was the other end started with --rendezvous --bind :%d and this host's address with port %d, and do both firewalls let UDP out and back?", remote.port, b.port),
		"%s did not dial %s within %s; tried %s", remote, local, formatSeconds(o.connectTimeout), tried)
}
