package udt_test

import (
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// crowd gives n connections between the two endpoints of s, clients and
// servers in the same order.
func (s *sim) crowd(n int) (clients, servers []*udt.Conn) {
	s.t.Helper()
	for range n {
		client, server := s.pair()
		clients, servers = append(clients, client), append(servers, server)
	}
	return clients, servers
}

// Many connections on one port at each end share a link of 1 Gb/s and its
// queue; none is starved.
func TestManyConnectionsShareFairly(t *testing.T) {
	const (
		connections = 100
		size        = 1_000_000
	)
	link := simnet.Params{Rate: 1e9, Delay: 5 * time.Millisecond, Queue: 4 << 20}
	for _, offloads := range []bool{false, true} {
		simulate(t, simConfig{link: link, offloads: offloads}, func(t *testing.T, s *sim) {
			clients, servers := s.crowd(connections)
			took := race(t, clients, servers, size)
			median, slowest := took[len(took)/2], took[len(took)-1]
			t.Logf("offloads %v: median %v, slowest %v", offloads, median, slowest)
			if slowest > 3*median {
				t.Errorf("offloads %v: the slowest took %v, the median %v", offloads, slowest, median)
			}
		})
	}
}

// A connection that hogs the endpoints, with all it can send, does not keep a
// small one from its answers.
func TestBulkDoesNotStarveSmallTalk(t *testing.T) {
	const rounds = 50
	link := simnet.Params{Rate: 1e9, Delay: 5 * time.Millisecond, Queue: 1 << 20}
	simulate(t, simConfig{link: link, offloads: true}, func(t *testing.T, s *sim) {
		bulk, sink := s.pair()
		small, echo := s.pair()
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { discard(sink) })
		wg.Go(func() {
			for block := make([]byte, 1<<20); ; {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := bulk.Write(block); err != nil {
					t.Error(err)
					return
				}
			}
		})
		wg.Go(func() { _, _ = io.Copy(echo, echo) })
		var took []time.Duration
		for i := range rounds {
			begin := time.Now()
			question := noise(uint64(i), 100)
			if err := errors.Join(write(small, question), wantBytes(small, question)); err != nil {
				t.Fatal(err)
			}
			took = append(took, time.Since(begin))
		}
		close(stop)
		slices.Sort(took)
		// 10 ms of light, up to 8 in the queue, and now and then a loss that
		// takes the tail's timeout.
		if median, slowest := took[rounds/2], took[rounds-1]; median > 60*time.Millisecond || slowest > time.Second {
			t.Errorf("median %v, slowest %v", median, slowest)
		}
		small.Abort()
		bulk.Abort()
		echo.Abort()
		sink.Abort()
		wg.Wait()
	})
}

// maxIdle is what one end of an idle connection may cost, heap and stacks.
const maxIdle = 64 << 10

// What an idle connection costs, never used and after a transfer each way.
func TestIdleConnectionMemory(t *testing.T) {
	const connections = 100
	simulate(t, simConfig{offloads: true}, func(t *testing.T, s *sim) {
		before := memory()
		clients, servers := s.crowd(connections)
		check := func(when string) {
			t.Helper()
			<-time.After(3 * time.Second) // of the bubble's: they become idle
			each := (int64(memory()) - int64(before)) / (2 * connections)
			t.Logf("%s: %d bytes", when, each)
			if each > maxIdle {
				t.Errorf("%s an idle connection costs %d bytes, want at most %d", when, each, maxIdle)
			}
		}
		check("never used,")
		race(t, clients, servers, 300_000)
		race(t, servers, clients, 300_000)
		check("after a transfer")
		runtime.KeepAlive(clients)
		runtime.KeepAlive(servers)
	})
}

// A connection dialled on its own has a socket and a reader of its own.
func TestDialledConnectionMemory(t *testing.T) {
	const connections = 50
	c := newCrowd(t, false)
	before := memory()
	clients, servers := c.connect(connections)
	pair := (int64(memory()) - int64(before)) / connections
	t.Logf("%d bytes for both ends", pair)
	if pair > 2*maxIdle {
		t.Errorf("both ends cost %d bytes, want at most %d", pair, 2*maxIdle)
	}
	closeAll(t, append(clients, servers...)...)
}

