//go:build linux

// Command benchwan compares udtcp with kernel TCP and libudt over the links that wanlink models. It is what
// scripts/bench-wan.sh runs; that says what can be chosen.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// options come from bench-wan.sh.
type options struct {
	udtcp, wanlink, udtpeer string // programs; udtpeer may be empty
	work, out               string // directories for files that are sent, and for results
	suites, links, peers    []string
	scale                   float64
	limit, length           time.Duration // of one transfer, and of one run for fairness
	brief                   bool
}

func main() {
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "tcp-") {
		exit(tcpMain(os.Args[1:]))
	}
	o, err := parse(os.Args[1:])
	if err != nil {
		os.Exit(2) // package flag has said why
	}
	exit(run(o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchwan:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("benchwan", flag.ContinueOnError)
	f.StringVar(&o.udtcp, "udtcp", "", "the program under test")
	f.StringVar(&o.wanlink, "wanlink", "", "the link emulator")
	f.StringVar(&o.udtpeer, "udtpeer", "", "libudt's end, if any")
	f.StringVar(&o.work, "work", "", "directory for what is sent and received")
	f.StringVar(&o.out, "out", "", "directory for results.jsonl")
	list := func(name, usage string, to *[]string) {
		f.Func(name, usage, func(s string) error {
			*to = strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
			return nil
		})
	}
	list("suites", "which of "+strings.Join(suiteNames(), ", "), &o.suites)
	list("links", "names, or parts of them, of the links or cases to run", &o.links)
	list("peers", "who takes part: bbr, native, tcp-bbr, tcp-cubic, libudt", &o.peers)
	f.Float64Var(&o.scale, "scale", 1, "of all sizes")
	f.DurationVar(&o.limit, "limit", time.Minute, "for one transfer")
	f.DurationVar(&o.length, "length", 30*time.Second, "of a run for fairness")
	f.BoolVar(&o.brief, "brief", false, "fail where a transfer of ours did not finish")
	return o, f.Parse(args)
}

func run(o options) error {
	r, err := newRunner(o)
	if err != nil {
		return err
	}
	defer r.close()
	for _, name := range o.suites {
		i := slices.IndexFunc(suites, func(s suite) bool { return s.name == name })
		if i < 0 {
			return fmt.Errorf("no suite %q; there are %s", name, strings.Join(suiteNames(), ", "))
		}
		if err := suites[i].run(r, suites[i]); err != nil {
			return err
		}
	}
	if r.runs == 0 {
		return errors.New("nothing ran: no link or no peer is left of what was asked for")
	}
	if r.failed > 0 {
		return fmt.Errorf("%d of %d runs failed", r.failed, r.runs)
	}
	return nil
}
