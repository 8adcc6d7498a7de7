package cli

import (
	"context"
	"io"
	"net/netip"
	"sync"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// emulateHelp is what the help of perf says about --emulate.
const emulateHelp = `With --emulate both ends are in this process, and the link between them is simulated: no packet leaves it, and no
privilege is needed. PATH is settings with commas between them; each has its effect in both directions.

  rate=500Mbit      of the link; bytes a second without "bit"
  rtt=100ms         round-trip time without queues
  queue=250K        what may wait for the link; 0.25bdp is in multiples of rate × rtt; 1bdp unless given
  loss=0.1%         random loss; ack-loss=1% is the same in the direction of the end that dials alone
  burst=0.05%:20    bursts of losses, of 20 packets on average
  reorder=2%:5ms    that many packets come that much late
  duplicate=1%      packets that come twice
  jitter=20ms       up to so much further delay, in order
  outage=5s:2s      5 s after the start nothing passes for 2 s; may be repeated
  step=5s:250Mbit   5 s after the start the rate is another; may be repeated
  seed=7            another fate of the same odds`

// emulateValue is the value of --emulate: a simulated path.
type emulateValue struct {
	text string
	path simnet.Path
}

func (v *emulateValue) String() string { return v.text }
func (v *emulateValue) Type() string   { return "PATH" }
func (v *emulateValue) Set(s string) error {
	p, err := simnet.ParsePath(s)
	if err != nil {
		return err
	}
	v.text, v.path = s, p
	return nil
}

// The two ends of an emulated path.
var (
	emulatedNear = netip.MustParseAddr("10.99.0.1")
	emulatedFar  = netip.MustParseAddr("10.99.0.2")
)

// emulation is a network of two hosts within this process: what dials is near, what listens far.
type emulation struct {
	net       *simnet.Network
	near, far *simnet.Host

	mu        sync.Mutex
	endpoints []*udt.Endpoint
}

func newEmulation(p simnet.Path) *emulation {
	e := &emulation{net: simnet.New(p.Seed)}
	e.net.Precise()
	host := simnet.HostConfig{GSO: true, GRO: true, ReceiveQueue: udt.DefaultSocketBuffer}
	e.near = e.net.Host(emulatedNear).Configure(host)
	e.far = e.net.Host(emulatedFar).Configure(host)
	e.net.Connect(e.near, e.far, p.There, p.Back)
	return e
}

// endpoint opens a socket for UDT; close closes it.
func (e *emulation) endpoint(h *simnet.Host, port uint16, o linkOptions) (*udt.Endpoint, error) {
	s, err := h.Listen(port)
	if err != nil {
		return nil, err
	}
	ep := udt.NewEndpoint(s, *o.udt())
	e.mu.Lock()
	defer e.mu.Unlock()
	e.endpoints = append(e.endpoints, ep)
	return ep, nil
}

// Dial implements network.
func (e *emulation) Dial(ctx context.Context, _ string, remote netip.AddrPort, o linkOptions) (link, error) {
	ep, err := e.endpoint(e.near, 0, o)
	if err != nil {
		return nil, err
	}
	c, err := ep.Dial(ctx, remote)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Listen implements network.
func (e *emulation) Listen(_, _ string, o linkOptions) (listener, error) {
	ep, err := e.endpoint(e.far, defaultPort, o)
	if err != nil {
		return nil, err
	}
	l, err := ep.Listen()
	if err != nil {
		return nil, err
	}
	return udtListener{l}, nil
}

// Poller implements network.
func (e *emulation) Poller() poller { return udtNetwork{}.Poller() }

// close ends what is left. All that it could fail at is a socket in memory.
func (e *emulation) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ep := range e.endpoints {
		_ = ep.Close()
	}
	e.net.Close()
}

// runEmulated runs both ends of a test in this process.
func runEmulated(ctx context.Context, a *app, o *perfOptions, args []string) error {
	if err := o.checkEmulated(args); err != nil {
		return err
	}
	e := newEmulation(o.emulate.path)
	defer e.close()
	a.out.info("emulated: both ends are in this process, and the link between them is simulated: %s", o.emulate.text)
	a.net = e

	// The far end says nothing of its own: what it counts is in the near one's report.
	far := &app{env: a.env, net: e, out: &console{w: io.Discard, verbosity: -1}, signals: a.signals}
	options := &perfOptions{commonOptions: o.commonOptions}
	options.quiet, options.progress = true, false
	if o.secure {
		for _, end := range []*app{a, far} { // both are this user: whichever comes first makes the identity
			if err := end.protect(&o.trust, true, perfProtocol, greetSecurePerf); err != nil {
				return err
			}
		}
	}
	at := address{host: emulatedFar.String(), port: defaultPort}
	lis, err := far.listen(&options.commonOptions, at)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	served := make(chan error, 1)
	go func() { served <- (&perfServer{a: far, o: options}).serve(ctx, lis) }()
	err = measurePerf(ctx, a, o, at)
	if err != nil {
		cancel(err)
	}
	if farErr := <-served; err == nil {
		err = farErr
	}
	return err
}

// checkEmulated looks for what has no meaning without a network, or cannot be.
func (o *perfOptions) checkEmulated(args []string) error {
	switch {
	case len(args) > 0 || o.listen.set || o.rendezvous:
		return usageError("--emulate is both ends: leave out the address, --listen and --rendezvous")
	case o.ipv4 || o.ipv6 || o.bind != "":
		return usageError("--emulate uses no address: leave out -4, -6 and --bind")
	case o.mss > o.emulate.path.There.MTU:
		return usageError("--mss must be %d or less with --emulate", o.emulate.path.There.MTU)
	}
	return o.settle()
}
