// Command tlspeer measures TLS 1.3 over a connection of package udt, memory to
// memory:
//
//	tlspeer serve [-mss BYTES]
//	tlspeer dial [-mss BYTES] [-time D] ADDRESS PIN
//
// serve takes one connection on a free port of 127.0.0.1. It prints the event
// "listening" with its address and its pin, the SHA-256 of the certificate it
// has made for the occasion, and when the sender is done the event "end", as
// dial does: JSON, a line each, named as those of udtcp. Both fail unless they
// agree on how many bytes went over.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// event is a line on standard output.
type event struct {
	Event   string  `json:"event"`
	Address string  `json:"address,omitempty"`
	Pin     string  `json:"pin,omitempty"`
	Cipher  string  `json:"cipher,omitempty"`
	Bytes   int64   `json:"bytes,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
	Goodput float64 `json:"goodput_bps,omitempty"`
}

func say(w io.Writer, e event) error { return json.NewEncoder(w).Encode(e) }

// ended is the event at the end of a measurement.
func ended(bytes int64, took time.Duration, cipher string) event {
	return event{Event: "end", Cipher: cipher, Bytes: bytes, Seconds: took.Seconds(), Goodput: float64(bytes) * 8 / took.Seconds()}
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "tlspeer:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	f := flag.NewFlagSet("tlspeer", flag.ContinueOnError)
	mss := f.Int("mss", udt.DefaultMSS, "packet size in `bytes`, IP and UDP headers included")
	period := f.Duration("time", 5*time.Second, "how long dial sends")
	usage := fmt.Errorf("usage: tlspeer serve [-mss BYTES] | tlspeer dial [-mss BYTES] [-time D] ADDRESS PIN")
	if len(args) == 0 {
		return usage
	}
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	cfg := &udt.Config{MSS: *mss}
	switch {
	case args[0] == "serve" && f.NArg() == 0:
		return serve(cfg, os.Stdout)
	case args[0] == "dial" && f.NArg() == 2:
		return dial(cfg, f.Arg(0), f.Arg(1), *period, os.Stdout)
	}
	return usage
}
