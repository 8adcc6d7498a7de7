package proto

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Packets in any order, with duplicates, are read as the bytes of the packets
// in order, whatever the sizes of the reads.
func TestRecvBufferModel(t *testing.T) {
	scratch := make([]byte, 1<<17)
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		mss := []int{MinMSS, 300, 1500}[r.IntN(3)]
		if seed == 0 {
			mss = MaxMSS
		}
		flight := 1 + r.IntN(300)
		var b recvBuffer
		b.init(0, mss, flight)
		packets := map[packetIndex][]byte{} // all ever made
		stored := map[packetIndex]bool{}
		var next, high packetIndex
		var want, got []byte
		made := packetIndex(0)
		for range 1000 {
			switch r.IntN(12) {
			default:
				i := b.read + packetIndex(r.IntN(min(flight+3, 1<<r.IntN(9)))) - 2
				if i < 0 {
					continue
				}
				p, ok := packets[i]
				if !ok {
					p = make([]byte, b.stride) // most packets are full
					if r.IntN(3) == 0 {
						p = p[:r.IntN(b.stride+1)]
					}
					for k, x := 0, byte(r.Uint32()); k < len(p); k, x = k+1, x*5+1 {
						p[k] = x
					}
					packets[i] = p
				}
				outcome := recvStored
				switch {
				case i < next-2*packetIndex(flight):
					outcome = recvOutside
				case i < b.read || stored[i]:
					outcome = recvDuplicate
				case i >= b.read+packetIndex(flight):
					outcome = recvOutside
				}
				mine := bytes.Clone(p)
				if got := b.store(i, mine); got != outcome {
					t.Fatalf("seed %d: packet %d is %d, want %d", seed, i, got, outcome)
				}
				clear(mine)
				if outcome == recvStored {
					stored[i] = true
					high = max(high, i+1)
				}
				for stored[next] {
					next++
				}
			case 0, 1:
				if vs := b.peek(nil, 1+r.IntN(4)); len(vs) > 0 {
					for i := 0; i < len(vs) && r.IntN(10) > 0; {
						p := scratch[:r.IntN(2*b.stride)]
						n := vs[i].Copy(p)
						got = append(got, p[:n]...)
						if n < len(p) { // all of it is taken
							i++
						}
					}
					b.consume(vs)
					if n := len(packets[b.read]); b.offset > 0 && b.offset >= n {
						t.Fatalf("seed %d: at byte %d of packet %d, which has %d", seed, b.offset, b.read, n)
					}
				} else if b.read != next {
					t.Fatalf("seed %d: nothing to read, but %d to %d are there", seed, b.read, next)
				}
			case 2:
				if r.IntN(10) == 0 {
					b.trim()
				}
			}
			for ; made < next; made++ {
				want = append(want, packets[made]...)
			}
			if b.next != next || b.high != high {
				t.Fatalf("seed %d: next %d, high %d; want %d, %d", seed, b.next, b.high, next, high)
			}
			if tail := max(0, len(got)-1000); len(got) > len(want) || !bytes.Equal(got[tail:], want[tail:len(got)]) {
				t.Fatalf("seed %d: read %d bytes, not the first written", seed, len(got))
			}
			if b.free() != flight-int(next-b.read) {
				t.Fatalf("seed %d: free %d", seed, b.free())
			}
			from := b.read + packetIndex(r.IntN(40))
			to := from + packetIndex(r.IntN(100))
			first, end, ok := b.nextGap(from, to)
			if wantFirst, wantEnd, wantOK := gapOf(&b, from, to, stored); first != wantFirst || end != wantEnd || ok != wantOK {
				t.Fatalf("seed %d: gap in %d to %d: %d to %d (%v), want %d to %d (%v)",
					seed, from, to, first, end, ok, wantFirst, wantEnd, wantOK)
			}
		}
	}
}

// gapOf is nextGap, packet by packet.
func gapOf(b *recvBuffer, from, to packetIndex, stored map[packetIndex]bool) (first, end packetIndex, ok bool) {
	to = min(to, b.high)
	for first = max(from, b.next); first < to && stored[first]; first++ {
	}
	for end = first; end < to && !stored[end]; end++ {
	}
	if end <= first {
		return 0, 0, false
	}
	return first, end, true
}

