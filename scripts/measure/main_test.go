//go:build linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestMeasure(t *testing.T) {
	for _, c := range []struct {
		name, script string
		limit        time.Duration
		status       int
		figures      bool
	}{
		{"done", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done", time.Minute, 0, true},
		{"failed", "exit 7", time.Minute, 7, true},
		{"killed", "kill -9 $$", time.Minute, 137, true},
		{"limit", "exec sleep 60", 50 * time.Millisecond, exitLimit, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			status, err := measure(out, c.limit, []string{"sh", "-c", c.script})
			if status != c.status || (err != nil) != (c.status == exitLimit) {
				t.Fatalf("status %d, %v, want %d", status, err, c.status)
			}
			b, err := os.ReadFile(out)
			if !c.figures {
				if err == nil {
					t.Errorf("figures of a run that was cut short: %s", b)
				}
				return
			}
			var got cost
			if err := json.Unmarshal(b, &got); err != nil {
				t.Fatal(err)
			}
			if got.Seconds <= 0 || got.MaxRSS < 1<<18 || c.name == "done" && (got.CPU < 0.01 || got.CPU > 60) {
				t.Errorf("measured %+v", got)
			}
		})
	}
	if status, err := measure(filepath.Join(t.TempDir(), "out"), time.Minute, []string{"/nonexistent"}); status != exitFailed || err == nil {
		t.Errorf("a command that is not there: status %d, %v", status, err)
	}
}

// The peak is the command's own.
func TestPeakMemory(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	// head keeps the last 64 MiB in a line that does not end.
	if status, err := measure(out, time.Minute, []string{"sh", "-c", "head -c 67108864 /dev/zero | sort -S 200M >/dev/null"}); status != 0 || err != nil {
		t.Fatal(status, err)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var got cost
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.MaxRSS < 60<<20 || got.MaxRSS > 512<<20 {
		t.Errorf("peak of %d MiB", got.MaxRSS>>20)
	}
}
