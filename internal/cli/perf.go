package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

type perfOptions struct {
	commonOptions
	time    time.Duration
	bytes   int64
	reverse bool
	streams int
	secure  bool
	trust   trustOptions
	emulate emulateValue
}

const perfDefaultTime = 10 * time.Second

func newPerfCommand(a *app) *cobra.Command {
	o := &perfOptions{}
	cmd := &cobra.Command{
		Use:   "perf",
		Short: "measure the connection, memory to memory",
		Long: `Send from memory to memory for a time or an amount, and report what the receiver got: goodput, RTT, retransmissions,
loss, and the processor time of both ends. The end that dials says what to measure; it sends, with -R the listener does.
With --rendezvous, where both dial, the end that has -R receives, and the other one sends and says what to measure.

The table goes to standard error; --json gives the same as events on standard output. The connection is plain unless
both ends say --secure. perf --listen serves one test; with -k any number, side by side, until a signal. The processor
time is that of the whole process.

` + emulateHelp,
	}
	describe(cmd, `
udtcp perf [flags] --listen[=[HOST]:PORT]
udtcp perf [flags] HOST[:PORT]
udtcp perf [flags] --rendezvous --bind :PORT HOST[:PORT]
udtcp perf [flags] --emulate PATH`, `
udtcp perf --listen -k
udtcp perf HOST
udtcp perf -R -t 30 --streams 4 HOST:7000
udtcp perf -n 1Gi --cc fixed:900Mbit --json HOST | jq 'select(.event == "end") | .goodput_bps'
udtcp perf --secure HOST                    what send and recv do with each byte, but for files and digests
udtcp perf --emulate rate=500Mbit,rtt=100ms,loss=0.1%`,
		[]status{exitOK, exitInternal, exitUsage, exitNoLink, exitAuth, exitLost, exitIntegrity, exitPolicy, exitInterrupt, exitTerminate})
	f := cmd.Flags()
	f.VarP(newDurationValue(&o.time, ""), "time", "t", "how long to send (default 10s, or with -n until that is sent)")
	f.VarP(newSizeValue(&o.bytes, ""), "bytes", "n", "how much to send, all streams together")
	f.BoolVarP(&o.reverse, "reverse", "R", false, "the listener sends; with --rendezvous the other end")
	f.IntVar(&o.streams, "streams", 1, "`N` connections at once")
	f.BoolVar(&o.secure, "secure", false, "encrypt, between ends that know each other; both must say so")
	addTrustFlags(cmd, &o.trust)
	f.Var(&o.emulate, "emulate", "both ends here, over a simulated link: rate=500Mbit,rtt=100ms,loss=0.1%")
	addCommonFlags(cmd, &o.commonOptions)
	addKeepOpen(f, &o.commonOptions, "with --listen: serve any number of tests until a signal")
	addNoCompat(cmd)
	a.command(cmd, &o.commonOptions, func() bool { return false }, func(ctx context.Context, args []string) error {
		if o.listen.set && (o.time != 0 || o.bytes != 0 || o.reverse || o.streams != 1) {
			return usageError("-t, -n, -R and --streams are for the end that dials")
		}
		if o.rendezvous {
			if err := o.checkMeeting(); err != nil {
				return err
			}
		}
		if err := o.checkSecure(cmd); err != nil {
			return err
		}
		return runPerf(ctx, a, o, args)
	})
	return cmd
}

// checkSecure looks at what --secure goes with.
func (o *perfOptions) checkSecure(cmd *cobra.Command) error {
	if o.secure && o.insecure {
		return usageError("--secure and --insecure exclude each other")
	}
	plain := ""
	if !o.secure {
		plain = "perf is plain unless --secure"
	}
	return o.trust.check(cmd, plain)
}

func runPerf(ctx context.Context, a *app, o *perfOptions, args []string) error {
	if o.emulate.text != "" {
		return runEmulated(ctx, a, o, args)
	}
	ep, _, err := o.endpoint(args, false)
	if err != nil {
		return err
	}
	if o.secure {
		if err := a.protect(&o.trust, ep.listen || o.rendezvous, perfProtocol, greetSecurePerf); err != nil {
			return err
		}
	}
	if ep.listen {
		return (&perfServer{a: a, o: o}).run(ctx, ep.local)
	}
	if err := o.settle(); err != nil {
		return err
	}
	if o.rendezvous {
		return meetPerf(ctx, a, o, ep.remote)
	}
	if o.bind != "" && o.streams > 1 {
		if b, err := parseLocal(o.bind, 0); err == nil && b.port != 0 {
			return usageError("streams cannot share one local port: leave the port out of --bind")
		}
	}
	return measurePerf(ctx, a, o, ep.remote)
}

// settle checks what is to be measured and fills in what is left open.
func (o *perfOptions) settle() error {
	switch {
	case o.streams < 1 || o.streams > perfMaxStreams:
		return usageError("--streams must be from 1 to %d", perfMaxStreams)
	case o.time > perfMaxTime:
		return usageError("-t must be %s or less", perfMaxTime)
	case o.bytes != 0 && o.bytes < int64(o.streams):
		return usageError("-n is less than a byte for each stream")
	}
	if o.time == 0 && o.bytes == 0 {
		o.time = perfDefaultTime
	}
	return nil
}

