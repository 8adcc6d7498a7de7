//go:build linux

// Command pipeend stands at the far ends of the pipes of a program under test,
// and costs next to nothing there, so that what is measured is the program:
//
//	pipeend feed BYTES | PROGRAM | pipeend drain
//
// feed puts zeros into standard output without copying them (vmsplice(2));
// drain lets go of what comes from standard input without reading it
// (splice(2)) and prints how many bytes that were. Both must be pipes.
package main

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// pieceSize is what goes into a pipe at a time, and the size that the pipe is given: most unprivileged processes may
// have no larger one.
const pieceSize = 1 << 20

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pipeend:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "feed":
		n, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil {
			return err
		}
		return feed(int(os.Stdout.Fd()), n)
	case len(args) == 1 && args[0] == "drain":
		n, err := drain(int(os.Stdin.Fd()))
		fmt.Println(n, "bytes")
		return err
	}
	return fmt.Errorf("usage: pipeend feed BYTES, or pipeend drain")
}

// feed puts n zeros into a pipe.
func feed(pipe int, n int64) error {
	grow(pipe)
	zeros, err := unix.Mmap(-1, 0, pieceSize, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_POPULATE)
	if err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	for n > 0 {
		iov := unix.Iovec{Base: &zeros[0]}
		iov.SetLen(int(min(n, pieceSize)))
		put, err := unix.Vmsplice(pipe, []unix.Iovec{iov}, 0)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("vmsplice: %w", err)
		}
		n -= int64(max(0, put))
	}
	return nil
}

// drain empties a pipe until nobody writes to it any more.
func drain(pipe int) (total int64, err error) {
	grow(pipe)
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = null.Close() }()
	for {
		n, err := unix.Splice(pipe, nil, int(null.Fd()), nil, pieceSize, unix.SPLICE_F_MOVE)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return total, fmt.Errorf("splice: %w", err)
		}
		if n == 0 {
			return total, nil
		}
		total += n
	}
}

// grow enlarges a pipe, if that is allowed.
func grow(pipe int) { _, _ = unix.FcntlInt(uintptr(pipe), unix.F_SETPIPE_SZ, pieceSize) }
