//go:build linux

// Command measure runs another program and writes down what it cost:
//
//	measure -out FILE [-limit D] COMMAND [ARGUMENT...]
//
// FILE gets one JSON object with cpu_s (user and system time of COMMAND and
// of the children it waited for), maxrss_bytes (the peak of its resident
// memory, never below the few MiB of measure itself) and seconds (wall time).
// Standard streams are handed on. SIGINT and SIGTERM are passed on as SIGTERM,
// followed after five seconds by SIGKILL; so is the end of the limit.
//
// Its exit status is COMMAND's, 128 and the signal's number if one ended it,
// 124 at the limit, 125 if measure itself failed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

const (
	exitLimit  = 124
	exitFailed = 125
	patience   = 5 * time.Second // from SIGTERM to SIGKILL
)

// cost is what FILE gets.
type cost struct {
	CPU     float64 `json:"cpu_s"`
	MaxRSS  int64   `json:"maxrss_bytes"`
	Seconds float64 `json:"seconds"`
}

func main() {
	out := flag.String("out", "", "`file` for the figures")
	limit := flag.Duration("limit", time.Hour, "the longest that the command may run")
	flag.Parse()
	if *out == "" || flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: measure -out FILE [-limit D] COMMAND [ARGUMENT...]")
		os.Exit(exitFailed)
	}
	status, err := measure(*out, *limit, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
	}
	os.Exit(status)
}

// measure runs the command and gives the exit status.
func measure(out string, limit time.Duration, command []string) (int, error) {
	// Pdeathsig tells of the end of the thread that started the child.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	if cmd.ProcessState == nil {
		return exitFailed, err
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return exitLimit, fmt.Errorf("%s: not done after %s", command[0], limit)
	}
	if werr := write(out, cmd.ProcessState, took); werr != nil {
		return exitFailed, werr
	}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}

func write(out string, s *os.ProcessState, took time.Duration) error {
	c := cost{CPU: (s.UserTime() + s.SystemTime()).Seconds(), Seconds: took.Seconds()}
	if ru, ok := s.SysUsage().(*syscall.Rusage); ok {
		c.MaxRSS = ru.Maxrss << 10 // the kernel counts KiB
	}
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(b, '\n'), 0o644)
}