// Connections that are over leave nothing behind but their graves, of which
// there is a bounded number.
func TestOpenCloseCycles(t *testing.T) {
	cycles := 5000
	if testing.Short() || raceEnabled {
		cycles = 500
	}
	for name, shared := range map[string]bool{"shared port": true, "own ports": false} {
		t.Run(name, func(t *testing.T) {
			c := newCrowd(t, shared)
			c.handshakes(cycles, 16) // graves, pools and maps grow to their size
			descriptors, goroutines, heap := openDescriptors(t), runtime.NumGoroutine(), memory()
			c.handshakes(cycles, 16)
			if n := openDescriptors(t); n > descriptors {
				t.Errorf("%d descriptors after %d cycles, %d after as many more", descriptors, cycles, n)
			}
			// Those of a connection end a moment after its Close has returned.
			const ending = 20
			if n := runtime.NumGoroutine(); n > goroutines+ending {
				t.Errorf("%d goroutines after %d cycles, %d after as many more", goroutines, cycles, n)
			}
			for _, e := range []*udt.Endpoint{c.server, c.client} {
				if e == nil {
					continue
				}
				if conns, peers, graves := e.Tables(); conns+peers > 0 || graves > udt.MaxGraves {
					t.Errorf("an endpoint without connections has %d, %d clients, %d graves", conns, peers, graves)
				}
			}
			// What differs between two collections anyway, far below a
			// connection's 10 KB for each.
			const slack = 2 << 20
			if now := memory(); now > heap+slack {
				t.Errorf("%d bytes after %d cycles, %d after as many more", heap, cycles, now)
			}
		})
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(entries)
}

// Nothing is allocated per packet and nothing piles up, on whichever path the
// packets take.
func TestSteadyTransfer(t *testing.T) {
	total := 1 << 30
	if testing.Short() || raceEnabled {
		total /= 8
	}
	for _, off := range []string{"", "UDTCP_NO_GSO", "UDTCP_NO_GRO", "UDTCP_NO_MMSG"} {
		t.Run(off, func(t *testing.T) {
			size := total
			if off != "" {
				t.Setenv(off, "1")
				size /= 4
			}
			// The buffers are full all the time, so that their size says nothing.
			const window = 4 << 20
			client, server := loopback(t, &udt.Config{Window: window})
			quarters := steady(t, client, server, size)
			closeAll(t, client, server)
			first, last := quarters[0], quarters[3]
			if packets := last.packets - first.packets; packets < int64(size/2/1500) {
				t.Fatalf("only %d packets", packets)
			}
			wantFewAllocations(t, quarters, window)
			// Two buffers may be full at one time and empty at the other.
			if last.heap > first.heap+2*window {
				t.Errorf("heap of %d bytes in the first quarter, %d in the last", first.heap, last.heap)
			}
		})
	}
}

// sample is how things stand at the end of a part of a transfer.
type sample struct {
	packets int64  // received so far
	mallocs uint64 // so far
	heap    uint64 // bytes alive, the median of several looks in this part
}

// steady moves size bytes and returns a sample for each quarter.
func steady(t *testing.T, from, to *udt.Conn, size int) (quarters [4]sample) {
	t.Helper()
	const (
		block = 1 << 20
		looks = 4 // a quarter
	)
	written := start(func() (int, error) {
		out := make([]byte, block)
		for range size / block {
			if n, err := from.Write(out); err != nil {
				return n, err
			}
		}
		return size, nil
	})
	in := make([]byte, block)
	for q := range quarters {
		var alive [looks]uint64
		var m runtime.MemStats
		for i := range alive {
			for range size / block / looks / len(quarters) {
				if _, err := io.ReadFull(to, in); err != nil {
					t.Fatal(err)
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&m)
			alive[i] = m.HeapAlloc
		}
		slices.Sort(alive[:])
		quarters[q] = sample{to.Stats(false).PktRecvTotal, m.Mallocs, alive[looks/2]}
	}
	if w := <-written; w.err != nil {
		t.Fatal(w.err)
	}
	return quarters
}

// wantFewAllocations checks the last three quarters of a transfer. Both buffers
// may still grow to the window, in chunks of 90 KB; other than that there are
// far fewer allocations than chunks of 64 packets.
func wantFewAllocations(t *testing.T, quarters [4]sample, window int) {
	t.Helper()
	const looking = 200 // the collector and our own looks allocate too
	first, last := quarters[0], quarters[3]
	packets, allocs := last.packets-first.packets, last.mallocs-first.mallocs
	most := looking + uint64(2*window/90_000) + uint64(packets/1000)
	t.Logf("%d allocations for %d packets, heap %d and %d bytes", allocs, packets, first.heap, last.heap)
	if allocs > most && !raceEnabled { // then a sync.Pool forgets things on purpose
		t.Errorf("%d allocations for %d packets, want at most %d", allocs, packets, most)
	}
}
