package cli

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// parseSize reads a number of bytes: 4096, 50M (10^6), 1.5Gi (2^30), 1GiB.
func parseSize(s string) (int64, error) {
	t := strings.TrimSpace(s)
	if t == "" || t[0] < '0' || t[0] > '9' || strings.ContainsAny(t, ", ") {
		return 0, errors.New("want a size such as 4096, 50M or 1.5Gi")
	}
	n, err := humanize.ParseBytes(t)
	if err != nil {
		return 0, errors.New("want a size such as 4096, 50M or 1.5Gi")
	}
	if n > math.MaxInt64 {
		return 0, errors.New("the size is too large")
	}
	return int64(n), nil
}

// parseRate reads a rate and gives it in bytes a second. A plain number or a size is bytes a second (50M, 1.5Gi, 50MB/s);
// with "bit" it is bits a second (800Mbit, 1Gibit/s, 800Mbps).
func parseRate(s string) (float64, error) {
	bad := errors.New("want a rate such as 50M (bytes a second), 1.5Gi or 800Mbit (bits a second)")
	t := strings.TrimSpace(s)
	bits := false
	if u, ok := strings.CutSuffix(t, "bps"); ok {
		t, bits = u, true
	} else {
		t = strings.TrimSuffix(t, "/s")
		for _, unit := range []string{"bits", "bit"} {
			if u, ok := strings.CutSuffix(t, unit); ok {
				t, bits = u, true
				break
			}
		}
	}
	if !bits && strings.HasSuffix(t, "b") {
		return 0, errors.New("is that bits or bytes? write 50M or 50MB for bytes a second, 50Mbit for bits")
	}
	if bits && strings.HasSuffix(strings.ToLower(t), "b") {
		return 0, bad
	}
	n, err := parseSize(t)
	if err != nil {
		return 0, bad
	}
	if n == 0 {
		return 0, errors.New("the rate must be more than nothing")
	}
	if bits {
		return float64(n) / 8, nil
	}
	return float64(n), nil
}

// parseDuration reads 90s, 1m30s or a plain number of seconds.
func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		f, ferr := strconv.ParseFloat(s, 64)
		if ferr != nil || math.IsNaN(f) || math.Abs(f) > 1e9 {
			return 0, errors.New("want a duration such as 10s, 1m30s or 500ms")
		}
		d = time.Duration(f * float64(time.Second))
	}
	if d < 0 {
		return 0, errors.New("a duration cannot be negative")
	}
	return d, nil
}

// formatSize writes bytes for people: 1.2 GiB.
func formatSize(n int64) string {
	if n < 0 {
		return "?"
	}
	return humanize.IBytes(uint64(n))
}

// formatRate writes a rate given in bits a second for people: 1.23 Gbit/s.
func formatRate(bps float64) string {
	if bps <= 0 || math.IsNaN(bps) || math.IsInf(bps, 0) {
		return "0 bit/s"
	}
	v, prefix := humanize.ComputeSI(bps)
	if bps < 1 { // no milli-bits
		v, prefix = bps, ""
	}
	return strconv.FormatFloat(v, 'f', significant(v), 64) + " " + prefix + "bit/s"
}

// formatSeconds writes a time span for people: 0.35 ms, 12.4 ms, 3.21 s.
func formatSeconds(d time.Duration) string {
	switch {
	case d < time.Second:
		ms := float64(d) / float64(time.Millisecond)
		return strconv.FormatFloat(ms, 'f', significant(ms), 64) + " ms"
	case d < 2*time.Minute:
		s := d.Seconds()
		return strconv.FormatFloat(s, 'f', significant(s), 64) + " s"
	}
	return d.Round(time.Second).String()
}

// significant is how many decimals show three digits of v.
func significant(v float64) int {
	switch {
	case v >= 100:
		return 0
	case v >= 10:
		return 1
	}
	return 2
}

// formatCount writes a number of things: 1 file, 12,345 files.
func formatCount(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return humanize.Comma(int64(n)) + " " + what + "s"
}

// rate is n bytes in d as bits a second.
func rate(n int64, d time.Duration) float64 {
	if d <= 0 || n <= 0 {
		return 0
	}
	return float64(n) * 8 / d.Seconds()
}

// The flag values for the three kinds of number. They print as they were written.

type sizeValue struct {
	text string
	n    *int64
}

func newSizeValue(p *int64, text string) *sizeValue {
	v := &sizeValue{n: p}
	if text != "" {
		mustSet(v, text)
	}
	return v
}

func (v *sizeValue) String() string { return v.text }
func (v *sizeValue) Type() string   { return "SIZE" }
func (v *sizeValue) Set(s string) error {
	n, err := parseSize(s)
	if err != nil {
		return err
	}
	v.text, *v.n = s, n
	return nil
}

type rateValue struct {
	text string
	n    *float64
}

func (v *rateValue) String() string { return v.text }
func (v *rateValue) Type() string   { return "RATE" }
func (v *rateValue) Set(s string) error {
	n, err := parseRate(s)
	if err != nil {
		return err
	}
	v.text, *v.n = s, n
	return nil
}

type durationValue struct {
	text string
	d    *time.Duration
}

func newDurationValue(p *time.Duration, text string) *durationValue {
	v := &durationValue{d: p}
	if text != "" {
		mustSet(v, text)
	}
	return v
}

func (v *durationValue) String() string { return v.text }
func (v *durationValue) Type() string   { return "D" }
func (v *durationValue) Set(s string) error {
	d, err := parseDuration(s)
	if err != nil {
		return err
	}
	v.text, *v.d = s, d
	return nil
}

// mustSet sets a default, which is ours and therefore valid.
func mustSet(v interface{ Set(string) error }, text string) {
	if err := v.Set(text); err != nil {
		panic("cli: default " + strconv.Quote(text) + ": " + err.Error())
	}
}
