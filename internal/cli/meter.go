package cli

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// meter is a link of a run; it counts what crosses it, for the watchdog.
type meter struct {
	link
	*flow
}

// flow is what all links of a run carry, one after another.
type flow struct {
	in, out atomic.Int64
	parted  atomic.Bool // there is no link yet, or the last is lost and there is no other
	mu      sync.Mutex
	now     link // the newest
}

func newMeter(l link) *meter { return &meter{l, &flow{now: l}} }

// join makes m the newest link of f. Nobody uses m yet.
func (f *flow) join(m *meter) {
	m.flow = f
	f.mu.Lock()
	f.now = m.link
	f.mu.Unlock()
	f.parted.Store(false)
}

// newest is the link that is in use, or was last.
func (f *flow) newest() link {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// carrier is m as package transfer wants it, which is to enter where that is still to be done.
func (m *meter) carrier() io.ReadWriteCloser {
	if g, ok := m.link.(*guest); ok {
		return &entrant{meter: m, guest: g}
	}
	return m
}

// entrant is a meter whose link is a guest.
type entrant struct {
	*meter
	guest   *guest
	entered func() // called once the other end has accepted this one; may be nil
}

// Enter implements what package transfer asks of a connection whose other end has still to accept this one.
func (e *entrant) Enter(ctx context.Context, greeting []byte) error {
	if err := e.guest.Enter(ctx, greeting); err != nil {
		return err
	}
	if e.entered != nil {
		e.entered()
	}
	return nil
}

// meterOf is the meter that carrier made a connection of.
func meterOf(conn io.ReadWriteCloser) *meter {
	if e, ok := conn.(*entrant); ok {
		return e.meter
	}
	m, _ := conn.(*meter)
	return m
}

// PeerKey is the other end's public key; empty where it is not known.
func (m *meter) PeerKey() string { return peerKey(m.link) }

func (m *meter) Stats(clear bool) stats       { return m.newest().Stats(clear) }
func (m *meter) Silence() time.Duration       { return m.newest().Silence() }
func (m *meter) Unacknowledged() int          { return m.newest().Unacknowledged() }
func (m *meter) SocketBuffers() socketBuffers { return m.newest().SocketBuffers() }

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.link.Read(p)
	m.in.Add(int64(n))
	return n, err
}

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.link.Write(p)
	m.out.Add(int64(n))
	return n, err
}

// moved is all that went either way so far, bytes.
func (m *meter) moved() int64 { return m.in.Load() + m.out.Load() }

// progress changes whenever something gets on: with every byte that crosses the link and every packet that is acknowledged.
func (m *meter) progress() int64 { return m.moved() - int64(m.Unacknowledged()) }

// stalled is the error of a run that the watchdog ended.
func stalled(d time.Duration) error {
	return fail(exitLost, "the other end is there but takes and gives nothing; --timeout sets how long to wait, 0 is for ever",
		"no progress for %s", formatSeconds(d))
}

// watchProgress ends ctx with a stalled error once progress has stood still for d while armed says that it should not.
// An end that has been silent for long is the link's to give up, as lost. d of 0 watches nothing. stop releases it.
func watchProgress(parent context.Context, d time.Duration, progress func() int64, armed func() bool,
	silence func() time.Duration,
) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	if d <= 0 {
		return ctx, func() { cancel(nil) }
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		// Looking eight times per period, it is never too soon and at most a quarter late.
		tick := time.NewTicker(max(d/8, time.Millisecond))
		defer tick.Stop()
		last, since, was := progress(), time.Now(), false
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			now, is := progress(), armed()
			if now != last || !is || !was { // from the first look on: never too soon
				last, since = now, time.Now()
			} else if time.Since(since) >= d && silence() < d/2 {
				cancel(stalled(d))
				return
			}
			was = is
		}
	})
	return ctx, func() {
		close(done)
		wg.Wait()
		cancel(nil)
	}
}
