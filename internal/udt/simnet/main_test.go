package simnet

import (
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Run(m, "internal/udt/simnet.", 10*time.Second) }
