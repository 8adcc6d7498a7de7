package simnet

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Path is both directions of a modelled connection between a near and a far host.
type Path struct {
	There, Back Params // near to far, and far to near
	Seed        uint64
}

// pathMTU is what all paths carry, bytes.
const pathMTU = 1500

// ParsePath reads a path from text such as "rate=500Mbit,rtt=100ms,loss=0.1%". Both directions are alike but for
// ack-loss.
//
//	rate=RATE        500Mbit, or bytes a second: 50M
//	rtt=D            round-trip time without queues: 100ms
//	queue=SIZE       bytes that may wait: 250K, 1Mi; or 0.25bdp, a multiple of rate × rtt; 1bdp unless given
//	loss=P           random loss: 0.1%
//	ack-loss=P       the same from far to near alone, where the acknowledgements of a transfer from near to far go
//	burst=P:N        bursts of losses: P of the packets start one of N packets on average
//	reorder=P:D      P of the packets come D late
//	jitter=D         up to D of further delay each way, in order
//	duplicate=P      P of the packets come twice
//	outage=AT:D      nothing passes for D from AT on; may be repeated
//	step=AT:RATE     the rate is another from AT on; may be repeated
//	seed=N           another fate of the same odds
func ParsePath(text string) (Path, error) {
	r := pathReader{seen: map[string]bool{}, queue: "1bdp"}
	r.path.Seed = 1
	for field := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(field), "=")
		if !ok || value == "" {
			return Path{}, fmt.Errorf("%q: want NAME=VALUE", field)
		}
		if r.seen[key] && key != "outage" && key != "step" {
			return Path{}, fmt.Errorf("%s is given twice", key)
		}
		r.seen[key] = true
		if err := r.set(key, value); err != nil {
			return Path{}, fmt.Errorf("%s=%s: %w", key, value, err)
		}
	}
	return r.finish()
}

// pathReader gathers what both directions have in common.
type pathReader struct {
	path    Path
	both    Params
	rtt     time.Duration
	queue   string
	ackLoss float64
	seen    map[string]bool
}

func (r *pathReader) set(key, value string) (err error) {
	p := &r.both
	switch key {
	case "rate":
		p.Rate, err = parseRate(value)
	case "rtt":
		r.rtt, err = parseDelay(value)
	case "queue":
		r.queue = value
	case "loss":
		p.Loss, err = parseShare(value)
	case "ack-loss":
		r.ackLoss, err = parseShare(value)
	case "burst":
		p.BurstStart, p.BurstMean, err = parsePair(value, parseShare, parseLength)
	case "reorder":
		p.Reorder, p.ReorderBy, err = parsePair(value, parseShare, parseDelay)
	case "jitter":
		p.Jitter, err = parseDelay(value)
	case "duplicate":
		p.Duplicate, err = parseShare(value)
	case "outage":
		var o Outage
		o.At, o.For, err = parsePair(value, parseDelay, parseDelay)
		p.Outages = append(p.Outages, o)
	case "step":
		var s Step
		s.At, s.Rate, err = parsePair(value, parseDelay, parseRate)
		p.Steps = append(p.Steps, s)
	case "seed":
		if r.path.Seed, err = strconv.ParseUint(value, 10, 64); err != nil {
			err = errors.New("want a number")
		}
	default:
		err = errors.New("there is no such setting; there are rate, rtt, queue, loss, ack-loss, burst, reorder, " +
			"jitter, duplicate, outage, step and seed")
	}
	return err
}

// finish works out what follows from several settings.
func (r *pathReader) finish() (Path, error) {
	p := &r.both
	p.Delay = r.rtt / 2
	p.MTU = pathMTU
	if len(p.Steps) > 0 && p.Rate == 0 {
		return Path{}, errors.New("step: needs a rate to begin with")
	}
	var err error
	if p.Queue, err = r.queueBytes(); err != nil {
		return Path{}, fmt.Errorf("queue=%s: %w", r.queue, err)
	}
	r.path.There, r.path.Back = *p, *p
	if r.seen["ack-loss"] {
		r.path.Back.Loss = r.ackLoss
	}
	return r.path, nil
}

// leastQueue is what waits at the least where the queue is told in multiples of rate × rtt, in bytes.
const leastQueue = 16 * pathMTU

func (r *pathReader) queueBytes() (int, error) {
	times, ok := strings.CutSuffix(r.queue, "bdp")
	if !ok {
		n, err := parseBytes(r.queue)
		if err == nil && n < pathMTU {
			err = fmt.Errorf("must hold a packet of %d bytes", pathMTU)
		}
		return int(n), err
	}
	k, err := strconv.ParseFloat(times, 64)
	switch {
	case err != nil || !(k > 0 && k <= 1000):
		return 0, errors.New("want a size such as 250K, or 0.25bdp")
	case r.both.Rate == 0 && r.seen["queue"]:
		return 0, errors.New("needs a rate")
	case r.both.Rate == 0:
		return 0, nil // nothing ever waits
	}
	return max(leastQueue, int(min(k*r.both.Rate/8*r.rtt.Seconds(), mostBytes))), nil
}

func parsePair[A, B any](s string, first func(string) (A, error), second func(string) (B, error)) (a A, b B, err error) {
	left, right, ok := strings.Cut(s, ":")
	if !ok {
		return a, b, errors.New("want two values with a colon between them")
	}
	if a, err = first(left); err == nil {
		b, err = second(right)
	}
	return a, b, err
}

// parseShare reads a percentage.
func parseShare(s string) (float64, error) {
	number, ok := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(v >= 0 && v <= 100) {
		return 0, fmt.Errorf("%s: want a percentage such as 0.1%%", s)
	}
	return v / 100, nil
}

// longestDelay bounds all times, so that sums of them cannot overflow.
const longestDelay = time.Hour

func parseDelay(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > longestDelay {
		return 0, fmt.Errorf("%s: want a time such as 100ms or 2s, an hour at most", s)
	}
	return d, nil
}

func parseLength(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v >= 1 && v <= 1e6) {
		return 0, fmt.Errorf("%s: want a number of packets", s)
	}
	return v, nil
}

// parseRate reads bits a second (500Mbit) or bytes a second (50M) and gives bits.
func parseRate(s string) (float64, error) {
	number, bits := strings.CutSuffix(s, "bit")
	v, ok := parseScaled(number)
	if !bits {
		v *= 8
	}
	if !ok || v < 1 || v > 1e12 {
		return 0, fmt.Errorf("%s: want a rate such as 500Mbit, or 50M for bytes a second", s)
	}
	return v, nil
}

const mostBytes = 1 << 40

func parseBytes(s string) (int64, error) {
	v, ok := parseScaled(s)
	if !ok || v > mostBytes {
		return 0, fmt.Errorf("%s: want a size such as 250K or 1Mi", s)
	}
	return int64(v), nil
}

// parseScaled reads a number with a prefix: 250K or 250k (10³), 1Mi (2²⁰), 1.5G, 2Gi.
func parseScaled(s string) (float64, bool) {
	base := 1000.
	if u, ok := strings.CutSuffix(s, "i"); ok {
		s, base = u, 1024
	}
	scale := 1.
	if s != "" {
		if power := strings.IndexByte("KMG", s[len(s)-1]&^0x20); power >= 0 {
			s, scale = s[:len(s)-1], math.Pow(base, float64(power+1))
		} else if base == 1024 {
			return 0, false
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v >= 0) || math.IsInf(v, 0) {
		return 0, false
	}
	return v * scale, true
}
