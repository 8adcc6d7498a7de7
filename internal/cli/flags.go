package cli

import (
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// commonOptions are the flags that every command with a connection takes.
type commonOptions struct {
	verbose              int
	quiet                bool
	progress, noProgress bool
	json                 bool
	interval             time.Duration
	color                colorValue

	bwlimit                 float64 // bytes a second; 0 is no limit
	cc                      ccValue
	mss                     int
	window                  int64
	connectTimeout, timeout time.Duration
	retryFor                time.Duration
	ipv4, ipv6              bool
	bind                    string
	rendezvous              bool
	listen                  listenValue
	keepOpen                bool // only where the command has -k
	maxSessions             int  // likewise: the most to serve at once
	insecure                bool

	drain    bool // not a flag: closing waits for as long as the connection lives
	datagram bool // set by the command: connections carry messages
}

const (
	minMSS    = 96 // UDT's 76, and room for an IPv6 header
	maxMSS    = 65535
	minWindow = 4 << 10
	maxWindow = 16 << 30
)

// addCommonFlags gives cmd the flags of commonOptions.
func addCommonFlags(cmd *cobra.Command, o *commonOptions) {
	f := cmd.Flags()
	f.SortFlags = false
	o.cc = ccValue{name: ccBBR}
	o.color = "auto"

	f.Var(&o.listen, "listen", "wait for the peer here instead of dialling it")
	f.Lookup("listen").NoOptDefVal = bareListen
	f.BoolVarP(&o.ipv4, "ipv4", "4", false, "IPv4 only")
	f.BoolVarP(&o.ipv6, "ipv6", "6", false, "IPv6 only")
	f.StringVar(&o.bind, "bind", "", "local `ADDR`: HOST, HOST:PORT or :PORT")
	f.BoolVar(&o.rendezvous, "rendezvous", false, "both ends dial, each from the port that the other one dials: needs --bind :PORT")
	f.Var(newDurationValue(&o.connectTimeout, "10s"), "connect-timeout", "the longest to wait for a connection; with --rendezvous 30s unless given")
	f.Var(newDurationValue(&o.timeout, "30s"), "timeout", "give up after so long without any progress; 0 is never")
	f.Var(&rateValue{n: &o.bwlimit}, "bwlimit", "the most to send, bytes a second (50M, 1.5Gi) or bits (800Mbit)")
	f.Var(&o.cc, "cc", "congestion control: bbr, native (UDT's own) or fixed:RATE")
	f.IntVar(&o.mss, "mss", 1500, "UDT packet size in `BYTES`, IP and UDP headers included")
	f.Var(newSizeValue(&o.window, "256Mi"), "window", "upper bound of the flow window")
	f.BoolVar(&o.insecure, "insecure", false, "no encryption, no authentication; both ends must say so")

	f.CountVarP(&o.verbose, "verbose", "v", "``more on standard error; -vv logs protocol events")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "errors alone on standard error")
	f.BoolVar(&o.progress, "progress", false, "show progress, also where standard error is no terminal")
	f.BoolVar(&o.noProgress, "no-progress", false, "show no progress")
	f.Var(newDurationValue(&o.interval, "1s"), "interval", "how often progress lines and events come")
	f.BoolVar(&o.json, "json", false, "one JSON object a line on standard output (standard error if that carries payload)")
	f.Var(&o.color, "color", "colours on standard error: auto, always, never")
}

// addKeepOpen gives cmd -k.
func addKeepOpen(f *pflag.FlagSet, o *commonOptions, usage string) {
	f.BoolVarP(&o.keepOpen, "keep-open", "k", false, usage)
	f.IntVar(&o.maxSessions, "max-sessions", defaultSessions, "with -k: serve at most `N` at once, others wait")
}

// check looks for what pflag cannot see.
func (o *commonOptions) check() error {
	switch {
	case o.ipv4 && o.ipv6:
		return usageError("-4 and -6 exclude each other")
	case o.progress && o.noProgress:
		return usageError("--progress and --no-progress exclude each other")
	case o.quiet && o.verbose > 0:
		return usageError("-v and -q exclude each other")
	case o.interval < 10*time.Millisecond:
		return usageError("--interval must be 10ms or more")
	case o.connectTimeout <= 0:
		return usageError("--connect-timeout must be more than 0")
	case o.mss < minMSS || o.mss > maxMSS:
		return usageError("--mss must be from %d to %d", minMSS, maxMSS)
	case o.window < minWindow || o.window > maxWindow:
		return usageError("--window must be from 4Ki to 16Gi")
	case o.rendezvous && (o.listen.set || o.keepOpen):
		return usageError("--rendezvous dials the one peer that dials here: leave out --listen and -k")
	case o.keepOpen && !o.listen.set:
		return usageError("-k needs --listen")
	case o.keepOpen && o.maxSessions < 1:
		return usageError("--max-sessions must be 1 or more")
	}
	if o.bind != "" {
		if _, err := parseLocal(o.bind, 0); err != nil {
			return usageError("--bind %s: %w", quote(o.bind), err)
		}
	}
	if o.rendezvous {
		return o.checkRendezvous()
	}
	return nil
}

// family is the network to ask for: "udp", "udp4" or "udp6".
func (o *commonOptions) family() string {
	switch {
	case o.ipv4:
		return "udp4"
	case o.ipv6:
		return "udp6"
	}
	// An address given to bind to settles it too.
	if a, err := parseLocal(o.bind, 0); o.bind != "" && err == nil {
		if ip, err := netip.ParseAddr(a.host); err == nil {
			if ip.Is4() {
				return "udp4"
			}
			return "udp6"
		}
	}
	return "udp"
}

// forever stands for a timeout of 0. (Not the largest Duration: adding it to a clock must not overflow.)
const forever = 10 * 365 * 24 * time.Hour

// link gives the settings for the engine.
func (o *commonOptions) link(out *console) linkOptions {
	l := linkOptions{
		mss: o.mss, window: o.window, cc: o.cc, bandwidth: o.bwlimit,
		connectTimeout: o.connectTimeout, peerTimeout: o.timeout, linger: o.timeout, rendezvous: o.rendezvous, datagram: o.datagram,
	}
	if o.timeout == 0 {
		l.peerTimeout, l.linger = forever, forever
	}
	if o.drain {
		l.linger = forever
	}
	if o.verbose >= 2 {
		l.trace = func(event string) { out.trace("%s", event) }
	}
	return l
}

// The names of --cc.
const (
	ccBBR    = "bbr"
	ccNative = "native"
	ccFixed  = "fixed"
)

// ccValue is the value of --cc.
type ccValue struct {
	name string
	rate float64 // fixed: bytes a second
	text string
}

func (c *ccValue) String() string {
	if c.text != "" {
		return c.text
	}
	return c.name
}
func (c *ccValue) Type() string { return "NAME" }
func (c *ccValue) Set(s string) error {
	name, arg, hasArg := strings.Cut(s, ":")
	switch {
	case (name == ccBBR || name == ccNative) && !hasArg:
		*c = ccValue{name: name, text: s}
		return nil
	case name == ccFixed && hasArg:
		r, err := parseRate(arg)
		if err != nil {
			return err
		}
		*c = ccValue{name: ccFixed, rate: r, text: s}
		return nil
	case name == ccFixed:
		return errors.New("fixed needs its rate: fixed:100Mbit")
	}
	return errors.New("want bbr, native or fixed:RATE")
}
