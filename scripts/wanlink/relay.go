//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

const (
	// nap is how long the relay sleeps while packets flow. What comes or falls due meanwhile is handled together: at
	// 500 Mb/s eight packets, each less than 0.2 ms late, for an eighth of the wake-ups.
	nap = 200 * time.Microsecond
	// rest is the longest it sleeps when nothing flows, and so how soon it notices that it is to stop.
	rest = 50 * time.Millisecond
	// readBatch is the most packets read from one side before the other has its turn.
	readBatch = 256
)

// relay carries packets in both directions. One thread does it all.
type relay struct {
	there, back *direction
	started     time.Time // when the first packet came
	begun       func()    // called then
	stopped     atomic.Bool
}

func (r *relay) stop() { r.stopped.Store(true) }

func (r *relay) run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Sleep as long as asked, not up to 50 µs more.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("setting the timer slack: %w", err)
	}
	fds := []unix.PollFd{{Fd: int32(r.there.in), Events: unix.POLLIN}, {Fd: int32(r.back.in), Events: unix.POLLIN}}
	for !r.stopped.Load() {
		busy := false
		for _, d := range []*direction{r.there, r.back} {
			taken, err := d.take(r.begin)
			if err != nil {
				return err
			}
			given, err := d.give(r.clock())
			if err != nil {
				return err
			}
			busy = busy || taken > 0 || given > 0
		}
		var err error
		if busy {
			err = sleep(nil, nap)
		} else {
			err = sleep(fds, min(r.untilDue(), rest))
		}
		if err != nil {
			return fmt.Errorf("waiting: %w", err)
		}
	}
	return nil
}

// clock is the time since the first packet, ns; 0 until it comes.
func (r *relay) clock() int64 {
	if r.started.IsZero() {
		return 0
	}
	return int64(time.Since(r.started))
}

// begin is clock for a packet: the first one starts it.
func (r *relay) begin() int64 {
	if r.started.IsZero() {
		r.started = time.Now()
		r.begun()
	}
	return r.clock()
}

// untilDue is how long until the next packet is to be given.
func (r *relay) untilDue() time.Duration {
	wait := rest
	for _, d := range []*direction{r.there, r.back} {
		if at, ok := d.flight.first(); ok {
			wait = min(wait, time.Duration(at-r.clock()))
		}
	}
	return max(0, wait)
}

// sleep waits for input or the time.
func sleep(fds []unix.PollFd, d time.Duration) error {
	t := unix.NsecToTimespec(int64(d))
	if _, err := unix.Ppoll(fds, &t, nil); err != nil && err != unix.EINTR {
		return err
	}
	return nil
}

// virtioHeader is the length of struct virtio_net_hdr.
const virtioHeader = 10

// direction is one way through the link.
type direction struct {
	in, out int
	link    *simnet.Link
	extra   extraDelay
	flight  flight
	ats     []int64
	meter   meter

	refused    uint64 // packets that the receiving host did not take
	given      uint64
	lateness   int64 // of all given, ns
	latestness int64 // of the latest
}

func newDirection(in, out int, p simnet.Params, seed uint64, o options) *direction {
	return &direction{
		in: in, out: out, link: simnet.NewLink(p, seed), extra: o.extra,
		meter: meter{span: o.trace, delay: p.Delay},
	}
}

// take reads what has come; clock tells when.
func (d *direction) take(clock func() int64) (n int, err error) {
	now := int64(-1)
	for n < readBatch {
		p := d.flight.get()
		size, err := unix.Read(d.in, p.buf[:])
		if err == unix.EAGAIN || err == unix.EINTR {
			d.flight.put(p)
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("reading a packet: %w", err)
		}
		if now < 0 {
			now = clock()
		}
		n++
		p.size = size
		d.ats = d.link.Forward(now, size-virtioHeader, d.ats[:0])
		if len(d.ats) == 0 {
			d.flight.put(p)
			continue
		}
		extra := int64(0)
		if d.extra.by > 0 && hasPort(p.packet(), d.extra.port) {
			extra = int64(d.extra.by)
		}
		d.meter.count(now, d.ats[0], size-virtioHeader)
		for _, at := range d.ats[1:] {
			d.flight.add(at+extra, d.flight.copyOf(p))
		}
		d.flight.add(d.ats[0]+extra, p)
	}
	return n, nil
}

// give hands over what is due.
func (d *direction) give(now int64) (n int, err error) {
	for at, ok := d.flight.first(); ok && at <= now; at, ok = d.flight.first() {
		p := d.flight.take()
		_, err := unix.Write(d.out, p.buf[:p.size])
		d.flight.put(p)
		if err != nil {
			// The host drops what it has no memory for, as hosts do.
			if err != unix.ENOBUFS && err != unix.EAGAIN && err != unix.ENOMEM {
				return n, fmt.Errorf("writing a packet: %w", err)
			}
			d.refused++
		}
		n++
		d.given++
		d.lateness += now - at
		d.latestness = max(d.latestness, now-at)
	}
	return n, nil
}

// report is what the direction has done, for the last line.
func (d *direction) report() map[string]any {
	s := d.link.Stats()
	mean := 0.
	if d.given > 0 {
		mean = float64(d.lateness) / float64(d.given) / 1e3
	}
	r := map[string]any{
		"seen": s.Seen, "passed": s.Passed, "bytes": s.Bytes, "lost": s.Lost, "queue_full": s.QueueFull,
		"outage": s.Outage, "too_big": s.TooBig, "reordered": s.Reordered, "duplicated": s.Duplicated,
		"refused": d.refused, "late_mean_us": mean, "late_max_us": float64(d.latestness) / 1e3,
	}
	if d.meter.span > 0 {
		r["trace"] = d.meter.report()
	}
	return r
}

// hasPort tells whether an IPv4 packet goes from or to the TCP or UDP port.
func hasPort(p []byte, port uint16) bool {
	if len(p) < 20 || p[0]>>4 != 4 || p[9] != unix.IPPROTO_TCP && p[9] != unix.IPPROTO_UDP {
		return false
	}
	ports := int(p[0]&15) * 4
	return len(p) >= ports+4 &&
		(binary.BigEndian.Uint16(p[ports:]) == port || binary.BigEndian.Uint16(p[ports+2:]) == port)
}
