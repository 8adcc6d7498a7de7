//go:build linux

package main

import (
	"io"
	"os"
	"testing"
)

func TestFeedAndDrain(t *testing.T) {
	for _, size := range []int64{0, 1, pieceSize, 3*pieceSize + 5} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		fed := make(chan error, 1)
		go func() {
			defer func() { _ = w.Close() }()
			fed <- feed(int(w.Fd()), size)
		}()
		if n, err := drain(int(r.Fd())); n != size || err != nil {
			t.Errorf("%d bytes came out of %d: %v", n, size, err)
		}
		if err := <-fed; err != nil {
			t.Error(err)
		}
		_ = r.Close()
	}
}

func TestFeedGivesZeros(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fed := make(chan error, 1)
	go func() {
		defer func() { _ = w.Close() }()
		fed <- feed(int(w.Fd()), 10_000)
	}()
	b, err := io.ReadAll(r)
	if len(b) != 10_000 || err != nil {
		t.Fatalf("%d bytes: %v", len(b), err)
	}
	for i, v := range b {
		if v != 0 {
			t.Fatalf("byte %d is %d", i, v)
		}
	}
	if err := <-fed; err != nil {
		t.Error(err)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"feed"}, {"feed", "x"}, {"drain", "1"}} {
		if err := run(args); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}
