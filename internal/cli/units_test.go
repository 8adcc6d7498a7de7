package cli

import (
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "1": 1, "4096": 4096, "50M": 50e6, "50MB": 50e6, "50m": 50e6, "1.5Gi": 3 << 29, "1GiB": 1 << 30,
		"256Mi": 256 << 20, "2k": 2000, "2Ki": 2048, "1T": 1e12,
	} {
		if got, err := parseSize(in); err != nil || got != want {
			t.Errorf("parseSize(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", " ", "-1", "+1", "x", "1X", "1,5G", "1 G", "M", "NaN", "Inf", "1e400", "99999999T", "0x10", ".5M"} {
		if got, err := parseSize(in); err == nil {
			t.Errorf("parseSize(%q) = %d, want an error", in, got)
		}
	}
}

func TestParseRate(t *testing.T) {
	for in, want := range map[string]float64{
		"1000": 1000, "50M": 50e6, "50MB": 50e6, "50MB/s": 50e6, "50M/s": 50e6, "1.5Gi": 1.5 * (1 << 30),
		"800Mbit": 100e6, "800mbit": 100e6, "800Mbits": 100e6, "800Mbit/s": 100e6, "800Mbps": 100e6, "1Gibit": 1 << 27,
		"8bit": 1, "1bit": 0.125, "1MiB/s": 1 << 20,
	} {
		if got, err := parseRate(in); err != nil || got != want {
			t.Errorf("parseRate(%q) = %g, %v; want %g", in, got, err, want)
		}
	}
	for _, in := range []string{"", "0", "0Mbit", "-5M", "50Mb", "50b", "bit", "Mbit", "fast", "5Mbbit", "5MBbit", "1,5M", "5M/m"} {
		if got, err := parseRate(in); err == nil {
			t.Errorf("parseRate(%q) = %g, want an error", in, got)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"10s": 10 * time.Second, "1m30s": 90 * time.Second, "500ms": 500 * time.Millisecond,
		"10": 10 * time.Second, "0.5": 500 * time.Millisecond, "0": 0,
	} {
		if got, err := parseDuration(in); err != nil || got != want {
			t.Errorf("parseDuration(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "-1s", "-1", "soon", "NaN", "1e300"} {
		if got, err := parseDuration(in); err == nil {
			t.Errorf("parseDuration(%q) = %v, want an error", in, got)
		}
	}
}

func TestFormat(t *testing.T) {
	for bps, want := range map[float64]string{
		0: "0 bit/s", -1: "0 bit/s", 0.5: "0.50 bit/s", 999: "999 bit/s", 1e6: "1.00 Mbit/s", 12.34e9: "12.3 Gbit/s", 800e6: "800 Mbit/s",
	} {
		if got := formatRate(bps); got != want {
			t.Errorf("formatRate(%g) = %q, want %q", bps, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0.00 ms", 350 * time.Microsecond: "0.35 ms", 12400 * time.Microsecond: "12.4 ms", 3210 * time.Millisecond: "3.21 s",
		125 * time.Second: "2m5s",
	} {
		if got := formatSeconds(d); got != want {
			t.Errorf("formatSeconds(%v) = %q, want %q", d, got, want)
		}
	}
	if got := rate(1000, time.Second); got != 8000 {
		t.Errorf("rate = %g", got)
	}
	if got := rate(1000, 0); got != 0 {
		t.Errorf("rate in no time = %g", got)
	}
}
