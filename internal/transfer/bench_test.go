package transfer

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
)

// socketPair is a connection of the system, so that benchmarks do not measure the wire of the tests.
func socketPair(b *testing.B) (x, y net.Conn) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	if x, err = net.Dial("tcp", l.Addr().String()); err != nil {
		b.Fatal(err)
	}
	if y, err = l.Accept(); err != nil {
		b.Fatal(err)
	}
	return x, y
}

func benchMove(b *testing.B, so SendOptions, ro RecvOptions) {
	b.Helper()
	x, y := socketPair(b)
	done := make(chan error, 1)
	go func() {
		_, err := Send(b.Context(), x, so)
		x.Close()
		done <- err
	}()
	if _, err := Recv(b.Context(), y, ro); err != nil {
		b.Fatal(err)
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	y.Close()
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func BenchmarkStream(b *testing.B) {
	const size = 1 << 30
	for name, in := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "half": iotest.HalfReader} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				benchMove(b, SendOptions{Paths: []string{"-"}, Stdin: in(io.LimitReader(zeros{}, size))}, RecvOptions{Stdout: io.Discard})
			}
		})
	}
}

func BenchmarkFile(b *testing.B) {
	const size = 512 << 20
	src := filepath.Join(b.TempDir(), "file")
	putBench(b, src, size)
	for _, d := range []Digest{BLAKE3, SHA256} {
		b.Run("toDiscard/"+string(d), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				benchMove(b, SendOptions{Paths: []string{src}}, RecvOptions{Stdout: io.Discard, Digest: d})
			}
		})
		b.Run("toFile/"+string(d), func(b *testing.B) {
			b.SetBytes(size)
			dst := b.TempDir()
			for b.Loop() {
				benchMove(b, SendOptions{Paths: []string{src}}, RecvOptions{Dir: dst, Overwrite: true, Digest: d})
			}
		})
	}
}

func BenchmarkSmallFiles(b *testing.B) {
	const files = 10000
	src := filepath.Join(b.TempDir(), "top")
	for i := range files {
		putBench(b, filepath.Join(src, fmt.Sprintf("d%d", i/100), fmt.Sprint(i)), 10_000)
	}
	for b.Loop() {
		benchMove(b, SendOptions{Paths: []string{src}, Preserve: true}, RecvOptions{Dir: b.TempDir(), Preserve: true})
	}
	b.ReportMetric(files*float64(b.N)/b.Elapsed().Seconds(), "files/s")
}

func putBench(b *testing.B, path string, size int) {
	b.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(path, randomBytes(uint64(size), size), 0o644); err != nil {
		b.Fatal(err)
	}
}
