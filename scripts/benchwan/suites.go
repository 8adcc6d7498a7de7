//go:build linux

package main

import (
	"slices"
	"strings"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// suite is a set of runs that answer one question.
type suite struct {
	name  string
	about string
	links []link
	cases []contest
	run   func(r *runner, s suite) error
}

// link is a path and how much is sent over it.
type link struct {
	name string
	path string // as wanlink takes it
	size int64  // bytes
}

const (
	kB = 1000
	mB = 1000 * kB
)

// suites are all there are, in the order of the requirements.
var suites = []suite{
	{name: "table", about: "whole files, process start to exit", run: runFiles, links: []link{
		{"100M-20ms", "rate=100Mbit,rtt=20ms,queue=250K", 100 * mB},
		{"500M-100ms", "rate=500Mbit,rtt=100ms,queue=3100K", 400 * mB},
		{"500M-100ms-0.1%", "rate=500Mbit,rtt=100ms,queue=3100K,loss=0.1%", 400 * mB},
		{"200M-200ms-1%", "rate=200Mbit,rtt=200ms,queue=2500K,loss=1%", 200 * mB},
		{"50M-300ms-3%", "rate=50Mbit,rtt=300ms,queue=900K,loss=3%", 64 * mB},
		{"200M-80ms-bursts", "rate=200Mbit,rtt=80ms,queue=1000K,burst=0.05%:20", 200 * mB},
		{"100M-60ms-reordered", "rate=100Mbit,rtt=60ms,queue=750K,reorder=2%:5ms", 100 * mB},
	}},
	{name: "quarter", about: "a queue of a quarter BDP, and of an eighth", run: runFiles, links: []link{
		{"100M-20ms-quarter", "rate=100Mbit,rtt=20ms,queue=0.25bdp", 100 * mB},
		{"500M-100ms-quarter", "rate=500Mbit,rtt=100ms,queue=0.25bdp", 400 * mB},
		{"200M-200ms-1%-quarter", "rate=200Mbit,rtt=200ms,queue=0.25bdp,loss=1%", 200 * mB},
		{"200M-80ms-eighth", "rate=200Mbit,rtt=80ms,queue=0.125bdp", 200 * mB},
	}},
	{name: "jitter", about: "up to 20 ms of further delay", run: runFiles, links: []link{
		{"100M-20ms-jitter", "rate=100Mbit,rtt=20ms,queue=250K,jitter=20ms", 100 * mB},
		{"500M-100ms-jitter", "rate=500Mbit,rtt=100ms,queue=3100K,jitter=20ms", 400 * mB},
	}},
	{name: "ackloss", about: "loss on the way of the acknowledgements", run: runFiles, links: []link{
		{"100M-20ms-ackloss", "rate=100Mbit,rtt=20ms,queue=250K,ack-loss=5%", 100 * mB},
		{"500M-100ms-ackloss", "rate=500Mbit,rtt=100ms,queue=3100K,ack-loss=5%", 400 * mB},
	}},
	{name: "outage", about: "nothing passes for 2 s", run: runOutage, links: []link{
		{"200M-80ms-outage", "rate=200Mbit,rtt=80ms,queue=2000K,outage=3s:2s", 200 * mB},
		{"50M-300ms-outage", "rate=50Mbit,rtt=300ms,queue=1800K,outage=4s:2s", 64 * mB},
	}},
	{name: "steps", about: "the rate halves and doubles again", run: runSteps, links: []link{
		{"200M-80ms-steps", "rate=200Mbit,rtt=80ms,queue=2000K,step=5s:100Mbit,step=10s:200Mbit", 350 * mB},
		{"100M-20ms-steps", "rate=100Mbit,rtt=20ms,queue=250K,step=5s:50Mbit,step=10s:100Mbit", 170 * mB},
	}},
	{name: "standing", about: "a queue of 4 BDP: what of it stands", run: runFiles, links: []link{
		{"100M-40ms-standing", "rate=100Mbit,rtt=40ms,queue=4bdp", 150 * mB},
		{"500M-100ms-standing", "rate=500Mbit,rtt=100ms,queue=4bdp", 400 * mB},
	}},
	{name: "short", about: "little work, in round-trip times from process start to exit", run: runShort, links: []link{
		{"1B-200ms", "rate=100Mbit,rtt=200ms", 1},
		{"1MB-200ms", "rate=100Mbit,rtt=200ms", 1 * mB},
	}},
	{name: "trees", about: "files of 10 KB, beside one of as many bytes", run: runTrees, links: []link{
		{"200M-100ms-files", "rate=200Mbit,rtt=100ms", 200 * mB},
	}},
	{name: "receiver", about: "libudt sends, to libudt and to udtcp", run: runReceiver, links: []link{
		{"500M-100ms-0.1%-receiver", "rate=500Mbit,rtt=100ms,queue=3100K,loss=0.1%", 100 * mB},
		{"200M-200ms-1%-receiver", "rate=200Mbit,rtt=200ms,queue=2500K,loss=1%", 50 * mB},
	}},
	{name: "fairness", about: "two flows on one bottleneck", run: runFairness, cases: []contest{
		{"two", "rate=100Mbit,rtt=40ms", [2]flow{{}, {}}},
		{"two-late", "rate=100Mbit,rtt=40ms", [2]flow{{}, {after: 10 * time.Second}}},
		{"two-20-100ms", "rate=100Mbit,rtt=20ms,queue=1250K", [2]flow{{}, {extra: 40 * time.Millisecond}}},
		{"cubic-1bdp", "rate=100Mbit,rtt=40ms", [2]flow{{}, {peer: "tcp-cubic"}}},
		{"cubic-4bdp", "rate=100Mbit,rtt=40ms,queue=4bdp", [2]flow{{}, {peer: "tcp-cubic"}}},
		{"bbr-1bdp", "rate=100Mbit,rtt=40ms", [2]flow{{}, {peer: "tcp-bbr"}}},
		{"bbr-4bdp", "rate=100Mbit,rtt=40ms,queue=4bdp", [2]flow{{}, {peer: "tcp-bbr"}}},
	}},
	{name: "brief", about: "a look whether all of it works", run: runFiles, links: []link{
		{"100M-20ms-brief", "rate=100Mbit,rtt=20ms,queue=250K", 10 * mB},
		{"50M-60ms-1%-brief", "rate=50Mbit,rtt=60ms,loss=1%,reorder=1%:5ms", 2 * mB},
	}},
}

func suiteNames() []string {
	names := make([]string, len(suites))
	for i, s := range suites {
		names[i] = s.name
	}
	return names
}

// wanted tells whether a link or case was asked for.
func (o *options) wanted(name string) bool {
	return len(o.links) == 0 || slices.ContainsFunc(o.links, func(part string) bool { return strings.Contains(name, part) })
}

// packetBytes is the data in a full packet of 1500 bytes: 44 are headers of IP, UDP and UDT.
const packetBytes = 1456

// capacity is the goodput of a sender that never idles, bits a second.
func capacity(p simnet.Params) float64 { return p.Rate * packetBytes / 1500 * (1 - meanLoss(p)) }

// meanLoss is the share of packets that are lost in the long run.
func meanLoss(p simnet.Params) float64 {
	burst := 0.
	if p.BurstStart > 0 {
		// One burst of the mean length for each run of packets without, which is 1/start long.
		burst = p.BurstMean / (p.BurstMean + 1/p.BurstStart)
	}
	return 1 - (1-p.Loss)*(1-burst)
}
