package main

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

func TestCopies(t *testing.T) {
	dir := t.TempDir()
	source, destination := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, size := range []int{0, 1, recordSize, chunkSize - 1, chunkSize, 5*chunkSize + 12_345} {
		want := make([]byte, size)
		rng := rand.NewChaCha8([32]byte{1})
		_, _ = rng.Read(want)
		if err := os.WriteFile(source, want, 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := run([]string{source, destination}, &out); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(destination)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: the copy is another, %v", size, err)
		}
		var said struct {
			Bytes   int
			Seconds float64
		}
		if err := json.Unmarshal(out.Bytes(), &said); err != nil || said.Bytes != size || said.Seconds <= 0 {
			t.Errorf("%d bytes: %s, %v", size, out.Bytes(), err)
		}
	}
}

func TestFails(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "a")
	if err := os.WriteFile(there, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		nil, {there}, {filepath.Join(dir, "missing"), filepath.Join(dir, "b")}, {there, filepath.Join(dir, "no", "b")},
	} {
		if run(args, &bytes.Buffer{}) == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
