package proto

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// A reader comes every so often and takes at most so many bytes.
type reader struct {
	every time.Duration
	most  func(now time.Duration) int
	at    Instant // when it comes next
}

// steady is a reader of so many bytes/s.
func steady(rate float64) *reader {
	return &reader{every: ms, most: func(time.Duration) int { return int(rate / 1000) }}
}

// budget is how many bytes may be read now.
func (r *reader) budget(now Instant) int {
	if r == nil {
		return math.MaxInt
	}
	if now < r.at {
		return 0
	}
	r.at = now.Add(r.every)
	return r.most(time.Duration(now))
}

// A reading is a transfer to a reader over a path.
type reading struct {
	rate   float64 // bits/s
	rtt    time.Duration
	loss   float64
	size   int64
	window int  // bytes
	whole  bool // without any limit to the window
}

// start sets the transfer up. Each is called for every sample of the receiver.
func (r reading) start(t *testing.T, reads *reader, each func(*path, *carrier)) (*path, *carrier) {
	p := newPath(t, 1, simnet.Params{Rate: r.rate, Delay: r.rtt / 2, Loss: r.loss, Queue: int(r.rate / 8 * max(r.rtt, 20*ms).Seconds())})
	p.every = ms
	c := p.transfer(0, r.size, NewBBR(), simnet.Params{Delay: r.rtt / 2})
	c.cfg.Window = r.window / 1456
	c.reader = reads
	c.onServer = func(to *Conn) {
		if r.whole {
			to.window.floor = math.MaxInt
		}
	}
	p.onSample = func() {
		if c.to != nil && each != nil {
			each(p, c)
		}
	}
	return p, c
}

const mib = 1 << 20

// A reader that is slower than the path has little waiting for it, yet finds
// something whenever it comes.
func TestBacklogOfSlowReader(t *testing.T) {
	long(t)
	for _, test := range []struct {
		rate   float64 // of the reader, bytes/s
		rtt    time.Duration
		settle time.Duration
	}{
		// The slowest is slower than the two packets that every ACK allows.
		{150e3, ms, 250 * time.Second},
		{4e6, ms, 15 * time.Second}, {20e6, ms / 5, 4 * time.Second}, {20e6, 30 * ms, 4 * time.Second}, {60e6, ms, 3 * time.Second},
	} {
		t.Run(fmt.Sprintf("%v bytes per s, %v", test.rate, test.rtt), func(t *testing.T) {
			peak, settled := 0, 0
			measured := 2 * time.Second
			p, c := reading{rate: 1e9, rtt: test.rtt, size: 1 << 40, window: 16 * mib}.start(t, steady(test.rate), func(p *path, c *carrier) {
				peak = max(peak, c.to.unread())
				if p.now > Instant(test.settle) {
					settled = max(settled, c.to.unread())
				}
			})
			p.run(test.settle + measured)
			target := int(max(mib, test.rate*(2*test.rtt+recvSlack).Seconds()) / 1456)
			if settled > 2*target {
				t.Errorf("up to %d packets are unread, want at most twice the target of %d", settled, target)
			}
			if peak < 4*target {
				t.Errorf("%d packets unread at most: there was nothing to trim", peak)
			}
			for at := test.settle / 2; at < test.settle; at += measured / 4 {
				if got := c.between(at, at+measured/4) / 8; got < 0.98*test.rate {
					t.Errorf("%.0f bytes/s were read at %v", got, at)
				}
			}
		})
	}
}

// What the path limits goes on packet by packet as without a limit.
func TestWindowWherePathLimits(t *testing.T) {
	long(t)
	for _, test := range []reading{
		{rate: 200e6, rtt: 100 * ms, size: 50 * mib},
		{rate: 200e6, rtt: 100 * ms, size: 50 * mib, loss: 0.005},
		{rate: 1e9, rtt: 5 * ms, size: 50 * mib, loss: 0.0001},
	} {
		test.window = 256 * mib
		for _, faster := range []float64{1.05, 2, math.Inf(1)} {
			t.Run(fmt.Sprintf("%v bit per s, %v, loss %v, reader %v", test.rate, test.rtt, test.loss, faster), func(t *testing.T) {
				run := func(whole bool) (windows []int, doneAt Instant) {
					test.whole = whole
					reads := steady(test.rate / 8 * faster)
					if math.IsInf(faster, 1) {
						reads = nil
					}
					p, c := test.start(t, reads, func(_ *path, c *carrier) {
						windows = append(windows, c.to.acks.window, int(c.to.rcv.next))
					})
					p.run(20 * time.Second)
					return windows, c.doneAt
				}
				windows, doneAt := run(false)
				want, wantAt := run(true)
				if !slices.Equal(windows, want) || doneAt != wantAt || doneAt == never {
					t.Errorf("done at %v, without a limit at %v", time.Duration(doneAt), time.Duration(wantAt))
				}
			})
		}
	}
}

