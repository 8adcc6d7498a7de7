// Command tool measures, and needs no more than the model of a link for it.
package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/udtcp/udtcp/internal/udt" // want depguard
	"github.com/udtcp/udtcp/internal/udt/simnet"
)

func main() {
	fmt.Println(udt.Bad(), simnet.Name, unix.Getpid())
	os.Exit(1)
}
