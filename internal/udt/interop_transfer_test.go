package udt_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

const mebibyte = 1 << 20

func testSizes(t *testing.T, l *lab) {
	for _, size := range []int64{0, 1, 1455, 1456, 1457, mebibyte, 200_000_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			if size > mebibyte && testing.Short() {
				t.Skip("short")
			}
			path{}.everyWay(t, l, size)
		})
	}
}

// duplex moves size bytes each way at the same time.
func (p path) duplex(t *testing.T, l *lab, r role, size int64) {
	t.Helper()
	const seed, peerSeed = 5, 6
	conn, remote := p.connect(t, l, r, fmt.Sprintf("both --bytes %d --seed %d --rseed %d", size, peerSeed, seed))
	err := together(
		func() error { return sendPattern(conn, seed, size) },
		func() error { return receiveExactly(conn, peerSeed, size) },
	)
	if err != nil {
		t.Fatal(err)
	}
	// libudt wakes its reader before it sends the ACK for what it gives it: a
	// peer that closes at once may be gone before that ACK is out.
	if err := conn.Close(); err != nil && !errors.Is(err, udt.ErrUndelivered) {
		t.Fatalf("close: %v", err)
	}
	if got := remote.good(); got.sent != size || got.received != size {
		t.Fatalf("libudt sent %d and received %d bytes, want %d", got.sent, got.received, size)
	}
}

func testDuplex(t *testing.T, l *lab) {
	eachRole(t, func(t *testing.T, r role) { path{}.duplex(t, l, r, 5_000_001) })
}

func testIPv6(t *testing.T, l *lab) {
	p := path{ipv6: true}
	p.everyWay(t, l, mebibyte)
	t.Run("duplex", func(t *testing.T) {
		eachRole(t, func(t *testing.T, r role) { p.duplex(t, l, r, mebibyte) })
	})
}

func testNonBlockingPeer(t *testing.T, l *lab) {
	path{flags: "--nonblock"}.everyWay(t, l, mebibyte)
}

// The smaller MSS of the two must win; libudt itself takes what it is told.
func testMSS(t *testing.T, l *lab) {
	for _, c := range []struct{ ours, peers int }{
		{1500, 576}, {1500, 1000}, {1500, 1500}, {1500, 9000}, {9000, 9000}, {9000, 1500}, {576, 9000},
	} {
		t.Run(fmt.Sprintf("ours=%d,libudt=%d", c.ours, c.peers), func(t *testing.T) {
			largest := min(c.ours, c.peers) - 28
			p := path{cfg: udt.Config{MSS: c.ours}, flags: fmt.Sprintf("--mss %d", c.peers)}
			p.tap = func(role) tapFn {
				return func(w way, b []byte, _ fate) {
					if len(b) > largest {
						t.Errorf("a datagram of %d bytes on its way %v, want at most %d", len(b), w, largest)
					}
				}
			}
			p.everyWay(t, l, 300_000)
		})
	}
}

// libudt's sender loops for ever when more packets are in flight than twice
// the flight size it was told, and drops what does not fit its window.
func testSmallBuffers(t *testing.T, l *lab) {
	for _, flags := range []string{
		"--fc 32", "--fc 64", "--fc 32 --rcvbuf 47104 --sndbuf 47104", "--sndbuf 14720", "--rcvbuf 100000 --udprcv 20000",
	} {
		t.Run(flags, func(t *testing.T) {
			path{flags: flags}.everyWay(t, l, mebibyte)
		})
	}
	t.Run("fc 32 and loss", func(t *testing.T) {
		path{flags: "--fc 32", rule: lossy(0.01)}.everyWay(t, l, 500_000)
	})
	t.Run("our window", func(t *testing.T) {
		path{cfg: udt.Config{Window: 64 << 10}}.everyWay(t, l, mebibyte)
	})
}

// Both directions count from the client's initial sequence number, so each
// case passes the wrap both ways.
func testSequenceWrap(t *testing.T, l *lab) {
	for _, isn := range []uint32{0x7fffffff, 0x7ffffff0, 0x7fffffff - 500} {
		t.Run(fmt.Sprintf("%#x", isn), func(t *testing.T) {
			t.Run("client", func(t *testing.T) {
				var p path
				udt.SetTestISN(&p.cfg, isn)
				p.send(t, l, asClient, mebibyte)
				p.receive(t, l, asClient, mebibyte)
				p.duplex(t, l, asClient, mebibyte)
				p.rule = lossy(0.01)
				p.duplex(t, l, asClient, mebibyte)
			})
			t.Run("listener", func(t *testing.T) {
				p := path{rule: func(role) rule { return shiftISN(isn) }}
				p.send(t, l, asListener, mebibyte)
				p.receive(t, l, asListener, mebibyte)
				p.duplex(t, l, asListener, mebibyte)
				p.rule = func(role) rule { return both(shiftISN(isn), lose(0.01, 3)) }
				p.duplex(t, l, asListener, mebibyte)
			})
		})
	}
}

// lossy loses this share of all packets, with a seed that differs by role.
func lossy(share float64) func(role) rule {
	return func(r role) rule { return lose(share, uint64(len(r))) }
}

