// Package cli uses everything below it, but not what that is made of.
package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"lukechampine.com/blake3" // want depguard

	"github.com/udtcp/udtcp/internal/transfer"
	"github.com/udtcp/udtcp/internal/udt/drivers"
	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// N is a number.
var N = 1

// Main is main.
func Main(cmd *cobra.Command) int {
	fmt.Fprintln(os.Stderr, cmd.Name(), drivers.Name, simnet.Name, transfer.N, blake3.New(32, nil))
	fmt.Printf("%d\n", N) // want forbidigo
	os.Exit(N)            // want forbidigo
	return 0
}
