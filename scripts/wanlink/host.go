//go:build linux

package main

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// host is a network namespace with a TUN device that is its way to the other one. Both live as long as this process
// and what runs inside.
type host struct {
	namespace int // its file descriptor
	tun       int // reads and writes do not block; each packet has a virtio header before it
	addr      netip.Addr
}

const (
	device = "wan0"
	// tunQueue is how many packets may wait to be read, so that none is lost before it has reached the model.
	tunQueue = 10_000
)

// newHost makes a host. It must be called as root.
func newHost(addr netip.Prefix, mtu int) (*host, error) {
	h := &host{addr: addr.Addr()}
	done := make(chan error, 1)
	go func() {
		// The thread moves to the new namespace and is never unlocked: it ends with this goroutine.
		runtime.LockOSThread()
		done <- h.build(addr, mtu)
	}()
	if err := <-done; err != nil {
		return nil, err
	}
	return h, nil
}

// build turns the thread's namespace into the host's.
func (h *host) build(addr netip.Prefix, mtu int) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("making a network namespace: %w (it takes root)", err)
	}
	var err error
	h.namespace, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("the namespace: %w", err)
	}
	if h.tun, err = openTUN(); err != nil {
		return fmt.Errorf("/dev/net/tun: %w", err)
	}
	if err := configure(addr, mtu); err != nil {
		return fmt.Errorf("the device %s: %w", device, err)
	}
	for name, value := range map[string]string{
		"net/ipv6/conf/" + device + "/disable_ipv6": "1", // which would talk by itself
		// TCP may fill what a queue of several bandwidth-delay products holds.
		"net/ipv4/tcp_rmem": "4096 131072 134217728",
		"net/ipv4/tcp_wmem": "4096 131072 134217728",
	} {
		err := os.WriteFile("/proc/sys/"+name, []byte(value), 0)
		if err != nil && !os.IsNotExist(err) { // a kernel without IPv6
			return err
		}
	}
	return nil
}

// openTUN makes the device in the thread's namespace. It leaves checksums to us, as hardware does, and segmentation to
// the kernel: what is read is packets as they would be on a wire. The checksum's place comes in a virtio header, which
// goes to the other end with the packet, where nobody computes it either.
func openTUN() (int, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	r, err := unix.NewIfreq(device)
	if err != nil {
		return -1, err
	}
	r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, r); err != nil {
		return -1, err
	}
	return fd, unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, unix.TUN_F_CSUM)
}

// configure gives the device its address and brings it and the loopback up.
func configure(addr netip.Prefix, mtu int) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(s) }()
	mask := netip.AddrFrom4([4]byte{255, 255, 255, 0})
	for _, step := range []struct {
		name    string
		request uint
		set     func(r *unix.Ifreq) error
	}{
		{device, unix.SIOCSIFMTU, func(r *unix.Ifreq) error { r.SetUint32(uint32(mtu)); return nil }},
		{device, unix.SIOCSIFTXQLEN, func(r *unix.Ifreq) error { r.SetUint32(tunQueue); return nil }},
		{device, unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(addr.Addr().AsSlice()) }},
		{device, unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr(mask.AsSlice()) }},
		{device, unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil }},
		{"lo", unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil }},
	} {
		r, err := unix.NewIfreq(step.name)
		if err != nil {
			return err
		}
		if err := step.set(r); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(s, step.request, r); err != nil {
			return err
		}
	}
	return nil
}