// measurePerf is a test against the listener at remote.
func measurePerf(ctx context.Context, a *app, o *perfOptions, remote address) error {
	test, err := dialPerf(ctx, a, o, remote)
	if err != nil {
		return err
	}
	out, err := runPerfTest(ctx, a, &o.commonOptions, test, "")
	a.outcome = out
	return err
}

// hello asks for what the options want, in each stream.
func (o *perfOptions) hello() perfHello {
	h := perfHello{
		streams: o.streams, reverse: o.reverse, time: o.time,
		// Four times as often as we show, so that what we show is fresh.
		every: min(max(o.interval/4, 10*time.Millisecond), time.Second),
	}
	_, _ = rand.Read(h.id[:]) // never fails
	return h
}

// dialPerf opens all streams of a test and waits for the listener's word to begin.
func dialPerf(ctx context.Context, a *app, o *perfOptions, remote address) (*perfTest, error) {
	hello := o.hello()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	t := &perfTest{streams: make([]*perfStream, o.streams), emulated: o.emulate.text}
	var wg sync.WaitGroup
	for i := range t.streams {
		hello := hello
		hello.index = i
		hello.bytes = share(o.bytes, o.streams, i)
		wg.Go(func() {
			s, err := dialPerfStream(ctx, a, o, remote, hello)
			if err != nil {
				cancel(err)
				return
			}
			t.streams[i] = s
		})
	}
	wg.Wait()
	if ctx.Err() == nil {
		return t, nil
	}
	for _, s := range t.streams {
		if s != nil {
			_ = s.l.Abort()
		}
	}
	return nil, context.Cause(ctx)
}

// share is the part of n bytes that stream i of count sends.
func share(n int64, count, i int) int64 {
	s := n / int64(count)
	if int64(i) < n%int64(count) {
		s++
	}
	return s
}

func dialPerfStream(ctx context.Context, a *app, o *perfOptions, remote address, hello perfHello) (*perfStream, error) {
	l, err := a.dial(ctx, &o.commonOptions, remote)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Abort() })
	defer stop()
	err = askPerf(l, hello, o.connectTimeout)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		leave(ctx, l) // what we said is to arrive: a listener tells its user whom it refused
		return nil, err
	}
	return &perfStream{l: l, hello: hello, sends: !hello.reverse}, nil
}

// askPerf sends the hello and waits for the answer, both within limit.
func askPerf(l link, hello perfHello, limit time.Duration) error {
	if err := l.SetDeadline(time.Now().Add(limit)); err != nil {
		return &linkFault{err}
	}
	answer := make([]byte, perfAnswerLen)
	_, err := l.Write(hello.encode())
	if err == nil {
		_, err = io.ReadFull(l, answer[:len(perfMagic)])
	}
	if err == nil && string(answer[:len(perfMagic)]) == perfSecureMagic {
		return perfMismatch("secure", "plain")
	}
	if err == nil {
		_, err = io.ReadFull(l, answer[len(perfMagic):])
	}
	if err != nil {
		return fail(exitNoLink, "start 'udtcp perf --listen' there", "%s is there but does not answer as 'udtcp perf' does: %w", l.RemoteAddr(), err)
	}
	if err := parsePerfAnswer(answer); err != nil {
		return err
	}
	return l.SetDeadline(time.Time{})
}

// perfServer is the listening end of perf.
type perfServer struct {
	a *app
	o *perfOptions

	mu      sync.Mutex
	pending map[[16]byte]*perfGathering
	taken   bool // without -k: the one test that is served has all its streams
}

// perfGathering is a test of which not all streams are there.
type perfGathering struct {
	test    *perfTest
	missing int
	timer   *time.Timer // gives up
}

// maxGathering is how many tests may be waiting for their streams.
const maxGathering = 16

func (s *perfServer) run(ctx context.Context, local address) error {
	lis, err := s.a.listen(&s.o.commonOptions, local)
	if err != nil {
		return err
	}
	return s.serve(ctx, lis)
}

func (s *perfServer) serve(ctx context.Context, lis listener) error {
	s.pending = map[[16]byte]*perfGathering{}
	defer s.dropAll()
	if s.o.keepOpen {
		var mu sync.Mutex
		return s.a.serve(ctx, lis, nil, s.o.maxSessions, func(ctx context.Context, l link, seat func() bool) {
			if !seat() {
				_ = l.Abort()
				return
			}
			t := s.admit(ctx, l)
			if t == nil {
				return
			}
			peer := l.RemoteAddr().String()
			out, err := runPerfTest(ctx, s.a, &s.o.commonOptions, t, peer)
			v := judge(err)
			if v.status != exitOK {
				s.a.out.fail(verdict{message: peer + ": " + v.message, hint: v.hint})
			}
			s.a.events.emit("end", out.event(v))
			mu.Lock()
			defer mu.Unlock()
			s.a.outcome.add(out)
		})
	}
	t, err := s.first(ctx, lis)
	if err != nil {
		return err
	}
	s.a.outcome, err = runPerfTest(ctx, s.a, &s.o.commonOptions, t, "")
	return err
}

