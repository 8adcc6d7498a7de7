//go:build linux

// Command wanlink joins two network namespaces by a modelled wide-area link, for kernels with or without netem. What
// runs in one of them reaches what runs in the other through it, so that UDT, TCP and anything else over IP can be
// compared on the same path. See usage below, or -help.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

const usage = `usage: wanlink [flags] PATH

Makes two hosts, near (10.99.0.1) and far (10.99.0.2), each a network namespace, and passes every packet between
them through a modelled link until SIGINT, SIGTERM or -limit. Needs root (CAP_SYS_ADMIN, CAP_NET_ADMIN) and
/dev/net/tun. The namespaces have no name: nothing is left behind, whatever ends the program.

The first line on standard output tells where they are, the second when the first packet came, and the last what the
link did with the packets:

  {"event":"up","near":"/proc/7/fd/3","far":"/proc/7/fd/5",...}
  nsenter --net=/proc/7/fd/5 iperf3 -s -1 &
  nsenter --net=/proc/7/fd/3 iperf3 -c 10.99.0.2 -C bbr

PATH is settings with commas between them, such as rate=500Mbit,rtt=100ms,loss=0.1%:

  rate=500Mbit      both ways; bytes a second without "bit"     rtt=100ms         without queues
  queue=250K        or 0.25bdp, times rate × rtt; 1bdp          jitter=20ms       more delay, order kept
  loss=0.1%         random, both ways                           ack-loss=1%       the same from far to near alone
  burst=0.05%:20    bursts of losses, 20 packets on average     reorder=2%:5ms    2% of packets are 5 ms late
  outage=5s:2s      nothing passes for 2 s; may be repeated     step=5s:250Mbit   another rate; may be repeated
  duplicate=1%      packets that come twice                     seed=7            other fates

Times of outages and steps count from the first packet. The exit status is 0 when the link was there, 3 where
namespaces or TUN devices are not to be had, 2 for what is wrong with the arguments, 1 for anything else.

flags:
`

type options struct {
	path  simnet.Path
	limit time.Duration
	trace time.Duration
	extra extraDelay
}

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "wanlink:", err)
		os.Exit(2)
	}
	err = run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "wanlink:", err)
	}
	switch {
	case unavailable(err):
		os.Exit(3)
	case err != nil:
		os.Exit(1)
	}
}

// unavailable tells whether it was this system that does not give what hosts are made of: no right to namespaces or TUN
// devices, no such devices, settings that cannot be written.
func unavailable(err error) bool {
	for _, e := range []error{unix.EPERM, unix.EACCES, unix.ENOENT, unix.ENODEV, unix.ENXIO, unix.ENOSYS, unix.EROFS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("wanlink", flag.ContinueOnError)
	f.DurationVar(&o.limit, "limit", 10*time.Minute, "end after so long")
	f.DurationVar(&o.trace, "trace", 0, "tell in the last line what arrived in every so long, and how long the queue was")
	f.Func("extra", "`PORT=D`: packets from or to that TCP or UDP port take D longer each way", o.extra.set)
	f.Usage = func() {
		fmt.Fprint(f.Output(), usage)
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() != 1 {
		return o, errors.New("want one PATH such as rate=500Mbit,rtt=100ms; -help tells more")
	}
	var err error
	o.path, err = simnet.ParsePath(f.Arg(0))
	return o, err
}

func run(o options) error {
	near, err := newHost(netip.MustParsePrefix("10.99.0.1/24"), o.path.There.MTU)
	if err != nil {
		return err
	}
	far, err := newHost(netip.MustParsePrefix("10.99.0.2/24"), o.path.There.MTU)
	if err != nil {
		return err
	}
	r := &relay{
		there: newDirection(near.tun, far.tun, o.path.There, o.path.Seed, o),
		back:  newDirection(far.tun, near.tun, o.path.Back, o.path.Seed+1, o),
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	timer := time.AfterFunc(o.limit, r.stop)
	defer timer.Stop()
	go func() {
		<-signals
		r.stop()
	}()

	out := json.NewEncoder(os.Stdout)
	r.begun = func() {
		if err := out.Encode(map[string]any{"event": "begin", "time": time.Now()}); err != nil {
			r.stop() // nobody is there any more
		}
	}
	fd := func(n int) string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n) }
	if err := out.Encode(map[string]string{
		"event": "up", "near": fd(near.namespace), "far": fd(far.namespace),
		"near_address": near.addr.String(), "far_address": far.addr.String(),
	}); err != nil {
		return err
	}
	// All that is allocated from here on is packets, which are used again. A collection would only make the link late.
	debug.SetGCPercent(-1)
	if err := realTime(); err != nil {
		fmt.Fprintf(os.Stderr, "wanlink: the link may be late when the machine is busy: raising its priority: %v\n", err)
	}
	if err := r.run(); err != nil {
		return err
	}
	return out.Encode(map[string]any{"event": "end", "there": r.there.report(), "back": r.back.report()})
}

// realTime puts the process before all ordinary ones, which keeps the link's clock true while the two ends take all
// processors. Where that is not allowed a nice value must do. All threads have part in it: Go's scheduler moves work
// between them, and later ones inherit it.
func realTime() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		err = unix.SchedSetAttr(id, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}, 0)
		if err != nil {
			err = unix.Setpriority(unix.PRIO_PROCESS, id, -15)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

// extraDelay makes the path longer for one flow.
type extraDelay struct {
	port uint16
	by   time.Duration
}

func (e *extraDelay) set(s string) error {
	port, by, _ := strings.Cut(s, "=")
	n, err := strconv.ParseUint(port, 10, 16)
	if err == nil {
		e.port = uint16(n)
		e.by, err = time.ParseDuration(by)
	}
	if err != nil || n == 0 || e.by < 0 {
		return errors.New("want PORT=D such as 5001=40ms")
	}
	return nil
}
