package udt_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// A regular is a connection that comes and goes. Its state is odd from before
// it is added until after it is removed.
type regular struct {
	conn, peer *udt.Conn
	state      atomic.Int64
}

// Several goroutines add, modify, remove and close at random while others wait
// and data comes and goes. Nobody is reported who had left before the wait
// began, and in the end everybody who is ready is.
func TestPollerRace(t *testing.T) {
	const goroutines, each, rounds = 4, 3, 400
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		p := newPolled(t)
		defer p.Close()
		guests := map[any]*regular{}
		var all []*regular
		for range goroutines * each {
			client, server := s.pair()
			r := &regular{conn: client, peer: server}
			guests[client] = r
			all = append(all, r)
		}
		stop, cancel := context.WithCancel(t.Context())
		var waiters, workers sync.WaitGroup
		for i := range 3 {
			waiters.Go(func() { watchRegulars(t, stop, p.Poller, guests, 1+i) })
		}
		for i := range goroutines {
			workers.Go(func() { mill(t, p.Poller, all[i*each:(i+1)*each], rounds, uint64(i)) })
		}
		workers.Wait()
		cancel()
		waiters.Wait()

		synctest.Wait()
		for i, r := range all {
			if i%each == 0 {
				r.conn.Abort()
				continue
			}
			p.add(r.conn, udt.PollOut)
			if err := p.Modify(r.conn, udt.PollOut); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 { // it stays so
			got := map[any]bool{}
			for _, e := range p.within(0) {
				got[e.Member] = true
			}
			for i, r := range all {
				if is, should := got[r.conn], i%each != 0; is != should {
					t.Errorf("connection %d: reported %v, want %v", i, is, should)
				}
			}
		}
	})
}

// watchRegulars waits until the end of ctx.
func watchRegulars(t *testing.T, ctx context.Context, p *udt.Poller, guests map[any]*regular, room int) { //nolint:revive // t comes first in tests
	events := make([]udt.Event, room)
	before := map[any]int64{}
	for ctx.Err() == nil {
		for conn, r := range guests {
			before[conn] = r.state.Load()
		}
		n, _ := p.WaitFor(time.Millisecond, events)
		for _, e := range events[:n] {
			if was := before[e.Member]; was%2 == 0 && was == guests[e.Member].state.Load() {
				t.Errorf("%v of one that had left", e.Events)
			}
		}
		select { // lets time pass in the bubble, whatever is ready
		case <-time.After(10 * time.Microsecond):
		case <-ctx.Done():
		}
	}
}

// mill does things at random to its own connections.
func mill(t *testing.T, p *udt.Poller, own []*regular, rounds int, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	buf := make([]byte, 100)
	check := func(what string, err error) {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for range rounds {
		r := own[random.IntN(len(own))]
		interest := udt.Events(random.Uint32()) & anyEvent
		switch in := r.state.Load()%2 == 1; random.IntN(6) {
		case 0, 1:
			if !in {
				r.state.Add(1)
				check("add", p.Add(r.conn, interest))
				continue
			}
			check("remove", p.Remove(r.conn))
			r.state.Add(1)
		case 2:
			if in {
				check("modify", p.Modify(r.conn, interest))
			}
		case 3:
			_, err := r.peer.TryWrite(buf[:10])
			check("write", err)
		case 4:
			_, _ = r.conn.TryRead(buf) // there may be nothing
		case 5:
			<-time.After(time.Duration(random.IntN(1000)) * time.Microsecond)
		}
	}
	for _, r := range own {
		if r.state.Load()%2 == 1 {
			check("remove", p.Remove(r.conn))
			r.state.Add(1)
		}
	}
}

// What a peer does to a connection does not wake those who wait for something
// else.
func TestPollerIgnoresOtherEvents(t *testing.T) {
	connected(t, simConfig{client: smallWindow, server: smallWindow}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		p := newPolled(t)
		defer p.Close()
		p.add(client, udt.PollErr)
		data := noise(1, 1<<20) // room comes and goes often
		meanwhile(t,
			func() error { return write(client, data) },
			func() error { return wantBytes(server, data) },
			func() error { return write(server, data) },
			func() error { return wantBytes(client, data) },
		)
		if p.HasNews() {
			t.Error("woken for what nobody waits for")
		}
		if err := p.Modify(client, udt.PollOut); err != nil {
			t.Fatal(err)
		}
		if !p.HasNews() {
			t.Error("not woken for what is waited for")
		}
	})
}

// Neither looking nor waiting allocates.
func TestPollerAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		p := newPolled(t)
		defer p.Close()
		p.add(s.listener, udt.PollIn)
		none := func(d time.Duration, want int) {
			t.Helper()
			if n := testing.AllocsPerRun(100, func() {
				if n, _ := p.WaitFor(d, p.events[:]); n != want {
					t.Errorf("%d events", n)
				}
			}); n != 0 {
				t.Errorf("%v allocations, waiting for %v with %d ready", n, d, want)
			}
		}
		none(0, 0)
		none(time.Microsecond, 0)
		s.dial()
		none(0, 1)
		none(-1, 1)
	})
}

// BenchmarkPoller looks again and again at a crowd of which some are ready: it
// costs what these cost.
func BenchmarkPoller(b *testing.B) {
	for _, sockets := range []int{1000, 10_000} {
		c := newCrowd(b, true)
		clients, servers := c.connect(sockets / 2)
		p := udt.NewPoller()
		for _, conn := range append(clients, servers...) {
			if err := p.Add(conn, udt.PollIn); err != nil {
				b.Fatal(err)
			}
		}
		ready := 0
		for _, want := range []int{1, 10, 100} {
			for ; ready < want; ready++ {
				if _, err := servers[ready].Write([]byte("x")); err != nil {
					b.Fatal(err)
				}
			}
			b.Run(fmt.Sprintf("sockets=%d/ready=%d", sockets, want), func(b *testing.B) {
				events := make([]udt.Event, 128)
				for n := 0; n < want; {
					n, _ = p.WaitFor(time.Second, events)
				}
				b.ReportAllocs()
				for b.Loop() {
					if n, err := p.WaitFor(0, events); n != want || err != nil {
						b.Fatalf("%d, %v", n, err)
					}
				}
			})
		}
		if err := p.Close(); err != nil {
			b.Error(err)
		}
		abort(append(clients, servers...))
	}
}

// abort gives connections up, all at once.
func abort(conns []*udt.Conn) {
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(func() { c.Abort() })
	}
	wg.Wait()
}
