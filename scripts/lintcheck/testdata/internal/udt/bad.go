// Package udt reaches up.
package udt

import (
	"sync"
	"time"

	"golang.org/x/term" // want depguard

	"github.com/udtcp/udtcp/internal/transfer" // want depguard
	"github.com/udtcp/udtcp/internal/udt/proto"
	"github.com/udtcp/udtcp/internal/udt/simnet" // want depguard
	"github.com/udtcp/udtcp/internal/udt/udpio"
)

// Bad reaches up.
func Bad() string {
	var mu sync.Mutex
	mu.Lock()
	defer mu.Unlock()
	_, _, _ = udpio.Socket{}, transfer.N, term.State{}
	return simnet.Name + proto.ErrGood.Error() + time.Now().String()
}
