package simnet

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	m.Run()
	if left := leaked(10 * time.Second); left != "" {
		panic("goroutines left behind:\n" + left)
	}
}

// leaked waits for the goroutines of this package to end and returns the stacks of those that do not.
func leaked(patience time.Duration) string {
	buf := make([]byte, 1<<20)
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		stacks := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")[1:] // the first is ours
		var left []string
		for _, s := range stacks {
			if strings.Contains(s, "internal/udt/simnet.") {
				left = append(left, s)
			}
		}
		if len(left) == 0 || time.Now().After(end) {
			return strings.Join(left, "\n\n")
		}
	}
}
