package proto

import (
	"os"
	"strconv"
	"testing"
)

// seeds returns how many of normally n seeds to try: a tenth with -short, and
// UDTCP_SEEDS times n/1000 where that is set. The race detector gets half.
func seeds(n int) int {
	if s, err := strconv.Atoi(os.Getenv("UDTCP_SEEDS")); err == nil && s > 0 {
		return max(1, n*s/1000)
	}
	switch {
	case testing.Short():
		return n / 10
	case raceEnabled:
		return n / 2
	}
	return n
}
