// Command tool measures: with the library as its callers use it, or with the
// model of a link, but not with what is below.
package main

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/proto" // want depguard
	"github.com/udtcp/udtcp/internal/udt/simnet"
)

func main() { os.Exit(len(udt.Bad()) + len(simnet.Name) + len(proto.ErrGood.Error()) + unix.Getpid()) }
