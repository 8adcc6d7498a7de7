package transfer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"lukechampine.com/blake3"
)

func randomBytes(seed uint64, n int) []byte {
	b := make([]byte, n)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	r := rand.NewChaCha8(key)
	_, _ = r.Read(b) // never fails
	return b
}

var digestSizes = []int{
	0, 1, 63, 64, 65, 1023, 1024, 1025, 2048, 3000, 16383, 16384, 16385, 20000, 100_000,
	minChunk - 1, minChunk, minChunk + 1, 2 * minChunk, 2*minChunk + 1, 3 * minChunk, 5*minChunk + 12345, 8 * minChunk,
}

func TestSubtreeIsBLAKE3(t *testing.T) {
	b := randomBytes(1, 8*minChunk)
	for _, n := range digestSizes {
		if got, want := blake3Of(b[:n:n]), blake3.Sum256(b[:n]); got != want {
			t.Errorf("%d bytes, exact room: %x, want %x", n, got, want)
		}
		if got, want := blake3Of(b[:n]), blake3.Sum256(b[:n]); got != want {
			t.Errorf("%d bytes: %x, want %x", n, got, want)
		}
	}
}

func TestFileDigestFromChunks(t *testing.T) {
	b := randomBytes(2, 8*minChunk)
	for _, chunk := range []int{minChunk, 2 * minChunk, maxChunk} {
		for _, n := range digestSizes {
			nodes, values := newFileDigest(chunk, ""), newFileDigest(chunk, "")
			for off := 0; off < n; off += chunk {
				p := b[off:min(off+chunk, n)]
				node := subtree(p, uint64(off/leafSize))
				nodes.addNode(node)
				if n > chunk {
					values.addValue(bytesValue(chunkSum(p, int64(off), false)))
				}
			}
			want := blake3.Sum256(b[:n])
			if got := nodes.sum(); got != want {
				t.Errorf("chunk %d, %d bytes from nodes: %x, want %x", chunk, n, got, want)
			}
			if n > chunk {
				if got := values.sum(); got != want {
					t.Errorf("chunk %d, %d bytes from values: %x, want %x", chunk, n, got, want)
				}
			}
		}
	}
}

func TestFileDigestFromPieces(t *testing.T) {
	b := randomBytes(3, 5*minChunk)
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 7))
		n := r.IntN(len(b))
		d := newFileDigest(minChunk, "")
		for off := 0; off < n; {
			if d.aligned() && off+minChunk <= n && r.IntN(2) == 0 {
				d.addNode(subtree(b[off:off+minChunk], d.leaves()))
				off += minChunk
				continue
			}
			m := min(1+r.IntN(minChunk/2), n-off)
			d.addBytes(b[off : off+m])
			off += m
		}
		if got, want := d.sum(), blake3.Sum256(b[:n]); got != want {
			t.Errorf("seed %d, %d bytes: %x, want %x", seed, n, got, want)
		}
	}
}

func TestChunkSumKnowsItsPlace(t *testing.T) {
	b := make([]byte, minChunk)
	if chunkSum(b, 0, false) == chunkSum(b, minChunk, false) {
		t.Error("the same bytes at another offset have the same chunk digest")
	}
	if chunkSum(b, 0, true) != chunkSum(b, 5, true) {
		t.Error("a piece's digest depends on its offset")
	}
}

func TestListDigest(t *testing.T) {
	l := newListDigest(SHA256)
	if l.sum() != "" {
		t.Error("no file has a digest")
	}
	l.add("aa", "x")
	if l.sum() != "aa" {
		t.Error("the digest of one file is its own")
	}
	l.add("bb", "d/y")
	want := sha256.Sum256([]byte("aa  x\nbb  d/y\n"))
	if l.sum() != hex.EncodeToString(want[:]) {
		t.Error("the digest of two files is not that of their list")
	}
}

func TestChunkSumAllocatesNothing(t *testing.T) {
	b := bytes.Repeat([]byte("x"), minChunk)
	if n := testing.AllocsPerRun(20, func() { chunkSum(b, 0, false) }); n != 0 {
		t.Errorf("%v allocations a chunk", n)
	}
}

func BenchmarkChunkSum(b *testing.B) {
	p := randomBytes(4, minChunk)
	b.SetBytes(minChunk)
	b.ReportAllocs()
	for b.Loop() {
		chunkSum(p, 0, false)
	}
}
