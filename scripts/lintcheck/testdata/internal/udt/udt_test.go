package udt

import (
	"testing"

	"github.com/udtcp/udtcp/internal/cli" // want depguard
	"github.com/udtcp/udtcp/internal/udt/simnet"
)

func TestRoom(t *testing.T) { t.Log(simnet.Name, cli.N) }
