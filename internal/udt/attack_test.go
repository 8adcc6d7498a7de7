package udt_test

import (
	"context"
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/proto"
	"github.com/udtcp/udtcp/internal/udt/simnet"
	"github.com/udtcp/udtcp/internal/udt/udpio"
)

// attackScale is how many times as many packets an attack has in the full run,
// "make attack".
func attackScale() int {
	if os.Getenv("UDTCP_ATTACK") != "" {
		return 10
	}
	return 1
}

// attackedISN is where a connection's numbers begin that forged data is kept
// away from.
const attackedISN = 1 << 30

// forgeries make packets as somebody can who knows both addresses and the socket
// ID, but has not seen the sequence numbers.
var forgeries = map[string]func(r *rand.Rand, id uint32) []byte{
	"shutdown": func(r *rand.Rand, id uint32) []byte { return proto.AppendShutdown(nil, id, r.IntN(2) == 0) },
	"keep-alive": func(r *rand.Rand, id uint32) []byte {
		return proto.Control{Type: proto.TypeKeepAlive, Info: r.Uint32N(2), Dst: id}.Append(nil)
	},
	"ACK": func(r *rand.Rand, id uint32) []byte {
		a := proto.ACK{
			Next: proto.Seq(r.Uint32() & proto.SeqMask), RTT: r.Uint32(), RTTVar: r.Uint32(), Window: r.Uint32(),
			HasRates: true, ArrivalRate: r.Int32(), Capacity: r.Int32(), HasSettled: r.IntN(2) == 0, Settled: proto.Seq(r.Uint32() & proto.SeqMask),
		}
		return a.AppendFull(proto.Control{Type: proto.TypeACK, Info: r.Uint32() & proto.SeqMask, Dst: id}.Append(nil))
	},
	"light ACK": func(r *rand.Rand, id uint32) []byte {
		return proto.ACK{Next: proto.Seq(r.Uint32() & proto.SeqMask)}.AppendLight(proto.Control{Type: proto.TypeACK, Dst: id}.Append(nil))
	},
	"ACK2": func(r *rand.Rand, id uint32) []byte {
		return proto.Control{Type: proto.TypeACK2, Info: r.Uint32N(1000), Dst: id}.Append(nil)
	},
	"NAK": func(r *rand.Rand, id uint32) []byte {
		b := proto.Control{Type: proto.TypeNAK, Dst: id}.Append(nil)
		for range 1 + r.IntN(3) {
			first := proto.Seq(r.Uint32() & proto.SeqMask)
			b = proto.AppendLoss(b, proto.SeqRange{First: first, Last: first.Add(r.IntN(1 << 20))})
		}
		return b
	},
	"drop request": func(r *rand.Rand, id uint32) []byte {
		b := proto.Control{Type: proto.TypeDropRequest, Info: r.Uint32(), Dst: id}.Append(nil)
		b = binary.BigEndian.AppendUint32(b, r.Uint32()&proto.SeqMask)
		return binary.BigEndian.AppendUint32(b, r.Uint32()&proto.SeqMask)
	},
	"congestion warning": func(_ *rand.Rand, id uint32) []byte {
		return proto.Control{Type: proto.TypeCongestionWarning, Dst: id}.Append(nil)
	},
	"peer error": func(_ *rand.Rand, id uint32) []byte {
		return proto.Control{Type: proto.TypePeerError, Info: 4000, Dst: id}.Append(nil)
	},
	"handshake": func(r *rand.Rand, id uint32) []byte {
		h := proto.Handshake{
			Version: 4, SocketType: proto.Stream, ISN: proto.Seq(r.Uint32() & proto.SeqMask), MSS: r.Uint32(), FlightFlag: r.Uint32(),
			Request: []proto.RequestType{proto.RequestInduction, proto.RequestConclusion, 0, -2, 1002}[r.IntN(5)], ID: r.Uint32(), Cookie: r.Uint32(),
		}
		return h.Append(proto.Control{Type: proto.TypeHandshake, Dst: id}.Append(nil))
	},
	"user": func(r *rand.Rand, id uint32) []byte {
		return proto.Control{Type: proto.TypeUser, Ext: uint16(r.Uint32()), Dst: id, Body: make([]byte, 4*r.IntN(10))}.Append(nil)
	},
	"data": func(r *rand.Rand, id uint32) []byte {
		return proto.Data{
			// Not in the window: that could not be told from the peer's (docs/protocol.md).
			Seq: proto.Seq(attackedISN).Add(1<<28 + r.IntN(1<<30)), Boundary: proto.BoundarySolo, Message: r.Uint32() & (1<<29 - 1), Dst: id,
			Payload: make([]byte, r.IntN(40)), // else it is the link that suffers
		}.Append(nil)
	},
}

