package udt_test

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/udpio"
)

// These benchmarks are about many connections, over real sockets on the
// loopback interface. Both ends are in this process.

// crowd is a listener, and a way to connect to it as often as wanted.
type crowd struct {
	b        testing.TB
	server   *udt.Endpoint
	listener *udt.Listener
	client   *udt.Endpoint // nil: each connection dials from a socket of its own
	cfg      udt.Config
}

// newCrowd opens the UDP ports: one at each end if shared, else clients have
// one each.
func newCrowd(b testing.TB, shared bool) *crowd {
	b.Helper()
	c := &crowd{b: b, cfg: udt.Config{Backlog: 4096}}
	c.server = c.endpoint()
	l, err := c.server.Listen()
	if err != nil {
		b.Fatal(err)
	}
	c.listener = l
	if shared {
		c.client = c.endpoint()
	}
	return c
}

func (c *crowd) endpoint() *udt.Endpoint {
	c.b.Helper()
	buffers := udpio.Config{ReadBuffer: udt.DefaultSocketBuffer, WriteBuffer: udt.DefaultSocketBuffer}
	s, err := udpio.Listen(netip.MustParseAddrPort("127.0.0.1:0"), buffers)
	if err != nil {
		c.b.Fatal(err)
	}
	e := udt.NewEndpoint(s, c.cfg)
	c.b.Cleanup(func() { _ = e.Close() })
	return e
}

func (c *crowd) dial() (*udt.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if c.client != nil {
		addr, err := netip.ParseAddrPort(c.server.LocalAddr().String())
		if err != nil {
			return nil, err
		}
		return c.client.Dial(ctx, addr)
	}
	return udt.Dial(ctx, "udp", c.server.LocalAddr().String(), &c.cfg)
}

// connect makes n connections, some at a time, and returns their ends, in no
// common order.
func (c *crowd) connect(n int) (clients, servers []*udt.Conn) {
	c.b.Helper()
	clients, servers = make([]*udt.Conn, n), make([]*udt.Conn, n)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range servers {
			var err error
			if servers[i], err = c.listener.AcceptUDT(); err != nil {
				c.b.Error(err)
			}
		}
	})
	turns := make(chan struct{}, 32)
	for i := range clients {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			var err error
			if clients[i], err = c.dial(); err != nil {
				c.b.Error(err)
			}
		})
	}
	wg.Wait()
	if c.b.Failed() {
		c.b.FailNow()
	}
	return clients, servers
}

// closeAll closes connections, all at once.
func closeAll(b testing.TB, conns ...*udt.Conn) {
	b.Helper()
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(func() {
			if err := c.Close(); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
}

// BenchmarkThousandConnections moves 1 MB over each of 1,000 connections at
// once. It reports how long the slowest took compared with the median, from
// the common start to the last byte.
func BenchmarkThousandConnections(b *testing.B) {
	const (
		connections = 1000
		size        = 1e6
	)
	for name, shared := range map[string]bool{"shared-port": true, "own-ports": false} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(connections * size)
			var worst, lost float64
			for b.Loop() {
				b.StopTimer()
				c := newCrowd(b, shared)
				clients, servers := c.connect(connections)
				b.StartTimer()
				took := race(b, clients, servers, size)
				b.StopTimer()
				worst = max(worst, float64(took[len(took)-1])/float64(took[len(took)/2]))
				for _, conn := range clients {
					lost += float64(conn.Stats(false).PktRetransTotal)
				}
				closeAll(b, append(clients, servers...)...)
				b.StartTimer()
			}
			b.ReportMetric(worst, "slowest/median")
			b.ReportMetric(lost/float64(b.N), "retrans/op")
		})
	}
}

// race moves size bytes from each of from to its end in to, and returns how
// long each took, in order.
func race(b testing.TB, from, to []*udt.Conn, size int) []time.Duration {
	b.Helper()
	took := make([]time.Duration, len(to))
	data := make([]byte, size)
	begin := time.Now()
	var wg sync.WaitGroup
	for _, c := range from {
		wg.Go(func() {
			if _, err := c.Write(data); err != nil {
				b.Error(err)
			}
		})
	}
	for i, c := range to {
		wg.Go(func() {
			if n, err := io.CopyN(io.Discard, c, int64(size)); err != nil {
				b.Errorf("after %d bytes: %v", n, err)
			}
			took[i] = time.Since(begin)
		})
	}
	wg.Wait()
	slices.Sort(took)
	return took
}

// BenchmarkHandshakes dials, accepts and closes both ends: one connection
// after the other, and many at a time.
func BenchmarkHandshakes(b *testing.B) {
	for name, shared := range map[string]bool{"shared-port": true, "own-ports": false} {
		for kind, parallel := range map[string]int{"sequential": 1, "concurrent": 64} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				b.ReportAllocs()
				c := newCrowd(b, shared)
				b.ResetTimer()
				c.handshakes(b.N, parallel)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "handshakes/s")
			})
		}
	}
}

// handshakes makes n connections, so many at a time, and closes both ends of
// each.
func (c *crowd) handshakes(n, parallel int) {
	c.b.Helper()
	var todo atomic.Int64
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			for todo.Add(1) <= int64(n) && !c.b.Failed() {
				client, err := c.dial()
				if err != nil {
					c.b.Error(err)
					return
				}
				server, err := c.listener.AcceptUDT() // that of another dial, maybe
				if err != nil {
					c.b.Error(err)
					return
				}
				if err := errors.Join(client.Close(), server.Close()); err != nil {
					c.b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkIdleConnection reports the memory that one end of a connection
// costs, heap and stacks: never used, and idle after a megabyte each way.
func BenchmarkIdleConnection(b *testing.B) {
	const connections = 200
	for name, shared := range map[string]bool{"shared-port": true, "own-ports": false} {
		b.Run(name, func(b *testing.B) {
			var unused, used float64
			for b.Loop() {
				c := newCrowd(b, shared)
				before := memory()
				clients, servers := c.connect(connections)
				rest()
				unused += float64(memory()-before) / (2 * connections)
				pairs := paired(b, clients, servers)
				race(b, clients, pairs, 1e6)
				race(b, pairs, clients, 1e6)
				rest()
				used += float64(memory()-before) / (2 * connections)
				closeAll(b, append(clients, servers...)...)
			}
			b.ReportMetric(unused/float64(b.N), "B/unused")
			b.ReportMetric(used/float64(b.N), "B/used")
		})
	}
}

// rest lets connections become idle and give their memory back.
func rest() {
	<-time.After(2500 * time.Millisecond)
}

// memory is what heap and stacks take of the system's, after a collection.
func memory() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// paired returns servers in the order of their clients.
func paired(b testing.TB, clients, servers []*udt.Conn) []*udt.Conn {
	b.Helper()
	number := map[*udt.Conn]int{}
	for i, c := range clients {
		if _, err := c.Write([]byte{byte(i), byte(i >> 8)}); err != nil {
			b.Fatal(err)
		}
	}
	for _, s := range servers {
		var p [2]byte
		if _, err := io.ReadFull(s, p[:]); err != nil {
			b.Fatal(err)
		}
		number[s] = int(p[0]) | int(p[1])<<8
	}
	slices.SortFunc(servers, func(x, y *udt.Conn) int { return number[x] - number[y] })
	return servers
}