// Every packet we send under loss is also held against the rules for what
// libudt must never see.
func testLoss(t *testing.T, l *lab) {
	for _, c := range []struct {
		share float64
		size  int64
	}{{0.01, 3_000_000}, {0.05, 1_000_000}} {
		t.Run(fmt.Sprintf("%g%%", c.share*100), func(t *testing.T) {
			p := path{rule: lossy(c.share), tap: func(r role) tapFn { return newConduct(t, r.ours()).see }}
			p.everyWay(t, l, c.size)
		})
	}
}

// The first ACKs of a libudt receiver speak of 1 packet/s, from windows not
// filled yet. A loss at that time must not bring us down to that.
func testEarlyLoss(t *testing.T, l *lab) {
	for _, turn := range []int{2, 17, 20} {
		t.Run(fmt.Sprintf("packet %d", turn), func(t *testing.T) {
			eachRole(t, func(t *testing.T, r role) {
				start := time.Now()
				p := path{rule: func(r role) rule { return dropData(r.ours(), turn) }}
				p.send(t, l, r, 300_000)
				within(t, start, 3*time.Second)
			})
		})
	}
}

// A libudt receiver may take 100 ms to acknowledge a first flight of full
// packets. What we repeat in the meantime is no sign of congestion.
func testLateFirstACK(t *testing.T, l *lab) {
	eachRole(t, func(t *testing.T, r role) {
		start := time.Now()
		path{}.send(t, l, r, 4*mebibyte)
		undisturbed := time.Since(start) // how fast this machine is now
		p := path{rule: func(r role) rule {
			done := false
			return func(w way, b []byte) fate {
				if done || w == r.ours() || !isControl(b) || controlType(b) != typeACK {
					return fate{}
				}
				done = true
				return fate{delay: 80 * time.Millisecond}
			}
		}}
		start = time.Now()
		p.send(t, l, r, 4*mebibyte)
		within(t, start, 3*time.Second+4*undisturbed)
	})
}

func testJumble(t *testing.T, l *lab) {
	p := path{rule: func(r role) rule { return jumble(20, 3*time.Millisecond, uint64(len(r))) }}
	p.everyWay(t, l, mebibyte)
	t.Run("duplex", func(t *testing.T) {
		eachRole(t, func(t *testing.T, r role) { p.duplex(t, l, r, mebibyte) })
	})
}

// libudt's senders resend, and slow down, for every NAK: packets that come out
// of order must not be reported as lost. The timestamps of libudt tell.
func testReordered(t *testing.T, l *lab) {
	eachRole(t, func(t *testing.T, r role) {
		late, naks := 0, 0
		p := path{rule: func(r role) rule {
			data := 0
			return func(w way, b []byte) fate {
				if isControl(b) {
					if w == r.ours() && controlType(b) == typeNAK {
						naks++
					}
					return fate{}
				}
				if data++; data%50 != 0 {
					return fate{}
				}
				late++
				return fate{delay: 3 * time.Millisecond}
			}
		}}
		p.receive(t, l, r, 8*mebibyte)
		if naks > late/4 {
			t.Errorf("%d NAKs for %d packets that came late", naks, late)
		}
		t.Logf("%d NAKs for %d packets that came late", naks, late)
	})
}

// A peer that stops reading must stop us, and lose nothing.
func testStalledReader(t *testing.T, l *lab) {
	eachRole(t, func(t *testing.T, r role) {
		const seed, size = 9, 20_000_000
		p := path{cfg: udt.Config{Window: mebibyte}, flags: "--rcvbuf 1000000"}
		conn, remote := p.connect(t, l, r, "sink --stall-at 500000")
		stream := newPattern(seed)
		buf := make([]byte, size)
		if _, err := stream.Read(buf); err != nil {
			t.Fatal(err)
		}
		first, err := conn.Write(buf[:600_000])
		if err != nil {
			t.Fatal(err)
		}
		remote.await("stalled ")
		if err := conn.SetWriteDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		second, err := conn.Write(buf[first:])
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("wrote %d bytes to a peer that does not read, error %v", second, err)
		}
		remote.release()
		if err := conn.SetWriteDeadline(time.Now().Add(testTimeout)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(buf[first+second:]); err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		if got := remote.good(); got.received != size || got.digestGiven != patternDigest(seed, size) {
			t.Fatalf("libudt received %d bytes with digest %x, want %d with %x", got.received, got.digestGiven, size, patternDigest(seed, size))
		}
	})
}

// While we do not read, our window closes; what was acknowledged must still be
// there, and the rest must come once we read.
func testSlowReader(t *testing.T, l *lab) {
	eachRole(t, func(t *testing.T, r role) {
		const size = 3_000_000
		full := make(chan struct{})
		var once sync.Once
		p := path{cfg: udt.Config{Window: 256 << 10}}
		p.tap = func(r role) tapFn {
			return func(w way, b []byte, _ fate) {
				if w == r.ours() && isControl(b) && controlType(b) == typeACK && len(b) >= 32 &&
					binary.BigEndian.Uint32(b[28:]) <= 2 {
					once.Do(func() { close(full) })
				}
			}
		}
		conn, remote := p.connect(t, l, r, fmt.Sprintf("source --bytes %d", size))
		select {
		case <-full:
		case <-testContext(t).Done():
			t.Fatal("our window never closed")
		}
		n, sum, err := receiveAll(conn)
		if err != nil || n != size {
			t.Fatalf("received %d of %d bytes, error %v", n, size, err)
		}
		if sent := remote.good(); sent.digestSent != sum {
			t.Fatalf("digest %x, libudt sent %x", sum, sent.digestSent)
		}
	})
}