func TestRecvBufferRefusesTooLong(t *testing.T) {
	var b recvBuffer
	b.init(0, 1500, 100)
	if got := b.store(0, make([]byte, 1457)); got != recvOutside || b.high != 0 {
		t.Errorf("1457 bytes: outcome %d", got)
	}
	if got := b.store(0, make([]byte, 1456)); got != recvStored {
		t.Errorf("1456 bytes: outcome %d", got)
	}
}

// An empty packet has a number but no bytes; libudt delivers nothing for it.
func TestRecvBufferEmptyPacket(t *testing.T) {
	var b recvBuffer
	b.init(0, 1500, 100)
	for i := range packetIndex(64) {
		b.store(i, nil)
	}
	b.store(64, []byte("x"))
	var p [8]byte
	total := 0
	for range 3 {
		vs := b.peek(nil, 2)
		for i := range vs {
			total += vs[i].Copy(p[total:])
		}
		b.consume(vs)
	}
	if total != 1 || b.read != b.next {
		t.Errorf("read %d bytes, %d packets of %d", total, b.read, b.next)
	}
}

// The window starts at 8192 packets however much was announced, and grows with
// what really arrives: one packet far ahead must not cost memory.
func TestRecvBufferWindowGrows(t *testing.T) {
	var b recvBuffer
	b.init(0, 1500, 1<<20)
	if b.window() != 8192 || b.free() != 8192 {
		t.Fatalf("window %d, free %d", b.window(), b.free())
	}
	if got := b.store(8192, nil); got != recvOutside {
		t.Fatalf("packet 8192: outcome %d", got)
	}
	if b.store(1<<20-1, nil) != recvOutside || b.store(1<<29, nil) != recvOutside {
		t.Fatal("a packet far ahead was stored")
	}
	if b.store(8191, nil) != recvStored {
		t.Fatal("the last packet of the window was refused")
	}
	if n := len(b.ring.table); n > 256 {
		t.Errorf("a table of %d chunks for one packet", n)
	}
	chunks := 0
	for _, c := range b.ring.table {
		if c != nil {
			chunks++
		}
	}
	if chunks != 1 {
		t.Errorf("%d chunks for one packet", chunks)
	}
	for i := range packetIndex(8191) {
		b.store(i, nil)
	}
	if want := 8192 + 2*8192; b.window() != want {
		t.Errorf("window after 8192 packets: %d, want %d", b.window(), want)
	}
	if b.free() != b.window()-8192 {
		t.Errorf("free %d with 8192 unread", b.free())
	}
}

// The window never exceeds what the handshake announced (trap D2).
func TestRecvBufferWindowBound(t *testing.T) {
	var b recvBuffer
	b.init(0, 1500, 100)
	for i := range packetIndex(100) {
		if got := b.store(i, nil); got != recvStored {
			t.Fatalf("packet %d: outcome %d", i, got)
		}
	}
	if b.window() != 100 || b.free() != 0 || b.store(100, nil) != recvOutside {
		t.Errorf("window %d, free %d", b.window(), b.free())
	}
}

// Chunks read empty are reused; an idle, empty buffer keeps nothing.
func TestRecvBufferMemory(t *testing.T) {
	var b recvBuffer
	b.init(0, 1500, 1<<20)
	payload := make([]byte, b.stride)
	for i := range packetIndex(8000) {
		b.store(i, payload)
	}
	var p [100_000]byte
	for {
		vs := b.peek(nil, 1)
		if len(vs) == 0 {
			break
		}
		vs[0].Copy(p[:])
		b.consume(vs)
	}
	if n := 8000 / b.slots; len(b.spare.free) != n {
		t.Errorf("%d chunks spare, want %d", len(b.spare.free), n)
	}
	b.trim()
	if b.spare.free != nil || b.ring.table != nil {
		t.Error("an empty buffer keeps memory")
	}
	b.store(8001, payload)
	b.trim()
	if b.ring.table == nil {
		t.Error("trim took a packet that waits for the one before")
	}
	b.store(8000, payload)
	if vs := b.peek(nil, 1); vs[0].Copy(p[:]) != 2*b.stride {
		t.Error("packets stored after trim can't be read")
	}
}
