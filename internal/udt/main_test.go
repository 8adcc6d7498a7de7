package udt_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain fails the package if a goroutine of the driver outlives the tests.
func TestMain(m *testing.M) {
	code := m.Run()
	if left := leaked(10 * time.Second); left != "" {
		fmt.Fprintf(os.Stderr, "goroutines left behind:\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

// leaked waits for the goroutines of the driver and its sockets to end and
// returns the stacks of those that don't.
func leaked(patience time.Duration) string {
	buf := make([]byte, 1<<20)
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		stacks := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")[1:] // the first is ours
		var left []string
		for _, s := range stacks {
			if strings.Contains(s, "udtcp/internal/udt") {
				left = append(left, s)
			}
		}
		if len(left) == 0 || time.Now().After(end) {
			return strings.Join(left, "\n\n")
		}
	}
}