// underAttack sends data from the client to the server while forged packets come
// to both at 10,000/s each, as many as wanted, and returns how long it took.
func underAttack(t *testing.T, s *sim, size int, forge func(toServer bool) []byte) time.Duration {
	t.Helper()
	client, server := s.pair()
	begin := time.Now()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for forge != nil {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			for range 10 {
				for _, from := range []*site{s.client, s.server} {
					to := s.server
					if from == s.server {
						to = s.client
					}
					if b := forge(to == s.server); b != nil {
						if err := from.sock.inject(to.addr, b); err != nil {
							t.Error(err)
							return
						}
					}
				}
			}
		}
	}()
	data := noise(5, size)
	_ = server.SetReadDeadline(begin.Add(time.Minute))
	meanwhile(t,
		func() error { return write(client, data) },
		func() error { return wantBytes(server, data) },
	)
	took := time.Since(begin)
	close(stop)
	<-stopped
	<-time.After(time.Second) // what is doubted is settled
	meanwhile(t, client.Close, func() error { return wantEOF(server, nil) })
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	return took
}

// Forged packets of every kind, from the peer's address and for the right socket
// ID, end no transfer, change none of its bytes and cost it a tenth of its speed
// at most.
func TestForgedPackets(t *testing.T) {
	link := simnet.Params{Rate: 100e6, Delay: 10 * time.Millisecond, Queue: 1 << 20, Loss: 0.001}
	size := 5_000_000 * attackScale()
	deaf := udt.Config{IgnorePeerErrors: true} // as the command line's connections are
	config := simConfig{link: link, client: deaf, server: deaf}
	udt.SetTestISN(&config.client, attackedISN)
	var alone time.Duration
	simulate(t, config, func(t *testing.T, s *sim) { alone = underAttack(t, s, size, nil) })
	kinds := slices.Sorted(maps.Keys(forgeries))
	for _, kind := range append(kinds, "all") {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			simulate(t, config, func(t *testing.T, s *sim) {
				toServer, toClient := s.client.spyID(), s.server.spyID()
				r := rand.New(rand.NewPCG(1, uint64(len(kind))))
				forged := 0
				took := underAttack(t, s, size, func(up bool) []byte {
					id := toClient.Load()
					if up {
						id = toServer.Load()
					}
					forge := forgeries[kind]
					if kind == "all" {
						forge = forgeries[kinds[r.IntN(len(kinds))]]
					}
					forged++
					return forge(r, id)
				})
				t.Logf("%d forged: %v, without them %v", forged, took, alone)
				if took > alone+alone/10+50*time.Millisecond {
					t.Errorf("took %v, without an attack %v", took, alone)
				}
			})
		})
	}
}

// strangers are sockets at many addresses of the loopback network.
func strangers(t *testing.T) (socks [16]udpio.Socket) {
	t.Helper()
	for i := range socks {
		s, err := udpio.Listen(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 9, byte(i), 1}), 0), udpio.Config{})
		if err != nil {
			t.Skipf("no second loopback address here: %v", err)
		}
		t.Cleanup(func() { _ = s.Close() }) // nothing of it can be lost
		socks[i] = s
	}
	return socks
}

