package proto

import (
	"os"
	"strconv"
	"testing"
)

// seeds returns how many of normally n seeds to try: a tenth with -short, and
// UDTCP_SEEDS times n/1000 where that is set. The race detector gets
// a tenth, too: the pass without it has them all.
func seeds(n int) int {
	if s, err := strconv.Atoi(os.Getenv("UDTCP_SEEDS")); err == nil && s > 0 {
		return max(1, n*s/1000)
	}
	if brief() {
		return n / 10
	}
	return n
}

// brief asks for a part of the simulations: they have no concurrency for the
// race detector to look at, and take ten times as long under it.
func brief() bool { return testing.Short() || raceEnabled }

// long marks a simulation of which even a part takes seconds under the race
// detector: it runs in the pass without, beside others.
func long(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("a long simulation")
	}
	t.Parallel()
}
