// Package simnet reaches across.
package simnet

import (
	"time"

	"github.com/udtcp/udtcp/internal/udt/drivers" // want depguard
)

// Name is a name.
var Name = drivers.Name + time.Now().String()