// first waits for the first test that has all its streams, and closes the listener.
func (s *perfServer) first(ctx context.Context, lis listener) (*perfTest, error) {
	d, err := s.a.openDoor(lis)
	if err != nil {
		return nil, err
	}
	taking, stop := context.WithCancel(ctx)
	complete := make(chan *perfTest, 1)
	failed := make(chan error, 1)
	var accepting, admitting sync.WaitGroup
	accepting.Go(func() {
		for {
			l, err := d.next(taking)
			if err != nil {
				failed <- err
				return
			}
			admitting.Go(func() {
				if t := s.admit(ctx, l); t != nil {
					complete <- t // at most one: s.taken
				}
			})
		}
	})
	var t *perfTest
	select {
	case t = <-complete:
	case err = <-failed:
	}
	stop()
	accepting.Wait()
	d.close()
	if t == nil {
		admitting.Wait()
	}
	return t, err
}

// admit reads a stream's hello and files it under its test. It returns the test when this was its last stream, and with
// that tells all of them to go.
func (s *perfServer) admit(ctx context.Context, l link) *perfTest {
	stop := context.AfterFunc(ctx, func() { _ = l.Abort() })
	hello, err := hearPerf(l, s.o.connectTimeout)
	if !stop() && ctx.Err() != nil {
		return nil
	}
	if err != nil {
		s.a.out.detail("%s: %v", l.RemoteAddr(), err)
		if !errors.Is(err, errNotPerf) {
			s.turnAway(l, perfRefused)
		} else {
			_ = l.Abort()
		}
		return nil
	}
	t, ok := s.file(&perfStream{l: l, hello: hello, sends: hello.reverse})
	if !ok {
		s.turnAway(l, perfBusy)
		return nil
	}
	if t == nil {
		return nil
	}
	for _, ps := range t.streams {
		if _, err := ps.l.Write(encodePerfAnswer(perfGo)); err != nil {
			s.a.out.detail("%s: %v", ps.l.RemoteAddr(), err) // the test itself will fail over it
		}
	}
	return t
}

// hearPerf reads the hello within limit.
func hearPerf(l link, limit time.Duration) (perfHello, error) {
	if err := l.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return perfHello{}, err
	}
	b := make([]byte, perfHelloLen)
	_, err := io.ReadFull(l, b[:len(perfMagic)])
	if err == nil && string(b[:len(perfMagic)]) == perfSecureMagic {
		return perfHello{}, perfMismatch("secure", "plain")
	}
	if err == nil {
		_, err = io.ReadFull(l, b[len(perfMagic):])
	}
	if err != nil {
		return perfHello{}, fmt.Errorf("%w (%w)", errNotPerf, err)
	}
	h, err := parsePerfHello(b)
	if err != nil {
		return perfHello{}, err
	}
	return h, l.SetReadDeadline(time.Time{})
}

// file adds a stream to its test: the test when it is complete; ok is false where there is no room for it.
func (s *perfServer) file(ps *perfStream) (t *perfTest, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := ps.hello
	g := s.pending[h.id]
	if g == nil {
		if s.taken || len(s.pending) >= maxGathering || !s.o.keepOpen && len(s.pending) > 0 {
			return nil, false
		}
		g = &perfGathering{test: &perfTest{streams: make([]*perfStream, h.streams)}, missing: h.streams}
		g.timer = time.AfterFunc(s.o.connectTimeout, func() { s.drop(h.id, g) })
		s.pending[h.id] = g
	}
	if len(g.test.streams) != h.streams || g.test.streams[h.index] != nil {
		return nil, false
	}
	g.test.streams[h.index] = ps
	if g.missing--; g.missing > 0 {
		return nil, true
	}
	g.timer.Stop()
	delete(s.pending, h.id)
	s.taken = !s.o.keepOpen
	return g.test, true
}

// drop gives up on a test whose streams did not all come.
func (s *perfServer) drop(id [16]byte, g *perfGathering) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending[id] != g {
		return
	}
	delete(s.pending, id)
	for _, ps := range g.test.streams {
		if ps != nil {
			_ = ps.l.Abort()
		}
	}
}

func (s *perfServer) dropAll() {
	s.mu.Lock()
	all := s.pending
	s.pending = nil
	s.mu.Unlock()
	for _, g := range all {
		g.timer.Stop()
		for _, ps := range g.test.streams {
			if ps != nil {
				_ = ps.l.Abort()
			}
		}
	}
}

// turnAway answers no and closes.
func (s *perfServer) turnAway(l link, code uint32) {
	if _, err := l.Write(encodePerfAnswer(code)); err != nil {
		s.a.out.detail("%s: %v", l.RemoteAddr(), err)
	}
	_ = l.Close()
}