// A reader that stalls for a second now and then, but is faster than the path on
// the whole, gets what it would get without a limit.
func TestWindowOfReaderThatStalls(t *testing.T) {
	long(t)
	for _, rtt := range []time.Duration{2 * ms, 100 * ms} {
		for _, faster := range []float64{1.02, 1.1, 1.5} {
			test := reading{rate: 100e6, rtt: rtt, size: 200 * mib, window: 256 * mib}
			run := func(whole bool) Instant {
				test.whole = whole
				p, c := test.start(t, &reader{every: ms, most: func(now time.Duration) int {
					if now%(5*time.Second) < time.Second {
						return 0
					}
					return int(test.rate / 8 / 1000 * 5 / 4 * faster)
				}}, nil)
				p.run(40 * time.Second)
				return c.doneAt
			}
			got, want := run(false), run(true)
			if got == never || got > want.Add(rtt+ms) {
				t.Errorf("%v, reader faster by %v: done at %v, without a limit at %v", rtt, faster, time.Duration(got), time.Duration(want))
			}
		}
	}
}

// A reader that gets ten times as fast, after its window was cut to what it
// needed, has its full rate within a few round trips.
func TestWindowOfReaderThatSpeedsUp(t *testing.T) {
	const rtt, from = 50 * ms, 10 * time.Second
	before := 0
	p, c := reading{rate: 400e6, rtt: rtt, size: 1 << 40, window: 16 * mib}.start(t, &reader{every: ms, most: func(now time.Duration) int {
		if now < from {
			return 3000
		}
		return 30_000
	}}, func(p *path, c *carrier) {
		if p.now < Instant(from) {
			before = c.to.window.limit
		}
	})
	p.run(from + 30*rtt)
	if before == 0 || before > 3*mib/1456 {
		t.Errorf("the limit was %d packets before", before)
	}
	if got := c.between(from+6*rtt, from+30*rtt) / 8; got < 0.98*30e6 {
		t.Errorf("%.0f bytes/s from the sixth round trip on", got)
	}
}

// A reader that takes 64 MiB at a time gets them as often as it can, and what
// waits for it is little more.
func TestWindowOfReaderInGulps(t *testing.T) {
	long(t)
	const gulp = 64 * mib
	for _, test := range []struct {
		every time.Duration
		slow  bool // slower than the path
	}{{300 * ms, false}, {900 * ms, true}} {
		run := func(whole bool) (got int64, settled int) {
			p, c := reading{rate: 1e9, rtt: 10 * ms, size: 1 << 40, window: 256 * mib, whole: whole}.start(t,
				&reader{every: test.every, most: func(time.Duration) int { return gulp }},
				func(p *path, c *carrier) {
					if p.now > Instant(11*time.Second) {
						settled = max(settled, c.to.unread()*1456)
					}
				})
			p.run(13 * time.Second)
			return c.got, settled
		}
		got, settled := run(false)
		want, filled := run(true)
		if got != want {
			t.Errorf("every %v: %d bytes read, without a limit %d", test.every, got, want)
		}
		if test.slow && (settled > gulp*3/2 || filled < 3*gulp) {
			t.Errorf("every %v: up to %d bytes are unread, without a limit %d", test.every, settled, filled)
		}
	}
}

// A reader that stops reading, because it waits for more than the limit lets in
// for all we know, has the whole window filled in the end.
func TestWindowOfReaderThatStops(t *testing.T) {
	const stop = 4 * time.Second
	p, c := reading{rate: 1e9, rtt: ms, size: 1 << 40, window: 16 * mib}.start(t, &reader{every: ms, most: func(now time.Duration) int {
		if now < stop {
			return 20_000
		}
		return 0
	}}, nil)
	p.run(stop)
	if c.to.window.limit == 0 {
		t.Fatal("the window was not limited")
	}
	p.run(stop + 900*ms)
	if n := c.to.unread(); n > 2*mib/1456 {
		t.Errorf("%d packets unread within the first second", n)
	}
	p.run(stop + 10*time.Second)
	if got := c.to.unread(); got != c.cfg.Window {
		t.Errorf("%d packets unread, the window has %d", got, c.cfg.Window)
	}
}

// A message that is larger than the limit arrives like any other, since nobody
// can read a part of it.
func TestWindowOfLargeMessage(t *testing.T) {
	link := simnet.Params{Rate: 1e9, Delay: ms, Queue: 1 << 20}
	p := newPair(t, 1, link, link)
	p.sparse = true
	for _, e := range p.ends {
		e.cfg.Type, e.cfg.Window = Datagram, 16384
	}
	p.acceptor = NewAcceptor(NewCookieJar([32]byte{1}), Datagram)
	from, to := p.ends[0], p.ends[1]
	to.slow = 5 * ms
	small, large := make([]byte, 10_000), make([]byte, 20_000_000)
	next := small
	from.talk = func(c *Conn) {
		for c.Ready().Connected && next != nil && c.WriteMessage(p.now, next, MessageOptions{}) {
			if len(next) == len(large) {
				next = nil
			}
		}
	}
	read := 0
	to.talk = func(c *Conn) {
		if p.now >= to.readAt {
			to.readAt = p.now.Add(to.slow)
			read, _, _ = c.ReadMessage(large)
		}
	}
	p.dial()
	p.run(30*time.Second, func() bool {
		return to.conn != nil && to.conn.window.limit > 0 && to.conn.window.limit < len(large)/1456/8
	})
	to.slow, next = ms/5, large
	p.run(8*time.Second, func() bool { return read == len(large) })
}
