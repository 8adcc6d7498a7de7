// Command tool calls the library, and digs below it.
package main

import (
	"os"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/proto" // want depguard
)

func main() { os.Exit(len(udt.Bad()) + len(proto.ErrGood.Error())) }
