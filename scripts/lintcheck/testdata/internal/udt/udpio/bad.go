// Package udpio reaches up.
package udpio

import (
	"net"
	"os"
	"time"

	"github.com/spf13/pflag" // want depguard
	"golang.org/x/sys/unix"

	"github.com/udtcp/udtcp/internal/transfer" // want depguard
)

// Socket is a socket.
type Socket struct{}

// Bad reaches up, sleeps, prints and exits.
func Bad() int {
	time.Sleep(time.Second)    // want forbidigo
	println(time.Now().Unix()) // want forbidigo
	if unix.Getpid() == 0 {
		os.Exit(1) // want forbidigo
	}
	return transfer.N + net.IPv4len + pflag.NArg()
}
