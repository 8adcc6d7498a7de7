// Command udtcp copies files and streams over UDT. See package cli.
package main

import (
	"os"

	"github.com/udtcp/udtcp/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], cli.OSEnv()))
}
