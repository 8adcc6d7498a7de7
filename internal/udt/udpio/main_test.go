package udpio

import (
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Run(m, "internal/udt/udpio.", 10*time.Second) }
