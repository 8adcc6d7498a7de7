// Package secure reaches across.
package secure

import (
	"crypto/tls"

	"github.com/udtcp/udtcp/internal/udt/drivers" // want depguard
)

// Now is a version.
func Now() string { return drivers.Name + tls.VersionName(tls.VersionTLS13) }
