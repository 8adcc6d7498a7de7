package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/udtcp/udtcp/internal/transfer"
	"github.com/udtcp/udtcp/internal/transfer/secure"
)

// connect gives the first connection of a command that wants one peer, dialled or the first that comes in, and how others
// are to be had if it is lost. stop ends that. One that was dialled may be a guest.
func (a *app) connect(ctx context.Context, o *commonOptions, ep endpoint) (l link, retry transfer.Retry, stop func(), err error) {
	if !ep.listen {
		retry = transfer.Retry{For: o.retryFor, Connect: func(ctx context.Context) (io.ReadWriteCloser, error) {
			l, err := a.reach(ctx, o, ep.remote)
			if err != nil {
				return nil, err
			}
			return newMeter(l).carrier(), nil
		}}
		l, err = a.reach(ctx, o, ep.remote)
		return l, retry, func() {}, err
	}
	lis, err := a.listen(o, ep.local)
	if err != nil {
		return nil, retry, nil, err
	}
	d, err := a.openDoor(lis)
	if err != nil {
		return nil, retry, nil, err
	}
	if l, err = d.next(ctx); err != nil || o.retryFor == 0 {
		d.close() // nobody else is to be kept waiting for a turn that will not come
		return l, retry, func() {}, err
	}
	hub := transfer.NewHub(!o.insecure)
	return l, transfer.Retry{For: o.retryFor, Hub: hub}, a.welcomeBack(ctx, d, hub), nil
}

// maxGreetings is how many connections may be about to say what they are.
const maxGreetings = 16

// welcomeBack hands connections that come in to the session in hub that they continue; others are refused in words.
func (a *app) welcomeBack(ctx context.Context, d *door, hub *transfer.Hub) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		slots := make(chan struct{}, maxGreetings)
		for {
			l, err := d.next(ctx)
			if err != nil {
				return
			}
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				if _, err := hub.Take(ctx, newMeter(l), false); err != nil {
					a.out.detail("%s: %v", l.RemoteAddr(), err)
				}
			})
		}
	})
	return func() {
		cancel()
		wg.Wait()
		d.close()
	}
}

