package proto

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// unhex reads a vector as protocol descriptions print them.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The packets are as libudt 4.11 puts them on the wire.
func TestControlVectors(t *testing.T) {
	const id = 0x309
	for _, c := range []struct {
		name, wire string
		built      []byte
	}{
		{
			"full ACK 1", "80020000 00000001 00000000 00000309  7fffffec 000186a0 0000c350 00001ffe 00000001 000003e8",
			ACK{
				Next: 0x7fffffec, RTT: 100_000, RTTVar: 50_000, Window: 8190, HasRates: true, ArrivalRate: 1, Capacity: 1000,
			}.AppendFull(Control{Type: TypeACK, Info: 1, Dst: id}.Append(nil)),
		},
		{
			"light ACK", "80020000 00000000 00000000 00000309  0000004b",
			ACK{Next: 75}.AppendLight(Control{Type: TypeACK, Dst: id}.Append(nil)),
		},
		{
			"NAK of one", "80030000 00000000 00000000 00000309  7fffffed",
			AppendLoss(Control{Type: TypeNAK, Dst: id}.Append(nil), SeqRange{0x7fffffed, 0x7fffffed}),
		},
		{
			"NAK of a range", "80030000 00000000 00000000 00000309  ffffffef 7ffffff1",
			AppendLoss(Control{Type: TypeNAK, Dst: id}.Append(nil), SeqRange{0x7fffffef, 0x7ffffff1}),
		},
		{
			"NAK across the wrap", "80030000 00000000 00000000 00000309  fffffff3 00000008",
			AppendLoss(Control{Type: TypeNAK, Dst: id}.Append(nil), SeqRange{0x7ffffff3, 8}),
		},
		{
			"ACK2 1", "80060000 00000001 00000000 00000063  00000000",
			appendEmptyControl(nil, TypeACK2, 1, 99),
		},
		{
			"keep-alive", "80010000 00000000 00000000 00000309  00000000",
			appendEmptyControl(nil, TypeKeepAlive, 0, id),
		},
		{
			"shutdown", "80050000 00000000 00000000 00000309  00000000",
			AppendShutdown(nil, id, false),
		},
		{
			"drop message 3", "80070000 00000003 00000000 00000063  411b3ea7 411b3ea8",
			Control{Type: TypeDropRequest, Info: 3, Dst: 99, Body: unhex(t, "411b3ea7 411b3ea8")}.Append(nil),
		},
		{
			"peer error", "80080000 00000fa0 00000000 00000309  00000000",
			appendEmptyControl(nil, TypePeerError, 4000, id),
		},
		{
			"user packet, all fields set", "ffffabcd 01020304 05060708 090a0b0c  0d",
			Control{Type: TypeUser, Ext: 0xabcd, Info: 0x01020304, Timestamp: 0x05060708, Dst: 0x090a0b0c, Body: []byte{0x0d}}.Append(nil),
		},
	} {
		wire := unhex(t, c.wire)
		if !bytes.Equal(c.built, wire) {
			t.Errorf("%s: built\n%x, on the wire it is\n%x", c.name, c.built, wire)
		}
		ctl, ok := ParseControl(wire)
		if again := ctl.Append(nil); !ok || !bytes.Equal(again, wire) {
			t.Errorf("%s: read and written again\n%x (%v), on the wire it is\n%x", c.name, again, ok, wire)
		}
		if _, ok := ParseData(wire); ok {
			t.Errorf("%s: taken for data", c.name)
		}
	}
}

func TestDataVectors(t *testing.T) {
	for _, c := range []struct {
		wire string
		want Data
	}{
		{
			"27ed0222 80000001 00000443 00000063 68690a",
			Data{Seq: 0x27ed0222, Boundary: BoundaryFirst, Message: 1, Timestamp: 0x443, Dst: 99, Payload: []byte("hi\n")},
		},
		{
			"7fffffff e0000005 ffffffff 7fffffff",
			Data{Seq: SeqMask, Boundary: BoundarySolo, InOrder: true, Message: 5, Timestamp: 1<<32 - 1, Dst: 1<<31 - 1, Payload: []byte{}},
		},
		{
			"00000000 5fffffff 00000000 00000001 00",
			Data{Boundary: BoundaryLast, Message: messageMask, Dst: 1, Payload: []byte{0}},
		},
		{
			"00000000 20000000 00000000 00000001 01",
			Data{Boundary: BoundaryMiddle, InOrder: true, Dst: 1, Payload: []byte{1}},
		},
	} {
		wire := unhex(t, c.wire)
		d, ok := ParseData(wire)
		if !ok {
			t.Errorf("%s: not parsed", c.wire)
			continue
		}
		if !bytes.Equal(d.Payload, c.want.Payload) {
			t.Errorf("%s: payload %x", c.wire, d.Payload)
		}
		if again := d.Append(nil); !bytes.Equal(again, wire) {
			t.Errorf("%s: written as %x", c.wire, again)
		}
		d.Payload, c.want.Payload = nil, nil
		if d.Seq != c.want.Seq || d.messageWord() != c.want.messageWord() || d.Timestamp != c.want.Timestamp || d.Dst != c.want.Dst {
			t.Errorf("%s: read as %+v", c.wire, d)
		}
		if d.Boundary != c.want.Boundary || d.InOrder != c.want.InOrder || d.Message != c.want.Message {
			t.Errorf("%s: read as %+v", c.wire, d)
		}
		if _, ok := ParseControl(wire); ok {
			t.Errorf("%s: taken for a control packet", c.wire)
		}
		if id, ok := Destination(wire); !ok || id != c.want.Dst {
			t.Errorf("%s: destination %d %v", c.wire, id, ok)
		}
	}
}

func TestShortDatagramsAreNoPackets(t *testing.T) {
	for _, first := range []byte{0, 0x80} {
		for n := range HeaderSize {
			b := make([]byte, n)
			if n > 0 {
				b[0] = first
			}
			_, data := ParseData(b)
			_, control := ParseControl(b)
			_, dst := Destination(b)
			if data || control || dst {
				t.Errorf("%d bytes: data %v, control %v, destination %v", n, data, control, dst)
			}
		}
	}
}

// Append must leave what is before it alone.
func TestAppendKeepsPrefix(t *testing.T) {
	prefix := []byte("prefix")
	for name, b := range map[string][]byte{
		"data":      Data{Seq: 1, Payload: []byte{1}}.Append(bytes.Clone(prefix)),
		"control":   Control{Type: TypeNAK}.Append(bytes.Clone(prefix)),
		"handshake": appendHandshake(bytes.Clone(prefix), Handshake{}, 1),
		"empty":     appendEmptyControl(bytes.Clone(prefix), TypeACK2, 1, 2),
	} {
		if !bytes.HasPrefix(b, prefix) || len(b) < len(prefix)+HeaderSize {
			t.Errorf("%s: %x", name, b)
		}
	}
}
