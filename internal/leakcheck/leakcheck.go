// Package leakcheck fails a package's tests if they leave goroutines behind. It is for TestMain alone.
package leakcheck

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// Run runs the tests and panics with the stacks of goroutines that have code in them and have not ended when patience is
// over. code is a part of qualified names: "internal/udt" is that package and those below it, "internal/udt." it alone.
func Run(m *testing.M, code string, patience time.Duration) {
	m.Run()
	if left := leaked(code, patience); left != "" {
		panic("goroutines left behind:\n" + left)
	}
}

// leaked waits for the goroutines to end and returns the stacks of those that do not.
func leaked(code string, patience time.Duration) string {
	buf := make([]byte, 1<<20)
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		stacks := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")[1:] // the first is ours
		var left []string
		for _, s := range stacks {
			if strings.Contains(s, code) {
				left = append(left, s)
			}
		}
		if len(left) == 0 || time.Now().After(end) {
			return strings.Join(left, "\n\n")
		}
	}
}
