//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The TCP ends: whole files, as udtcp moves them. The receiver makes the file durable and says so with one byte, for
// which the sender waits.

// tcpMain runs an end of its own process.
func tcpMain(args []string) error {
	f := flag.NewFlagSet(args[0], flag.ExitOnError)
	cc := f.String("cc", "cubic", "congestion control")
	file := f.String("file", "", "what to send")
	length := f.Duration("time", 0, "send zeros for so long instead")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	switch {
	case args[0] == "tcp-recv" && f.NArg() == 2:
		return tcpReceive(f.Arg(0), f.Arg(1))
	case args[0] == "tcp-send" && f.NArg() == 1:
		return tcpSend(f.Arg(0), *cc, *file, *length)
	}
	return fmt.Errorf("usage: tcp-recv ADDRESS FILE, or tcp-send -cc NAME (-file FILE | -time D) ADDRESS")
}

// congestion is a dialler's control function that chooses the congestion control.
func congestion(cc string) func(string, string, syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		ctlErr := c.Control(func(fd uintptr) {
			err = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, cc)
		})
		return errors.Join(ctlErr, err)
	}
}

// tcpHas tells why this kernel does not have a congestion control; asking loads its module.
func tcpHas(cc string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return errors.Join(unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, cc), unix.Close(fd))
}

func tcpReceive(address, name string) error {
	l, err := net.Listen("tcp4", address)
	if err != nil {
		return err
	}
	if err := tell("listening", map[string]any{"address": address}); err != nil {
		return err
	}
	c, err := l.Accept()
	if err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	counted := &counter{to: f}
	stop := every(func() error { return tell("progress", map[string]any{"bytes": counted.n.Load()}) })
	_, err = io.CopyBuffer(counted, struct{ io.Reader }{c}, make([]byte, 1<<18))
	syncErr := f.Sync()
	if errors.Is(syncErr, unix.EINVAL) {
		syncErr = nil // a device such as /dev/null, which has nothing to sync
	}
	err = errors.Join(err, stop(), syncErr, f.Close())
	if err == nil {
		_, err = c.Write([]byte{1})
	}
	return errors.Join(err, c.Close())
}

// counter counts what passes.
type counter struct {
	to io.Writer
	n  atomic.Int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.to.Write(b)
	c.n.Add(int64(n))
	return n, err
}

func tcpSend(address, cc, name string, length time.Duration) error {
	d := net.Dialer{Control: congestion(cc)}
	conn, err := d.DialContext(context.Background(), "tcp4", address)
	if err != nil {
		return err
	}
	c, ok := conn.(*net.TCPConn)
	if !ok {
		return fmt.Errorf("not TCP: %T", conn)
	}
	stop := every(func() error { return tellTCP(c) })
	if name != "" {
		err = sendFile(c, name)
	} else {
		err = sendFor(c, length)
	}
	if err == nil {
		err = c.CloseWrite()
	}
	if err == nil {
		_, err = io.ReadFull(c, make([]byte, 1))
	}
	return errors.Join(err, stop(), tellTCP(c), c.Close())
}

func sendFile(c *net.TCPConn, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = c.ReadFrom(f) // sendfile
	return err
}

func sendFor(c *net.TCPConn, length time.Duration) error {
	block := make([]byte, 1<<18)
	for end := time.Now().Add(length); time.Now().Before(end); {
		if _, err := c.Write(block); err != nil {
			return err
		}
	}
	return nil
}

// tellTCP writes how far the sender is.
func tellTCP(c *net.TCPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var info *unix.TCPInfo
	ctlErr := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	if err := errors.Join(ctlErr, err); err != nil {
		return err
	}
	return tell("progress", map[string]any{
		"bytes": info.Bytes_acked,
		"stats": map[string]any{"ms_rtt": float64(info.Rtt) / 1000, "pkt_retrans_total": info.Total_retrans},
	})
}

// tell writes an event as udtcp does.
func tell(name string, fields map[string]any) error {
	fields["event"], fields["time"] = name, time.Now()
	line, err := json.Marshal(fields)
	if err == nil {
		_, err = os.Stdout.Write(append(line, '\n'))
	}
	return err
}

// every calls f at each interval until stop, which returns the first error.
func every(f func() error) (stop func() error) {
	quit, done := make(chan struct{}), make(chan error, 1)
	go func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		var err error
		for {
			select {
			case <-quit:
				done <- err
				return
			case <-tick.C:
				err = errors.Join(err, f())
			}
		}
	}()
	return func() error {
		close(quit)
		return <-done
	}
}
