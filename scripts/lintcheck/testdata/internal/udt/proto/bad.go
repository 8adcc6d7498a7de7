// Package proto breaks every rule of its room.
package proto

import (
	"context"             // want depguard
	"log"                 // want depguard
	"math/rand"           // want depguard
	randv2 "math/rand/v2" // want depguard
	"net"                 // want depguard
	"os"                  // want depguard
	"sync"                // want depguard
	"sync/atomic"         // want depguard
	"time"

	"github.com/udtcp/udtcp/internal/udt/udpio" // want depguard
)

// Bad touches everything proto must not know.
func Bad(ctx context.Context) (time.Duration, error) {
	var mu sync.Mutex
	mu.Lock()
	defer mu.Unlock()
	var n atomic.Int64
	n.Add(int64(rand.Int() + randv2.Int()))
	log.SetFlags(0)
	_ = os.Getpid()
	_ = net.IPv4len
	_ = udpio.Socket{}
	start := time.Now()             // want forbidigo
	_ = time.Until(start)           // want forbidigo
	<-time.After(time.Second)       // want forbidigo
	t := time.NewTimer(time.Second) // want forbidigo
	t.Stop()
	k := time.NewTicker(time.Second) // want forbidigo
	k.Stop()
	a := time.AfterFunc(time.Second, func() {}) // want forbidigo
	a.Stop()
	time.Sleep(time.Second)             // want forbidigo
	return time.Since(start), ctx.Err() // want forbidigo
}
