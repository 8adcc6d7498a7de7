package proto

import (
	"os"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
	"github.com/udtcp/udtcp/internal/udt/udpio" // want depguard
)

func TestClock(t *testing.T) {
	start := time.Now()
	time.Sleep(1) // want forbidigo
	_ = udpio.Socket{}
	t.Log(simnet.Name, os.Getpid(), time.Since(start))
}
