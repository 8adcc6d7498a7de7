//go:build linux

package main

import (
	"encoding/binary"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

func TestArguments(t *testing.T) {
	o, err := parse([]string{"-limit", "5s", "-trace", "10ms", "-extra", "5001=40ms", "rate=10Mbit"})
	if err != nil || o.limit != 5*time.Second || o.extra != (extraDelay{5001, 40 * time.Millisecond}) ||
		o.trace != 10*time.Millisecond || o.path.There.Rate != 10e6 {
		t.Errorf("got %+v, %v", o, err)
	}
	for _, args := range [][]string{
		{}, {"rate=1Mbit", "rtt=1ms"}, {"rate=x"}, {"-limit", "x", "rate=1Mbit"},
		{"-extra", "5001", "rate=1Mbit"}, {"-extra", "0=1ms", "rate=1Mbit"}, {"-extra", "70000=1ms", "rate=1Mbit"},
		{"-extra", "5001=-1ms", "rate=1Mbit"},
	} {
		if o, err := parse(args); err == nil {
			t.Errorf("%q: %+v", args, o)
		}
	}
}

func TestHasPort(t *testing.T) {
	p := make([]byte, 28)
	p[0], p[9] = 0x45, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(p[20:], 5001)
	binary.BigEndian.PutUint16(p[22:], 9000)
	for port, want := range map[uint16]bool{5001: true, 9000: true, 5002: false} {
		if hasPort(p, port) != want {
			t.Errorf("port %d: %v", port, !want)
		}
	}
	for _, short := range [][]byte{nil, p[:19], p[:23]} {
		if hasPort(short, 5001) {
			t.Errorf("%d bytes have a port", len(short))
		}
	}
	p[9] = unix.IPPROTO_ICMP
	if hasPort(p, 5001) {
		t.Error("ICMP has a port")
	}
}

// socket opens a UDP socket on a host.
func (h *host) socket(t *testing.T) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread is of no use elsewhere
		err := unix.Setns(h.namespace, unix.CLONE_NEWNET)
		if err == nil {
			c, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(h.addr, 0)))
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// What one host sends reaches the other when the link says so.
func TestLink(t *testing.T) {
	path, err := simnet.ParsePath("rate=8Mbit,rtt=40ms")
	if err != nil {
		t.Fatal(err)
	}
	var hosts [2]*host
	for i, addr := range []string{"10.99.0.1/24", "10.99.0.2/24"} {
		hosts[i], err = newHost(netip.MustParsePrefix(addr), path.There.MTU)
		if unavailable(err) {
			t.Skipf("namespaces and TUN devices are not to be had: %v", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = unix.Close(hosts[i].namespace)
			_ = unix.Close(hosts[i].tun)
		})
	}
	r := &relay{
		there: newDirection(hosts[0].tun, hosts[1].tun, path.There, 1, options{trace: time.Hour}),
		back:  newDirection(hosts[1].tun, hosts[0].tun, path.Back, 2, options{}),
		begun: func() {},
	}
	ended := make(chan error)
	go func() { ended <- r.run() }()
	defer func() {
		r.stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if m := &r.there.meter; len(m.bytes) != 1 || m.bytes[0] < 1000 ||
			m.longest[0] < time.Millisecond || m.longest[0] >= 20*time.Millisecond {
			t.Errorf("metered %v bytes, up to %v late", m.bytes, m.longest)
		}
	}()

	near, far := hosts[0].socket(t), hosts[1].socket(t)
	start, buf := time.Now(), make([]byte, 2000)
	if err := near.SetDeadline(start.Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := far.SetDeadline(start.Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := near.WriteTo(make([]byte, 972), far.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	n, from, err := far.ReadFrom(buf)
	if err != nil || n != 972 {
		t.Fatalf("%d bytes, %v", n, err)
	}
	// 20 ms to get there, and 1 ms on the wire: 1000 bytes at 8 Mb/s.
	if took := time.Since(start); took < 21*time.Millisecond || took > 450*time.Millisecond {
		t.Errorf("there after %v", took)
	}
	if _, err := far.WriteTo(nil, from); err != nil {
		t.Fatal(err)
	}
	if n, _, err = near.ReadFrom(buf); err != nil || n != 0 {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if took := time.Since(start); took < 41*time.Millisecond {
		t.Errorf("back after %v", took)
	}
}
