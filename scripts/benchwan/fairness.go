//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// contest is two flows on one bottleneck.
type contest struct {
	name  string
	path  string
	flows [2]flow
}

// flow is one of them: ours where it has no peer.
type flow struct {
	peer  string
	after time.Duration // that it starts later
	extra time.Duration // that its packets take longer each way
}

// rivalry is how a contest went, as a line of results.jsonl.
type rivalry struct {
	Suite string  `json:"suite"`
	Link  string  `json:"link"`
	Path  string  `json:"path"`
	Peer  string  `json:"peer"` // our controller
	From  float64 `json:"from"` // seconds from the start of the first flow: what is compared
	To    float64 `json:"to"`
	Jain  float64 `json:"jain"`
	Flows []lane  `json:"flows"`
	// WAN is what the link counted.
	WAN json.RawMessage `json:"wan,omitempty"`
}

// lane is a flow's part in it.
type lane struct {
	Peer    string   `json:"peer"`
	Goodput float64  `json:"goodput_bps"`
	Share   float64  `json:"share"` // of what the link can carry
	RTT     float64  `json:"rtt_s,omitempty"`
	Samples []sample `json:"samples"` // timed from the start of the first flow
}

// runFairness lets two flows meet and tells how they share the link while both are there.
func runFairness(r *runner, s suite) error {
	heading(s, "first", "share", "second", "share", "Jain index")
	for _, c := range s.cases {
		if !r.wanted(c.name) {
			continue
		}
		for _, cc := range r.ours {
			if missing := r.missing(c); missing != "" {
				say("%s: left out: no %s", c.name, missing)
				break
			}
			v, err := r.compete(c, cc)
			r.runs++
			if err != nil {
				r.failed++
				say("  %s failed: %v", c.name, err)
				continue
			}
			v.Suite = s.name
			if err := r.keep(v); err != nil {
				return err
			}
			fmt.Printf("%-24s", c.name+" "+cc)
			for _, l := range v.Flows {
				fmt.Printf("%15s%15.2f", title(l.Peer), l.Share)
			}
			fmt.Printf("%15.3f\n", v.Jain)
		}
	}
	return nil
}

// missing names a peer of the contest that cannot take part.
func (r *runner) missing(c contest) string {
	for _, f := range c.flows {
		if strings.HasPrefix(f.peer, "tcp-") && tcpHas(strings.TrimPrefix(f.peer, "tcp-")) != nil {
			return f.peer
		}
	}
	return ""
}

// compete runs both flows. The comparison is of the time when both are there, without the first second.
func (r *runner) compete(c contest, cc string) (*rivalry, error) {
	path, err := simnet.ParsePath(c.path)
	if err != nil {
		return nil, err
	}
	var flags []string
	ports := [2]string{port, port2}
	for i, f := range c.flows {
		if f.extra > 0 {
			flags = append(flags, "-extra", ports[i]+"="+f.extra.String())
		}
	}
	late := max(c.flows[0].after, c.flows[1].after)
	w, err := startWAN(r.wanlink, c.path, r.length+late+time.Minute, flags...)
	if err != nil {
		return nil, err
	}
	v := &rivalry{Link: c.name, Path: c.path, Peer: cc, From: late.Seconds() + 1, To: (r.length + late).Seconds()}
	err = r.meet(w, c, cc, ports, v)
	counts, stopErr := w.stop()
	if err := errors.Join(err, stopErr); err != nil {
		return nil, err
	}
	v.WAN = counts.line
	counts.warn()
	sum, squares := 0., 0.
	for i := range v.Flows {
		l := &v.Flows[i]
		l.Goodput = goodput(l.Samples, v.From, v.To)
		l.Share = l.Goodput / capacity(path.There)
		l.RTT = meanRTT(l.Samples, v.From, v.To)
		sum += l.Goodput
		squares += l.Goodput * l.Goodput
	}
	if squares > 0 {
		v.Jain = sum * sum / (float64(len(v.Flows)) * squares)
	}
	return v, nil
}

// meet starts the flows, each in its time, and lets them end together.
func (r *runner) meet(w *wan, c contest, cc string, ports [2]string, v *rivalry) error {
	end := time.Now().Add(time.Duration(v.To*float64(time.Second)) + patience)
	var senders, receivers []*watch
	defer func() {
		for _, p := range append(senders, receivers...) {
			p.kill()
		}
	}()
	for i, f := range c.flows {
		in, err := startWatch(r.flowReceiver(w, f, ports[i]))
		if err != nil {
			return err
		}
		receivers = append(receivers, in)
		if err := in.awaitListening(); err != nil {
			return err
		}
	}
	for i, f := range c.flows {
		if i > 0 {
			<-time.After(time.Until(senders[0].start.Add(f.after)))
		}
		length := time.Duration(v.To*float64(time.Second)) - f.after
		out, err := startWatch(r.flowSender(w, f, cc, ports[i], length))
		if err != nil {
			return err
		}
		senders = append(senders, out)
	}
	for i, f := range c.flows {
		if !senders[i].wait(time.Until(end) + patience) {
			return errors.New("a flow does not end")
		}
		if err := senders[i].failure(); err != nil {
			return err
		}
		peer := f.peer
		if peer == "" {
			peer = cc
		}
		v.Flows = append(v.Flows, lane{Peer: peer, Samples: senders[i].samples(senders[0].start)})
	}
	return nil
}

func (r *runner) flowReceiver(w *wan, f flow, port string) *exec.Cmd {
	if f.peer != "" {
		return command(w.far, r.self, "tcp-recv", w.address+":"+port, "/dev/null")
	}
	return command(w.far, r.oursWith("perf", "--listen="+w.address+":"+port)...)
}

func (r *runner) flowSender(w *wan, f flow, cc, port string, length time.Duration) *exec.Cmd {
	if f.peer != "" {
		return command(w.near, r.self, "tcp-send", "-cc", strings.TrimPrefix(f.peer, "tcp-"), "-time", length.String(), w.address+":"+port)
	}
	return command(w.near, r.oursWith("perf", "--cc", cc, "-t", length.String(), w.address+":"+port)...)
}
