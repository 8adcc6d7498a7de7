// Package secure reaches across.
package secure

import (
	"crypto/tls"

	"github.com/fxamacker/cbor/v2" // want depguard

	"github.com/udtcp/udtcp/internal/udt/drivers" // want depguard
)

// Tag is a kind of content.
type Tag = cbor.Tag

// Now is a version.
func Now() string { return drivers.Name + tls.VersionName(tls.VersionTLS13) }
