package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/udtcp/udtcp/internal/promise"
)

// TestMain is the program under torture where a test says so: a receiver that does as FAKE_RECV says and a sender that is
// content with it.
func TestMain(m *testing.M) {
	fake := os.Getenv("FAKE_RECV")
	if fake == "" {
		os.Exit(m.Run())
	}
	if os.Args[1] == "recv" {
		fmt.Println(`{"event":"listening","address":"nowhere"}`)
		dir := os.Args[len(os.Args)-1]
		name, content, _ := strings.Cut(fake, "=")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			panic(err)
		}
		if name == "fails" {
			os.Exit(7)
		}
	}
}

// TestBrokenPromises has programs that break their promises found out.
func TestBrokenPromises(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for fake, says := range map[string]string{
		"data=half": "not the sender's", "other=": "other is not the sender's", ".data.udtcp-part=x": "left behind",
		"fails=": "the receiver with 7",
	} {
		t.Setenv("FAKE_RECV", fake)
		b := &bench{options: &options{udtcp: self, work: t.TempDir()}}
		k := &kind{name: "file", path: "data"}
		if err := b.fill(k, filepath.Join(b.sources(k), "data"), 5000, 1); err != nil {
			t.Fatal(err)
		}
		_, err := b.undisturbed(t.Context(), k)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", fake, err, says)
		}
	}
}

// TestChoose: a seed chooses the same case again, and all kinds of moments come.
func TestChoose(t *testing.T) {
	b := &bench{kinds: []*kind{{name: "tree", bytes: 1e6, files: 100, length: 1e9}, {name: "pipe", bytes: 1e6, files: 1, length: 1e9}}}
	var timed, counted, named, pipes int
	for i := range 200 {
		k, when := b.choose("both", &promise.Run{Seed: 7}, i)
		if again, at := b.choose("both", &promise.Run{Seed: 7}, i); again != k || at != when {
			t.Fatalf("case %d: %v and %v", i, when, at)
		}
		switch {
		case when.bytes > 0:
			counted++
		case when.names > 0:
			named++
		default:
			timed++
		}
		if k.name == "pipe" {
			pipes++
		}
	}
	if timed < 20 || counted < 20 || named < 20 || pipes < 20 {
		t.Errorf("%d by time, %d by bytes, %d by names, %d pipes", timed, counted, named, pipes)
	}
}
