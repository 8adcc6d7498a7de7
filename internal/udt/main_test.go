package udt_test

import (
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Run(m, "udtcp/internal/udt", 10*time.Second) }
