package proto

import (
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"math/bits"
	"net/netip"
	"slices"
	"time"
)

// ErrGood is an error.
var ErrGood = errors.New("proto: good")

// Good uses what proto may.
func Good(b []byte, a netip.Addr, d time.Duration) bool {
	return d > 0 && a.Is4() && bits.Len(uint(binary.BigEndian.Uint16(b))) > 0 && hmac.Equal(b, slices.Clone(b))
}