// dial gives a link to remote, whose other end has accepted this one.
func (a *app) dial(ctx context.Context, o *commonOptions, remote address) (link, error) {
	l, err := a.reach(ctx, o, remote)
	if err != nil {
		return nil, err
	}
	if g, ok := l.(*guest); ok {
		if err := g.Enter(ctx, nil); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// reach tries every address of remote in turn, all within --connect-timeout. In a rendezvous, where both ends have to agree,
// only the first counts. What it gives may be a guest.
func (a *app) reach(ctx context.Context, o *commonOptions, remote address) (link, error) {
	deadline := time.Now().Add(o.connectTimeout)
	dctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	addrs, err := resolve(dctx, o.family(), remote)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	local := ""
	if o.bind != "" {
		b, err := parseLocal(o.bind, 0)
		if err != nil {
			return nil, usageError("--bind %s: %w", quote(o.bind), err)
		}
		local = b.String()
	}
	if o.rendezvous {
		addrs = addrs[:1]
		a.out.info("dialling %s from %s until it dials here as well", addrs[0], local)
	}
	var tried []string
	refused := 0
	for i, addr := range addrs {
		a.out.detail("connecting to %s", addr)
		lo := o.link(a.out)
		// A share of what is left each, so that a dead address does not starve the next.
		lo.connectTimeout = time.Until(deadline) / time.Duration(len(addrs)-i)
		if lo.connectTimeout <= 0 {
			tried = append(tried, addr.String()+" (no time left)")
			continue
		}
		l, err := dialOne(dctx, a.net, local, addr, lo)
		if err == nil {
			return l, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if f := localFault(err, local); f != nil {
			return nil, f
		}
		if errors.Is(err, errOtherType) {
			return nil, otherType(addr, o.datagram)
		}
		if o.rendezvous && errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fail(exitNoLink, "leave out --rendezvous here, or --listen there", "%s listens instead of dialling", addr)
		}
		if isWord(err) {
			return nil, err
		}
		if errors.Is(err, syscall.ECONNREFUSED) {
			refused++
		}
		tried = append(tried, fmt.Sprintf("%s (%s)", addr, dialReason(err)))
	}
	if o.rendezvous {
		return nil, notMet(o, remote, local, tried[0])
	}
	if refused == len(tried) {
		return nil, fail(exitNoLink,
			"it may be busy; or it takes messages where a stream is offered (udtcp cat --message), or the other way round",
			"%s is there and refuses; tried %s", remote, strings.Join(tried, ", "))
	}
	return nil, fail(exitNoLink,
		fmt.Sprintf("is the other end listening, and does UDP port %d reach it through its firewall?", remote.port),
		"no connection to %s within %s; tried %s", remote, formatSeconds(o.connectTimeout), strings.Join(tried, ", "))
}

func dialOne(ctx context.Context, n network, local string, addr netip.AddrPort, lo linkOptions) (link, error) {
	ctx, cancel := context.WithTimeout(ctx, lo.connectTimeout)
	defer cancel()
	return n.Dial(ctx, local, addr, lo)
}

// resolve gives the addresses of a host, best first.
func resolve(ctx context.Context, family string, remote address) ([]netip.AddrPort, error) {
	ipNetwork := map[string]string{"udp": "ip", "udp4": "ip4", "udp6": "ip6"}[family]
	var ips []netip.Addr
	if ip, err := netip.ParseAddr(remote.host); err == nil {
		ips = []netip.Addr{ip}
	} else {
		ips, err = net.DefaultResolver.LookupNetIP(ctx, ipNetwork, remote.host)
		if err != nil {
			return nil, fail(exitNoLink, "check the spelling, or give an address", "cannot resolve %s: %s", quote(remote.host), lookupReason(err))
		}
	}
	out := make([]netip.AddrPort, 0, len(ips))
	for _, ip := range ips {
		ip = ip.Unmap()
		if ip.Is4() && family == "udp6" || !ip.Is4() && family == "udp4" {
			continue
		}
		out = append(out, netip.AddrPortFrom(ip, remote.port))
	}
	if len(out) == 0 {
		return nil, fail(exitNoLink, "leave out -4, -6 or the address of --bind", "%s has no address of the family asked for", quote(remote.host))
	}
	return out, nil
}

func lookupReason(err error) string {
	var de *net.DNSError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &de):
		return de.Err
	}
	return err.Error()
}

// otherType is the error of meeting a socket of the other type at addr.
func otherType(addr netip.AddrPort, messages bool) error {
	if messages {
		return fail(exitNoLink, "leave out --message here, or give it there too", "%s takes a stream, not messages", addr)
	}
	return fail(exitNoLink, "udtcp cat --message here, or leave out --message there", "%s takes messages, not a stream", addr)
}

// dialReason says in a word or two why one address could not be reached.
func dialReason(err error) string {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "no answer"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ENETUNREACH):
		return "network unreachable"
	case errors.Is(err, syscall.EHOSTUNREACH):
		return "host unreachable"
	}
	return err.Error()
}

// isWord says whether the other end was reached, and what is wrong is between the two.
func isWord(err error) bool {
	var te *transfer.Error
	var se *secure.Error
	var f *failure
	return errors.As(err, &te) || errors.As(err, &se) || errors.As(err, &f)
}

// localFault recognises what is wrong with this end's own address, for listening and dialling alike; nil if it is
// something else.
func localFault(err error, local string) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fail(exitNoLink, "'ss -ulpn' shows who has it; --listen=:0 takes a free one", "port in use: %s", local)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fail(exitNoLink, "'ip address' lists this host's addresses", "%s is not an address of this host", local)
	case errors.Is(err, syscall.EACCES):
		return fail(exitNoLink, "ports below 1024 are for root; choose another", "not allowed to use %s", local)
	}
	return nil
}
