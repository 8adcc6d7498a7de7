// Package cli uses everything below it, but not simnet.
package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/udtcp/udtcp/internal/transfer"
	"github.com/udtcp/udtcp/internal/udt/drivers"
	"github.com/udtcp/udtcp/internal/udt/simnet" // want depguard
)

// N is a number.
var N = 1

// Main is main.
func Main(cmd *cobra.Command) int {
	fmt.Fprintln(os.Stderr, cmd.Name(), drivers.Name, simnet.Name, transfer.N)
	fmt.Printf("%d\n", N) // want forbidigo
	os.Exit(N)            // want forbidigo
	return 0
}
