package proto

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"testing"
	"time"
)

// Packets too small to be of use are refused, whatever window comes with them, and a window of any size makes nothing
// larger here.
func TestAnnouncedSizes(t *testing.T) {
	jar := testJar(3)
	a := NewAcceptor(jar, Stream)
	from := netip.MustParseAddrPort("192.0.2.1:1111")
	allocated := func(f func()) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	requests, began := 0, time.Now()
	grown := allocated(func() {
		for mss := range uint32(MinMSS) {
			for _, window := range []uint32{0, 1, 25_600, 1<<31 - 1, 1<<32 - 1} {
				h := testRequest(1000)
				h.MSS, h.FlightFlag, h.Cookie = mss, window, jar.Cookie(0, from)
				requests++
				verdict, _, reply := a.Handle(0, from, testTerms, h.Append(Control{Type: TypeHandshake}.Append(nil)), nil)
				if verdict != VerdictReply || !RequestType(int32(binary.BigEndian.Uint32(reply[HeaderSize+20:]))).Rejected() {
					t.Errorf("packets of %d bytes, window %d: verdict %d, %x", mss, window, verdict, reply)
				}
			}
		}
	})
	t.Logf("%d requests refused in %v, %d KiB allocated", requests, time.Since(began), grown>>10)
	if grown > 1<<20 {
		t.Errorf("%d bytes allocated", grown)
	}
	usual := testRequest(1000)
	least := allocated(func() { NewServer(0, testConfig(1), usual) })
	for _, window := range []uint32{1<<31 - 1, 1<<32 - 1} {
		h := usual
		h.FlightFlag = window
		if got := allocated(func() { NewServer(0, testConfig(1), h) }); got > least+64<<10 {
			t.Errorf("window %d: %d bytes allocated, %d for the usual one", window, got, least)
		}
	}
}
