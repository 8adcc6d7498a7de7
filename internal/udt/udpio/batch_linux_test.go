package udpio

import (
	"bytes"
	"net"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// refuser stands in for sendmmsg: it fails like the kernel, at the first message that is refused.
func refuser(e unix.Errno, refuse func(h *mmsghdr) bool) func(uintptr, []mmsghdr) (int, unix.Errno) {
	return func(fd uintptr, h []mmsghdr) (int, unix.Errno) {
		for i := range h {
			if !refuse(&h[i]) {
				continue
			}
			if i == 0 {
				return 0, e
			}
			return sendmmsg(fd, h[:i])
		}
		return sendmmsg(fd, h)
	}
}

func isRun(h *mmsghdr) bool { return h.hdr.Controllen > 0 }

// pair returns a sender with GSO and a receiver.
func pair(t *testing.T) (*batch, *inbox) {
	t.Helper()
	a, ok := listen(t, loop4, Config{}).(*batch)
	if !ok || !a.Info().GSO {
		t.Skip("no GSO here")
	}
	return a, newInbox(listen(t, loop4, Config{ReadBuffer: 1 << 20}), 4)
}

func TestSwitches(t *testing.T) {
	if i := listen(t, loop4, Config{}).Info(); !i.GSO || !i.GRO || !i.Batch || i.MaxSegments != 64 {
		t.Skipf("this kernel lacks something: %+v", i)
	}
	for _, c := range []struct {
		name, value     string
		gso, gro, batch bool
		segments        int
	}{
		{envNoGSO, "1", false, true, true, 1},
		{envNoGSO, "0", true, true, true, 64},
		{envNoGRO, "yes", true, false, true, 64},
		{envNoMMsg, "1", false, false, false, 1},
	} {
		t.Run(c.name+"="+c.value, func(t *testing.T) {
			t.Setenv(c.name, c.value)
			a, b := listen(t, loop4, Config{}), listen(t, loop4, Config{})
			i := b.Info()
			if i.GSO != c.gso || i.GRO != c.gro || i.Batch != c.batch || i.MaxSegments != c.segments {
				t.Errorf("got %+v", i)
			}
			want := run(10, 1472, 9)
			if err := a.WriteBatch([]Message{{Addr: b.LocalAddr(), Buf: want, Segment: 1472}}); err != nil {
				t.Fatal(err)
			}
			in := newInbox(b, 16)
			wantRun(t, in, want, 1472)
			if runs := in.ms[0].Segment > 0; runs != (c.gso && c.gro) {
				t.Errorf("came as a run: %v", runs)
			}
		})
	}
}

func TestGSORefused(t *testing.T) {
	for _, e := range []unix.Errno{unix.EIO, unix.EINVAL, unix.EOPNOTSUPP} {
		t.Run(e.Error(), func(t *testing.T) {
			a, in := pair(t)
			a.send = refuser(e, isRun)
			to, want := in.s.LocalAddr(), run(44, 1472, 50)
			ms := []Message{
				{Addr: to, Buf: []byte("first")},
				{Addr: to, Buf: want, Segment: 1472},
				{Addr: to, Buf: want, Segment: 1472},
				{Addr: to, Buf: []byte("last")},
			}
			if err := a.WriteBatch(ms); err != nil {
				t.Fatal(err)
			}
			wantRun(t, in, []byte("first"), 1472)
			wantRun(t, in, want, 1472)
			wantRun(t, in, want, 1472)
			wantRun(t, in, []byte("last"), 1472)
			if i := a.Info(); i.GSO || i.MaxSegments != 1 || i.SendErrors != 0 {
				t.Errorf("got %+v", i)
			}
		})
	}
}

// A segment above the MTU of one route is no reason to do without GSO on the others.
func TestSegmentAboveMTU(t *testing.T) {
	a, in := pair(t)
	a.send = refuser(unix.EMSGSIZE, isRun)
	want := run(150, 200, 50) // three pieces
	for range 2 {
		if err := a.WriteBatch([]Message{{Addr: in.s.LocalAddr(), Buf: want, Segment: 200}}); err != nil {
			t.Fatal(err)
		}
		wantRun(t, in, want, 200)
	}
	if i := a.Info(); !i.GSO || i.SendErrors != 0 {
		t.Errorf("got %+v", i)
	}
}

// When single datagrams meet the same error, GSO is not to blame.
func TestRefusalNotDueToGSO(t *testing.T) {
	a, in := pair(t)
	to := in.s.LocalAddr()
	a.send = refuser(unix.EINVAL, func(h *mmsghdr) bool { return h.hdr.Iov.Len != 4 })
	ms := []Message{{Addr: to, Buf: run(10, 100, 7), Segment: 100}, {Addr: to, Buf: []byte("good")}}
	if err := a.WriteBatch(ms); err != nil {
		t.Fatal(err)
	}
	wantRun(t, in, []byte("good"), 100)
	if i := a.Info(); !i.GSO || i.SendErrors != 10 {
		t.Errorf("got %+v", i)
	}
}

func TestRefusalsAreLoss(t *testing.T) {
	for _, e := range []unix.Errno{
		unix.EPERM, unix.ENOBUFS, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.ENETDOWN, unix.EMSGSIZE, unix.ENOMEM,
	} {
		t.Run(e.Error(), func(t *testing.T) {
			a, in := pair(t)
			to := in.s.LocalAddr()
			calls := 0
			a.send = refuser(e, func(h *mmsghdr) bool {
				calls++
				return h.hdr.Iov.Len != 4
			})
			ms := []Message{
				{Addr: to, Buf: []byte("bad")}, {Addr: to, Buf: []byte("good")}, {Addr: to, Buf: make([]byte, 9)},
			}
			if err := a.WriteBatch(ms); err != nil {
				t.Fatal(err)
			}
			wantRun(t, in, []byte("good"), 100)
			if i := a.Info(); i.SendErrors != 2 || calls > 8 {
				t.Errorf("got %+v after %d tries", i, calls)
			}
		})
	}
}

func TestRetried(t *testing.T) {
	for _, e := range []unix.Errno{unix.EPERM, unix.ECONNREFUSED} {
		t.Run(e.Error(), func(t *testing.T) {
			a, in := pair(t)
			first := true
			a.send = refuser(e, func(*mmsghdr) bool { defer func() { first = false }(); return first })
			want := run(10, 100, 7)
			if err := a.WriteBatch([]Message{{Addr: in.s.LocalAddr(), Buf: want, Segment: 100}}); err != nil {
				t.Fatal(err)
			}
			wantRun(t, in, want, 100)
			if i := a.Info(); i.SendErrors != 0 {
				t.Errorf("got %+v", i)
			}
		})
	}
}

// A packet filter that means it is not asked twice for every message.
func TestFilterIsRetriedOnce(t *testing.T) {
	a, in := pair(t)
	calls := 0
	a.send = refuser(unix.EPERM, func(*mmsghdr) bool { calls++; return true })
	ms := make([]Message, 10)
	for i := range ms {
		ms[i] = Message{Addr: in.s.LocalAddr(), Buf: []byte{1}}
	}
	if err := a.WriteBatch(ms); err != nil {
		t.Fatal(err)
	}
	if i := a.Info(); i.SendErrors != 10 || calls != 11 {
		t.Errorf("%d send errors after %d calls", i.SendErrors, calls)
	}
}

// Each datagram may meet the ICMP error of another one.
func TestEveryMessageHasItsRetry(t *testing.T) {
	a, in := pair(t)
	met := map[byte]bool{}
	a.send = refuser(unix.ECONNREFUSED, func(h *mmsghdr) bool {
		defer func() { met[*h.hdr.Iov.Base] = true }()
		return !met[*h.hdr.Iov.Base]
	})
	to := in.s.LocalAddr()
	if err := a.WriteBatch([]Message{{Addr: to, Buf: []byte("a")}, {Addr: to, Buf: []byte("b")}}); err != nil {
		t.Fatal(err)
	}
	wantRun(t, in, []byte("ab"), 1)
	if i := a.Info(); i.SendErrors != 0 {
		t.Errorf("got %+v", i)
	}
}

// What is idle must not keep the memory of a connection that is gone.
func TestWriterLetsGo(t *testing.T) {
	a, in := pair(t)
	if err := a.WriteBatch([]Message{{Addr: in.s.LocalAddr(), Buf: []byte{1}}}); err != nil {
		t.Fatal(err)
	}
	if n := len(a.writers.idle); n != 1 {
		t.Fatalf("%d idle writers", n)
	}
	for i, v := range a.writers.idle[0].slots.iovs {
		if v.Base != nil {
			t.Errorf("slot %d still points somewhere", i)
		}
	}
}

func TestPartialSend(t *testing.T) {
	a, in := pair(t)
	a.gso.Store(false)
	a.send = func(fd uintptr, h []mmsghdr) (int, unix.Errno) { return sendmmsg(fd, h[:min(len(h), 3)]) }
	want := run(200, 50, 8)
	if err := a.WriteBatch([]Message{{Addr: in.s.LocalAddr(), Buf: want, Segment: 50}}); err != nil {
		t.Fatal(err)
	}
	wantRun(t, in, want, 50)
}

func TestUnusableSocketIsAnError(t *testing.T) {
	a, in := pair(t)
	a.send = refuser(unix.EPIPE, func(*mmsghdr) bool { return true })
	if err := a.WriteBatch([]Message{{Addr: in.s.LocalAddr(), Buf: []byte{1}}}); err == nil {
		t.Error("no error")
	}
}

func TestFullBufferIsWaitedFor(t *testing.T) {
	a, in := pair(t)
	full := true
	a.send = refuser(unix.EAGAIN, func(*mmsghdr) bool { defer func() { full = false }(); return full })
	if err := a.WriteBatch([]Message{{Addr: in.s.LocalAddr(), Buf: []byte("later")}}); err != nil {
		t.Fatal(err)
	}
	wantRun(t, in, []byte("later"), 100)
}

func TestCloseUnblocksWriter(t *testing.T) {
	a, in := pair(t)
	waiting := make(chan struct{}, 8)
	a.send = refuser(unix.EAGAIN, func(*mmsghdr) bool { waiting <- struct{}{}; return true })
	errs := make(chan error)
	go func() { errs <- a.WriteBatch([]Message{{Addr: in.s.LocalAddr(), Buf: []byte{1}}}) }()
	<-waiting // without a lock
	<-waiting // and with the poller behind it
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-errs; err != net.ErrClosed {
		t.Error(err)
	}
}

// No piece may exceed what the kernel takes, and what is left over goes in the next.
func TestLongRunIsSplit(t *testing.T) {
	a, in := pair(t)
	var pieces []int
	a.send = func(fd uintptr, h []mmsghdr) (int, unix.Errno) {
		for i := range h {
			pieces = append(pieces, int(h[i].hdr.Iov.Len))
		}
		return sendmmsg(fd, h)
	}
	want := run(150, 20, 3)
	if err := a.WriteBatch([]Message{{Addr: in.s.LocalAddr(), Buf: want, Segment: 20}}); err != nil {
		t.Fatal(err)
	}
	wantRun(t, in, want, 20)
	if len(pieces) != 3 || pieces[0] != 64*20 || pieces[1] != 64*20 || pieces[2] != 21*20+3 {
		t.Errorf("pieces %v", pieces)
	}
}

func TestDropsAreCounted(t *testing.T) {
	a, b := listen(t, loop4, Config{}), listen(t, loop4, Config{ReadBuffer: 1})
	if !b.Info().Batch {
		t.Skip("no recvmmsg here")
	}
	in := newInbox(b, 64)
	const flood = 500
	payload := make([]byte, 1000)
	for range flood {
		if err := a.WriteBatch([]Message{{Addr: b.LocalAddr(), Buf: payload}}); err != nil {
			t.Fatal(err)
		}
	}
	got, sent := 0, flood
	for got < sent { // the kernel tells of drops with the datagrams that come after them
		n, err := b.ReadBatch(in.ms)
		if err != nil {
			t.Fatal(err)
		}
		if got += n; got+int(b.Info().Drops) == sent {
			break
		}
		if err := a.WriteBatch([]Message{{Addr: b.LocalAddr(), Buf: payload[:1]}}); err != nil {
			t.Fatal(err)
		}
		sent++
	}
	if d := int(b.Info().Drops); d < flood/2 || got+d != sent {
		t.Errorf("sent %d, got %d, dropped %d", sent, got, d)
	}
}

func TestDropCounterWraps(t *testing.T) {
	var d dropCounter
	for _, kernel := range []uint32{5, 5, 1<<32 - 1, 2} {
		d.seen(kernel)
	}
	if got := d.total.Load(); got != 1<<32+2 {
		t.Errorf("counted %d", got)
	}
}

func TestShortBuffer(t *testing.T) {
	a, in := pair(t)
	if !in.s.Info().GRO {
		t.Skip("no GRO here")
	}
	want := run(10, 100, 7)
	ms := []Message{{Addr: in.s.LocalAddr(), Buf: want, Segment: 100}, {Addr: in.s.LocalAddr(), Buf: want[:300]}}
	if err := a.WriteBatch(ms); err != nil {
		t.Fatal(err)
	}
	got := []Message{{Buf: make([]byte, 250)}}
	for i, c := range []struct{ length, segment int }{{200, 100}, {250, 0}} {
		if n, err := in.s.ReadBatch(got); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if m := got[0]; !bytes.Equal(m.Buf, want[:c.length]) || m.Segment != c.segment {
			t.Errorf("message %d: %d bytes in segments of %d", i, len(m.Buf), m.Segment)
		}
	}
	if d := in.s.Info().Drops; d != 8 {
		t.Errorf("%d drops, want 8", d)
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct{ length, segment, room, kept, lost int }{
		{100, 0, 100, 100, 0},
		{100, 0, 60, 60, 0},
		{1000, 100, 1000, 1000, 0},
		{1000, 100, 999, 900, 1},
		{950, 100, 949, 900, 1},
		{950, 100, 100, 100, 9},
		{950, 100, 99, 99, 9},
	} {
		if kept, lost := fit(c.length, c.segment, c.room); kept != c.kept || lost != c.lost {
			t.Errorf("%+v: kept %d, lost %d", c, kept, lost)
		}
	}
}

func TestControlMessages(t *testing.T) {
	if got := unsafe.Sizeof(mmsghdr{}); got%unsafe.Alignof(unix.Msghdr{}) != 0 {
		t.Fatalf("mmsghdr has %d bytes", got)
	}
	var c control
	if n := c.putSegment(0); n != 0 {
		t.Errorf("no segment: %d bytes", n)
	}
	if n := c.putSegment(1472); n != unix.CmsgSpace(2) {
		t.Errorf("segment: %d bytes", n)
	}

	// One of somebody else, then both of ours.
	var b []byte
	add := func(level, kind int32, v uint32) {
		var one control
		h := (*unix.Cmsghdr)(unsafe.Pointer(&one))
		h.Level, h.Type = level, kind
		h.SetLen(unix.CmsgLen(4))
		raw := unsafe.Slice((*byte)(unsafe.Pointer(&one)), controlSize)
		*(*uint32)(unsafe.Pointer(&raw[unix.CmsgLen(0)])) = v
		b = append(b, raw[:unix.CmsgSpace(4)]...)
	}
	add(unix.SOL_IP, unix.IP_TTL, 64)
	add(unix.SOL_UDP, unix.UDP_GRO, 1472)
	add(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 9)
	c = control{}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&c)), controlSize), b)
	if a := c.parse(len(b)); a != (ancillary{segment: 1472, drops: 9, hasDrops: true}) {
		t.Errorf("got %+v", a)
	}
	if a := c.parse(len(b) - 9); a.hasDrops || a.segment != 1472 {
		t.Errorf("cut short: got %+v", a)
	}
	c = control{}
	if a := c.parse(controlSize); a != (ancillary{}) {
		t.Errorf("of zeros: got %+v", a)
	}
}

func TestZones(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skip(err)
	}
	var z zones
	ll := loop6.Addr()
	for range 2 { // asked and remembered
		if got := z.id("lo"); got != uint32(lo.Index) {
			t.Errorf("lo is %d, want %d", got, lo.Index)
		}
		if got := z.with(ll, uint32(lo.Index)); got != ll.WithZone("lo") {
			t.Errorf("got %v", got)
		}
	}
	if got := z.id("4000000000"); got != 4000000000 {
		t.Errorf("a number is %d", got)
	}
	if got := z.id("no such interface"); got != 0 {
		t.Errorf("an unknown name is %d", got)
	}
	if got := z.with(ll, 4000000); got != ll.WithZone("4000000") {
		t.Errorf("an unknown index is %v", got)
	}
}
