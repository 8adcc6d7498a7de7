package transfer

import (
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Run(m, "internal/transfer.", 3*time.Second) }
