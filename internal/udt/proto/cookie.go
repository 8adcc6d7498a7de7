package proto

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"
)

// CookieEpoch is how long a cookie secret's epoch lasts. A cookie is good in
// the epoch it was made in and the next, so for one to two minutes.
const CookieEpoch = time.Minute

// CookieJar makes and checks the listener's cookies. libudt's cookie is an MD5
// of address and minute without a secret, refused whenever the minute turns;
// ours is keyed (HMAC-SHA-256 over epoch, address and port) and outlives the
// turn of one epoch.
type CookieJar struct{ secret [32]byte }

// NewCookieJar makes a jar from 32 random bytes.
func NewCookieJar(secret [32]byte) *CookieJar { return &CookieJar{secret: secret} }

// Cookie returns the cookie for addr at now. It is never zero, which clients
// use to say that they have none.
func (j *CookieJar) Cookie(now Instant, addr netip.AddrPort) uint32 {
	return j.at(epochOf(now), addr)
}

// SocketID returns the ID that a connection of the client at addr may have here:
// of its socket ID and initial sequence number, and the same at any time. It is 1
// to 0x7FFFFFFF.
func (j *CookieJar) SocketID(addr netip.AddrPort, id uint32, isn Seq) uint32 {
	return max(1, binary.BigEndian.Uint32(j.sum(addr, socketTag, uint64(id)<<32|uint64(isn)))&SeqMask)
}

// Valid reports whether cookie was made for addr in this epoch or the last.
func (j *CookieJar) Valid(now Instant, addr netip.AddrPort, cookie uint32) bool {
	if cookie == 0 {
		return false
	}
	e := epochOf(now)
	return cookie == j.at(e, addr) || e > 0 && cookie == j.at(e-1, addr)
}

func epochOf(now Instant) uint64 { return uint64(now) / uint64(CookieEpoch) }

// What a sum is for.
const (
	cookieTag = iota
	socketTag
)

func (j *CookieJar) at(epoch uint64, addr netip.AddrPort) uint32 {
	return cookieWord(j.sum(addr, cookieTag, epoch))
}

// cookieWord makes the cookie of an HMAC: its first word, but never zero.
func cookieWord(sum []byte) uint32 {
	return max(1, binary.BigEndian.Uint32(sum))
}

// sum is the HMAC over all it is given.
func (j *CookieJar) sum(addr netip.AddrPort, tag byte, of uint64) []byte {
	var msg [8 + 16 + 2 + 1]byte
	binary.BigEndian.PutUint64(msg[:], of)
	ip := addr.Addr().As16()
	copy(msg[8:], ip[:])
	binary.BigEndian.PutUint16(msg[24:], addr.Port())
	msg[26] = tag
	m := hmac.New(sha256.New, j.secret[:])
	m.Write(msg[:])
	return m.Sum(nil)
}
