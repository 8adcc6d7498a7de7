// Command udtcp knows too much.
package main

import (
	"os"

	"github.com/udtcp/udtcp/internal/cli"
	"github.com/udtcp/udtcp/internal/transfer" // want depguard
)

func main() { os.Exit(cli.Main(nil) + transfer.N) }