// flood sends connection requests from strangers to a listener until ctx is done, at
// most rate a second, and returns how many those were: first ones, second ones with
// a cookie that is a guess, and junk.
func flood(ctx context.Context, t *testing.T, socks []udpio.Socket, to netip.AddrPort, rate int) (sent int) {
	t.Helper()
	const batch = 64
	r := rand.New(rand.NewPCG(7, 7))
	var ms [batch]udpio.Message
	for i := range ms {
		h := proto.Handshake{
			Version: 4, SocketType: proto.Stream, ISN: proto.Seq(r.Uint32() & proto.SeqMask), MSS: r.Uint32(), FlightFlag: r.Uint32(),
			Request: proto.RequestInduction, ID: 1 + r.Uint32()&(proto.SeqMask>>1), Cookie: r.Uint32(),
		}
		switch i % 4 {
		case 1, 2:
			h.Request = proto.RequestConclusion
		case 3:
			h.Request = proto.RequestType(r.Uint32())
		}
		b := h.Append(proto.Control{Type: proto.TypeHandshake}.Append(nil))
		if i%16 == 0 {
			b = b[:16+r.IntN(len(b)-16)]
		}
		ms[i] = udpio.Message{Addr: to, Buf: b}
	}
	begin := time.Now()
	for ctx.Err() == nil {
		if due := int(time.Since(begin).Seconds() * float64(rate)); sent >= due {
			runtime.Gosched()
			continue
		}
		for i := range ms {
			if b := ms[i].Buf; len(b) > 48 {
				binary.BigEndian.PutUint32(b[40:], 1+r.Uint32()&(proto.SeqMask>>1)) // another socket ID each time
			}
		}
		if err := socks[r.IntN(len(socks))].WriteBatch(ms[:]); err != nil {
			t.Error(err)
			return sent
		}
		sent += batch
	}
	return sent
}

// A listener under a flood of requests that lead nowhere keeps nothing of them,
// and a friend still gets in.
func TestHandshakeFlood(t *testing.T) {
	const (
		most      = 16 << 20 // bytes of memory
		patience  = 3 * time.Second
		atLeast   = 0.99 // of friends
		perSecond = 100_000
	)
	rate, length := perSecond, 3*time.Second*time.Duration(attackScale())
	if raceEnabled {
		rate = 10_000
	}
	socks := strangers(t)
	l := listening(t, "udp4", "127.0.0.1:0", &udt.Config{Backlog: 1000})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.AcceptUDT()
			if err != nil {
				return
			}
			wg.Go(func() {
				discard(c)
				_ = c.Close()
			})
		}
	})
	before := memory()
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	sent := 0
	flooded := make(chan struct{})
	go func() {
		defer close(flooded)
		sent = flood(ctx, t, socks[:], l.Addr().(interface{ AddrPort() netip.AddrPort }).AddrPort(), rate)
	}()
	var peak uint64
	tried, in := 0, 0
	for ctx.Err() == nil {
		tried++
		dctx, stop := context.WithTimeout(context.WithoutCancel(ctx), patience)
		if c, err := udt.Dial(dctx, "udp4", l.Addr().String(), &udt.Config{ConnectTimeout: patience}); err == nil {
			in++
			_ = c.Abort()
		} else {
			t.Logf("friend %d: %v", tried, err)
		}
		stop()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapInuse+m.StackInuse)
	}
	<-flooded
	l.Close()
	wg.Wait()
	grown := int64(peak) - int64(before)
	t.Logf("%d requests in %v; %d of %d friends got in; memory grew by %d KiB", sent, length, in, tried, grown>>10)
	if float64(in) < atLeast*float64(tried) {
		t.Errorf("%d of %d friends got in", in, tried)
	}
	if grown > most {
		t.Errorf("memory grew by %d bytes, want at most %d", grown, most)
	}
}
