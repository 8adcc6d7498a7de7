// Command testtally reads the output of `go test -json` on standard input and
// prints what plain `go test` would: a line for each package and the output of
// the tests that failed. At its end come the tests that were skipped, with
// their reasons, and a line of counts. Its status is 1 when a test failed or
// none ran.
package main

import (
	"fmt"
	"os"
)

func main() {
	t := newTally(os.Stdout)
	if err := t.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testtally:", err)
		os.Exit(1)
	}
	t.summary()
	if !t.good() {
		os.Exit(1)
	}
}
