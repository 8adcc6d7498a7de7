package proto

import (
	"bytes"
	"testing"
)

func TestParseACK(t *testing.T) {
	body := unhex(t, "7fffffec 000186a0 0000c350 00001ffe 00000001 000003e8")
	full := ACK{
		Next: 0x7fffffec, RTT: 100_000, RTTVar: 50_000, Window: 8190, HasRates: true, ArrivalRate: 1, Capacity: 1000,
	}
	short := full
	short.HasRates, short.ArrivalRate, short.Capacity = false, 0, 0
	for n := 0; n <= len(body)+8; n++ {
		b := append(bytes.Clone(body), 1, 2, 3, 4, 5, 6, 7, 8)[:n]
		a, light, ok := ParseACK(b)
		want, wantLight, wantOK := ACK{}, false, true
		switch {
		case n == 4: // the length alone makes it a light one
			want, wantLight = ACK{Next: full.Next}, true
		case n >= 28: // from an end of ours
			want = full
			want.HasSettled, want.Settled = true, 0x01020304
		case n >= 24:
			want = full
		case n >= 16:
			want = short
		default: // libudt would read past its end
			wantOK = false
		}
		if a != want || light != wantLight || ok != wantOK {
			t.Errorf("%d bytes: %+v, light %v, ok %v", n, a, light, ok)
		}
	}
}

func TestParseACKSignedRates(t *testing.T) {
	a, _, ok := ParseACK(unhex(t, "00000000 00000001 00000001 00000002 ffffffff 80000000"))
	if !ok || a.ArrivalRate != -1 || a.Capacity != -1<<31 {
		t.Errorf("%+v, ok %v", a, ok)
	}
	a, _, ok = ParseACK(unhex(t, "00000000 00000001 00000001 00000002 00000003 00000004 80000005"))
	if !ok || a.HasSettled {
		t.Errorf("a seventh word with the top bit set: %+v, ok %v", a, ok)
	}
}

// A sequence number has 31 bits; an ACK of more is garbage.
func TestParseACKTopBit(t *testing.T) {
	for _, body := range []string{"80000000", "80000000 00000001 00000001 00000002"} {
		if a, _, ok := ParseACK(unhex(t, body)); ok {
			t.Errorf("%s: parsed as %+v", body, a)
		}
	}
}

func TestACKNumbersWrap(t *testing.T) {
	for n, want := range map[uint32]uint32{0: 1, 1: 2, 0x7FFFFFFE: 0x7FFFFFFF, 0x7FFFFFFF: 0} {
		if got := nextACKNumber(n); got != want {
			t.Errorf("%#x is followed by %#x, want %#x", n, got, want)
		}
	}
}
