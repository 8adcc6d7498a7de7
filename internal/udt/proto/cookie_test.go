package proto

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
)

func testJar(seed byte) *CookieJar { return NewCookieJar([32]byte{seed}) }

// Another address, port, epoch or secret makes another cookie. Among the
// 32-bit cookies of 60,000 addresses, an equal pair may be chance.
func TestCookiesDiffer(t *testing.T) {
	jar := testJar(1)
	seen := map[uint32]int{}
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 20_000 {
		var ip4 [4]byte
		binary.BigEndian.PutUint32(ip4[:], r.Uint32())
		var ip6 [16]byte
		binary.BigEndian.PutUint64(ip6[:], r.Uint64())
		binary.BigEndian.PutUint64(ip6[8:], r.Uint64())
		for _, addr := range []netip.AddrPort{
			netip.AddrPortFrom(netip.AddrFrom4(ip4), uint16(r.Uint32())),
			netip.AddrPortFrom(netip.AddrFrom16(ip6), uint16(r.Uint32())),
			netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), uint16(i)),
		} {
			seen[jar.Cookie(0, addr)]++
		}
	}
	if len(seen) < 59_990 {
		t.Errorf("only %d different cookies", len(seen))
	}

	at := Instant(5 * CookieEpoch)
	base := netip.MustParseAddrPort("192.0.2.1:1000")
	cookie := jar.Cookie(at, base)
	for name, other := range map[string]uint32{
		"last bit of the address":  jar.Cookie(at, netip.MustParseAddrPort("192.0.2.0:1000")),
		"first bit of the address": jar.Cookie(at, netip.MustParseAddrPort("64.0.2.1:1000")),
		"low byte of the port":     jar.Cookie(at, netip.MustParseAddrPort("192.0.2.1:1001")),
		"high byte of the port":    jar.Cookie(at, netip.MustParseAddrPort("192.0.2.1:1256")),
		"next epoch":               jar.Cookie(at.Add(CookieEpoch), base),
		"epoch 256 later":          jar.Cookie(at.Add(256*CookieEpoch), base),
		"secret":                   testJar(2).Cookie(at, base),
		"last byte of the secret":  NewCookieJar([32]byte{0: 1, 31: 1}).Cookie(at, base),
		"family":                   jar.Cookie(at, netip.MustParseAddrPort("[2001:db8::c000:201]:1000")),
	} {
		if other == cookie {
			t.Errorf("the %s makes no difference", name)
		}
	}
}

// An IPv4 client may be seen in either form of its address.
func TestCookieOfMappedAddress(t *testing.T) {
	jar := testJar(1)
	if jar.Cookie(0, netip.MustParseAddrPort("192.0.2.1:1000")) != jar.Cookie(0, netip.MustParseAddrPort("[::ffff:192.0.2.1]:1000")) {
		t.Error("the cookies of 192.0.2.1 and ::ffff:192.0.2.1 differ")
	}
}

func TestCookieLastsTwoEpochs(t *testing.T) {
	jar := testJar(1)
	r := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(r.Uint32())}), uint16(r.Uint32()))
		epoch := r.Int64N(1 << 20)
		made := Instant(epoch*int64(CookieEpoch) + r.Int64N(int64(CookieEpoch)))
		cookie := jar.Cookie(made, addr)
		end := Instant(epoch+2) * Instant(CookieEpoch)
		for _, c := range []struct {
			at   Instant
			want bool
		}{
			{made, true},
			{made.Add(CookieEpoch), true},
			{end - 1, true},
			{end, false},
			{made.Add(2 * CookieEpoch), false},
			{made.Add(1000 * CookieEpoch), false},
		} {
			if got := jar.Valid(c.at, addr, cookie); got != c.want {
				t.Fatalf("made at %d, at %d: valid %v", made, c.at, got)
			}
		}
		if jar.Valid(made, addr, cookie^1<<r.IntN(32)) {
			t.Fatal("another cookie is valid")
		}
	}
}

// Cookies of a time to come are not valid, and in epoch 0 there was none before.
func TestCookieOfLaterEpoch(t *testing.T) {
	jar := testJar(1)
	if jar.Valid(0, clientAddr, jar.Cookie(Instant(CookieEpoch), clientAddr)) {
		t.Error("a cookie of the next epoch is valid")
	}
	if jar.Valid(0, clientAddr, jar.at(1<<64-1, clientAddr)) {
		t.Error("a cookie of the epoch before the first is valid")
	}
}

// Zero is how a client says that it has no cookie.
func TestCookieIsNeverZero(t *testing.T) {
	jar := testJar(1)
	for epoch := range Instant(1000) {
		if jar.Valid(epoch*Instant(CookieEpoch), clientAddr, 0) {
			t.Fatal("cookie 0 is valid")
		}
		if jar.Cookie(epoch*Instant(CookieEpoch), clientAddr) == 0 {
			t.Fatal("cookie 0 is made")
		}
	}
	if got := cookieWord([]byte{0, 0, 0, 0, 9}); got != 1 {
		t.Errorf("a sum that begins with zeros makes cookie %d", got)
	}
	if got := cookieWord([]byte{0, 0, 1, 2, 9}); got != 0x102 {
		t.Errorf("a sum that begins with 00000102 makes cookie %#x", got)
	}
}
