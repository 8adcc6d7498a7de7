package bench

import (
	"os/exec"
	"strings"
	"testing"
)

// report gives the lines that report.awk makes of figures, their white space as single blanks.
func report(t *testing.T, window, pairs, figures string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "awk", "-v", "window="+window, "-v", "pairs="+pairs, "-f", "report.awk")
	cmd.Stdin = strings.NewReader(figures)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(string(out), "\n")
	for i, l := range lines {
		lines[i] = strings.Join(strings.Fields(l), " ")
	}
	return lines
}

func TestReport(t *testing.T) {
	// The median of the ratios 4, 2 and 9 is 4; the ratio of the medians would be 3.
	lines := report(t, "256", "3", `1 perf rate 8
1 perf cpu_send 1
1 libudt rate 2
1 libudt cpu_send 3
2 perf rate 6
2 perf cpu_send 1
2 libudt rate 3
2 libudt cpu_send 4
3 perf rate 9
3 perf cpu_send 1
3 libudt rate 1
3 libudt cpu_send 2
1 secure rate 3.8
2 secure rate 5.8
3 secure rate 20
1 paced rate 1.2
1 pacedplain rate 1.5
1 file rate 3
1 work rate 4
1 many rate 1
1 many files 9999
2 many files 10001
1 file rss_send 100
2 file rss_send 321
1 stream rss_recv 150
1 short rss_recv 100
`)
	for _, want := range []string{
		"udtcp perf, packets of 1500 bytes 8.00 6.00 to 9.00 1.000 0.000 0 0",
		"perf / libudt 4.00 2.00 to 9.00 >= 4 ok",
		"perf --secure / libudt, which is plain 1.93 1.90 to 20.00 >= 2 MISS",
		"the same at 1.5 Gbit/s, a core an end 0.80 0.80 to 0.80 >= 0.85 MISS",
		"file / perf 0.38 0.38 to 0.38 >= 0.6 MISS",
		"file / its work without a network 0.75 0.75 to 0.75",
		"its work without a network / perf 0.50 0.50 to 0.50",
		"small files a second 10000 9999 to 10001 >= 10000 ok",
		"CPU s/GB of the sender / libudt's 0.33 0.25 to 0.50 < 0.33 MISS",
		"peak MiB, file, send 321 100 to 321 < 64 + 256 MISS",
		"peak MiB, stream, recv 150 150 to 150 < 64 + 256 ok",
		"peak of the stream / of its tenth, recv 1.50 1.50 to 1.50",
		"Fewer than five rounds: these show that it runs, not how fast.",
	} {
		found := false
		for _, l := range lines {
			found = found || l == want
		}
		if !found {
			t.Errorf("no line %q", want)
		}
	}
	for _, l := range lines {
		for _, absent := range []string{"kernel TCP", "cat", "file / file", "peak MiB, file, recv"} {
			if strings.HasPrefix(l, absent) {
				t.Errorf("a line about what was not measured: %q", l)
			}
		}
	}
	if t.Failed() {
		t.Log(strings.Join(lines, "\n"))
	}
}

func TestReportOfFiveRounds(t *testing.T) {
	if lines := report(t, "64", "5", "1 perf rate 1\n1 file rss_recv 127\n"); strings.Contains(strings.Join(lines, "\n"), "Fewer") ||
		!strings.Contains(strings.Join(lines, "\n"), "peak MiB, file, recv 127 127 to 127 < 64 + 64 ok") {
		t.Error(strings.Join(lines, "\n"))
	}
}
