package cli

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// cat waits for standard input and the other end at once: once that is gone, it reads no more.
func TestCatLeavesInputThatCannotBeSent(t *testing.T) {
	for name, stay := range map[string]bool{"": false, "--stay": true} {
		t.Run(name, func(t *testing.T) {
			in, feed := systemPipe(t)
			l := start(t, procOptions{udp: true, stdin: strings.NewReader("bye")}, "cat", "--listen=127.0.0.1:0")
			args := []string{"cat", "127.0.0.1:" + l.listening()}
			if stay {
				args = append(args, "--stay")
			}
			d := start(t, procOptions{udp: true, stdin: in}, args...)
			l.ends(0)
			d.ends(0)
			if d.stdout.String() != "bye" {
				t.Errorf("standard output %q", d.stdout)
			}
			if _, err := feed.WriteString("kept"); err != nil {
				t.Fatal(err)
			}
			if err := in.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			kept := make([]byte, 4)
			if _, err := io.ReadFull(in, kept); err != nil || string(kept) != "kept" {
				t.Errorf("%q is left, %v", kept, err)
			}
		})
	}
}

// Input that comes when everything is over is left alone, however late the reader looks.
func TestCatInputComesLate(t *testing.T) {
	in, feed := systemPipe(t)
	l := start(t, procOptions{udp: true, stdin: strings.NewReader("")}, "cat", "--listen=127.0.0.1:0")
	j := &joint{net: udtNetwork{}, m: newMeter(dialUDT(t, l.listening(), nil)), stdin: in}
	ctx, cancel := context.WithCancel(t.Context())
	src, done := j.newInput(ctx)
	defer done()
	cancel()
	if _, err := feed.WriteString("kept"); err != nil {
		t.Fatal(err)
	}
	kept := make([]byte, 4)
	if n, err := src.Read(kept); n != 0 || err == nil {
		t.Fatalf("%d bytes were read, %v", n, err)
	}
	if _, err := io.ReadFull(in, kept); err != nil || string(kept) != "kept" {
		t.Errorf("%q is left, %v", kept, err)
	}
	l.ends(0)
}

// Whatever standard input is, all of it arrives.
func TestCatInputs(t *testing.T) {
	data := strings.Repeat("all of it\n", 300_000)
	for name, open := range map[string]func(t *testing.T) *os.File{
		"file": func(t *testing.T) *os.File {
			f, err := os.Open(writeFile(t, t.TempDir(), "data", []byte(data)))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			return f
		},
		"pipe": func(t *testing.T) *os.File {
			in, feed := systemPipe(t)
			go func() { // by and by
				for rest := data; rest != ""; {
					n, err := feed.WriteString(rest[:min(len(rest), 70_001)])
					if err != nil {
						t.Error(err)
						break
					}
					rest = rest[n:]
				}
				feed.Close()
			}()
			return in
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := start(t, procOptions{udp: true}, "cat", "--listen=127.0.0.1:0", "--stay")
			d := start(t, procOptions{udp: true, stdin: open(t)}, "cat", "127.0.0.1:"+l.listening())
			d.ends(0)
			l.ends(0)
			if l.stdout.String() != data {
				t.Errorf("%d bytes arrived of %d", len(l.stdout.String()), len(data))
			}
		})
	}
}
