// Command wanplot draws the results of bench-wan.sh as SVG:
//
//	wanplot -out docs/plots RESULTS.jsonl...
//
// For each link it makes LINK-throughput.svg and LINK-rtt.svg with a line for each peer, and for each contest of two
// flows SUITE-CASE-CONTROLLER.svg with a line for each flow. Of several runs of the same the last counts. Links of the
// suites short and brief have nothing to draw. Throughput is what comes to the receiver's program, but in transfers of
// udtcp, whose files grow by whole MiB, what comes in packets.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// record is a line of results.jsonl: a transfer, or a contest of several flows.
type record struct {
	Suite   string   `json:"suite"`
	Link    string   `json:"link"`
	Path    string   `json:"path"`
	Peer    string   `json:"peer"`
	Error   string   `json:"error"`
	Samples []sample `json:"samples"`
	Jain    float64  `json:"jain"`
	Flows   []struct {
		Peer    string   `json:"peer"`
		Samples []sample `json:"samples"`
	} `json:"flows"`
}

// sample is how far a transfer had come at a time in seconds.
type sample struct {
	At    float64 `json:"at"`
	Bytes int64   `json:"bytes"`
	RTT   float64 `json:"rtt_s"`
	// Arrived is the payload of the packets that came, where that is told: finer than what a file grows by.
	Arrived int64 `json:"arrived"`
}

func main() {
	out := flag.String("out", ".", "directory for the drawings")
	flag.Parse()
	if err := run(*out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "wanplot:", err)
		os.Exit(1)
	}
}

func run(out string, files []string) error {
	if len(files) == 0 {
		return errors.New("which results.jsonl?")
	}
	var all []record
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		records, err := read(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, records...)
	}
	for _, p := range plots(all) {
		name := filepath.Join(out, p.name+".svg")
		if err := os.WriteFile(name, p.svg(), 0o644); err != nil {
			return err
		}
		fmt.Println(name)
	}
	return nil
}

func read(r io.Reader) (all []record, err error) {
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var v record
			if err := json.Unmarshal(line, &v); err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			all = append(all, v)
		}
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// plots makes the drawings of all records, in the order in which their links first appear.
func plots(all []record) (out []plot) {
	type key struct{ suite, link string }
	var order []key
	peers := map[key][]record{}
	for _, v := range all {
		switch {
		case len(v.Flows) > 0:
			out = append(out, contest(v))
			continue
		case v.Error != "" || len(v.Samples) < 2 || v.Suite == "short" || v.Suite == "brief":
			continue
		}
		k := key{v.Suite, v.Link}
		if peers[k] == nil {
			order = append(order, k)
		}
		peers[k] = replace(peers[k], v)
	}
	out = latest(out)
	for _, k := range order {
		through := plot{name: slug(k.link) + "-throughput", title: k.link, unit: "Mbit/s"}
		rtt := plot{name: slug(k.link) + "-rtt", title: k.link, unit: "ms, smoothed round-trip time"}
		through.note = peers[k][0].Path
		rtt.note = through.note
		for _, v := range peers[k] {
			through.lines = append(through.lines, line{label(v.Peer), throughput(v.Samples)})
			if points := roundTrips(v.Samples); len(points) > 1 {
				rtt.lines = append(rtt.lines, line{label(v.Peer), points})
			}
		}
		out = append(out, through)
		if len(rtt.lines) > 0 {
			out = append(out, rtt)
		}
	}
	return out
}

// replace adds a run, in the place of an earlier one of the same peer.
func replace(all []record, v record) []record {
	for i := range all {
		if all[i].Peer == v.Peer {
			all[i] = v
			return all
		}
	}
	return append(all, v)
}

// latest keeps the last drawing of each name.
func latest(all []plot) (out []plot) {
	for i, p := range all {
		again := false
		for _, later := range all[i+1:] {
			again = again || later.name == p.name
		}
		if !again {
			out = append(out, p)
		}
	}
	return out
}

func contest(v record) plot {
	p := plot{
		name:  slug(v.Suite + "-" + v.Link + "-" + v.Peer),
		title: fmt.Sprintf("%s: Jain index %.3f", v.Link, v.Jain), note: v.Path, unit: "Mbit/s",
	}
	for i, f := range v.Flows {
		p.lines = append(p.lines, line{fmt.Sprintf("%d: %s", i+1, label(f.Peer)), throughput(f.Samples)})
	}
	return p
}

// label names a peer for the legend.
func label(peer string) string {
	switch {
	case strings.HasPrefix(peer, "tcp-"):
		return "TCP " + peer[len("tcp-"):]
	case peer == "libudt":
		return peer
	}
	return "udtcp " + peer
}

// slug makes a file name of a link's.
func slug(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-':
			return r
		case r == '%':
			return 'p'
		}
		return '_'
	}, s)
}

// window is the time over which throughput is averaged, in seconds: a few samples.
const window = 0.5

// throughput is the rate over the time, Mbit/s: for each sample the mean since one a window before.
func throughput(s []sample) (out []point) {
	bytes := func(v sample) int64 { return v.Bytes }
	if len(s) > 0 && s[len(s)-1].Arrived > 0 {
		bytes = func(v sample) int64 { return v.Arrived }
	}
	from := 0
	for i := range s {
		for from+1 < i && s[i].At-s[from].At > window {
			from++
		}
		if span := s[i].At - s[from].At; span > 0 {
			out = append(out, point{s[i].At, float64(bytes(s[i])-bytes(s[from])) * 8 / span / 1e6})
		}
	}
	return out
}

// roundTrips is the smoothed round-trip time over the time, ms.
func roundTrips(s []sample) (out []point) {
	for _, v := range s {
		if v.RTT > 0 {
			out = append(out, point{v.At, v.RTT * 1000})
		}
	}
	return out
}
