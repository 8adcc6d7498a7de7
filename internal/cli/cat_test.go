package cli

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// catPair starts a listening cat and a second one that dials it.
func catPair(t *testing.T, there, here procOptions, thereArgs, hereArgs []string) (listener, dialler *process) {
	n := newMemNet()
	there.net, here.net = n, n
	l := start(t, there, append([]string{"cat", "--listen=:0"}, thereArgs...)...)
	d := start(t, here, append([]string{"cat", "127.0.0.1:" + l.listening()}, hereArgs...)...)
	return l, d
}

func TestCatEndsWithInput(t *testing.T) {
	data := strings.Repeat("all of it\n", 100_000)
	l, d := catPair(t, procOptions{}, procOptions{stdin: strings.NewReader(data)}, []string{"--stay"}, nil)
	d.ends(0).says("cat is plain")
	l.ends(0)
	if l.stdout.String() != data {
		t.Errorf("%d bytes arrived of %d", len(l.stdout.String()), len(data))
	}
}

func TestCatQuiet(t *testing.T) {
	l, d := catPair(t, procOptions{}, procOptions{}, []string{"--stay"}, []string{"-q"})
	if d.ends(0).stderr.String() != "" {
		t.Errorf("-q says %q", d.stderr)
	}
	l.ends(0)
}

func TestCatPeerClosesFirst(t *testing.T) {
	// Its own input never ends; the peer's does.
	in, feed := io.Pipe()
	defer feed.Close()
	l, d := catPair(t, procOptions{stdin: strings.NewReader("bye")}, procOptions{stdin: in}, nil, nil)
	l.ends(0)
	d.ends(0)
	if d.stdout.String() != "bye" {
		t.Errorf("standard output %q", d.stdout)
	}
}

func TestCatBothWays(t *testing.T) {
	up, down := bytes.Repeat([]byte("u"), 3<<20), bytes.Repeat([]byte("d"), 2<<20)
	l, d := catPair(t, procOptions{stdin: bytes.NewReader(down)}, procOptions{stdin: bytes.NewReader(up)}, []string{"--stay"}, []string{"--stay"})
	// Both stay; the signal at one end breaks the other.
	l.stdout.awaitLen(len(up))
	d.stdout.awaitLen(len(down))
	d.signals <- syscall.SIGINT
	d.ends(130)
	l.ends(5).says("connection lost")
	if l.stdout.String() != string(up) || d.stdout.String() != string(down) {
		t.Errorf("%d and %d bytes arrived", len(l.stdout.String()), len(d.stdout.String()))
	}
}

func TestCatBreaks(t *testing.T) {
	n := newMemNet()
	here, there := n.memLinks()
	in, feed := io.Pipe()
	defer feed.Close()
	j := &joint{m: newMeter(here), stdin: in, stdout: io.Discard}
	if err := there.Abort(); err != nil {
		t.Fatal(err)
	}
	err := j.run(t.Context())
	if v := judge(err); v.status != exitLost {
		t.Errorf("%v: status %d", err, v.status)
	}
}

func TestCatLocalFaults(t *testing.T) {
	n := newMemNet()
	here, there := n.memLinks()
	go func() { _, _ = there.Write([]byte("x")) }()
	in, feed := io.Pipe()
	defer feed.Close()
	err := (&joint{m: newMeter(here), stdin: in, stdout: brokenPipe{}}).run(t.Context())
	if v := judge(err); v.status != exitLocalIO {
		t.Errorf("broken standard output: %v, status %d", err, v.status)
	}
	here, _ = n.memLinks()
	err = (&joint{m: newMeter(here), stdin: badReader{}, stdout: io.Discard}).run(t.Context())
	if v := judge(err); v.status != exitLocalIO {
		t.Errorf("broken standard input: %v, status %d", err, v.status)
	}
}

type badReader struct{}

func (badReader) Read([]byte) (int, error) { return 0, errors.New("input error") }

func TestCatIdleIsNoFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, feed := io.Pipe()
		l, d := catPair(t, procOptions{}, procOptions{stdin: in}, []string{"--stay"}, nil)
		<-time.After(10 * time.Hour) // in the bubble's own time
		_, _ = feed.Write([]byte("still here"))
		feed.Close()
		d.ends(0)
		l.ends(0)
		if l.stdout.String() != "still here" {
			t.Errorf("standard output %q", l.stdout)
		}
	})
}

func TestCatJSON(t *testing.T) {
	l, d := catPair(t, procOptions{}, procOptions{stdin: strings.NewReader("12345")}, []string{"--stay", "--json", "-q"}, []string{"--json", "-q"})
	d.ends(0)
	l.ends(0)
	if l.stdout.String() != "12345" {
		t.Errorf("standard output %q", l.stdout)
	}
	ev := lastEvent(t, d.stderr.String())
	if ev["exit_code"] != 0.0 || ev["bytes"] != 5.0 || ev["stats"] == nil {
		t.Errorf("end %v", ev)
	}
	first := events(t, d.stderr.String())[0]
	if first["event"] != "connected" || first["mss"] != 1500.0 || first["cc"] != "bbr" || first["peer_key"] != "" {
		t.Errorf("connected %v", first)
	}
	if ev := events(t, l.stderr.String())[0]; ev["event"] != "listening" {
		t.Errorf("first event %v", ev)
	}
}
