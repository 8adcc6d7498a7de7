package transfer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// FuzzReconnect feeds either end over one connection after another. Its input has for each the length of a script in two
// bytes, and the script (frameScript). Whatever is said there, and however it goes together, the session ends in time.
func FuzzReconnect(f *testing.F) {
	const mostLines = 16
	reconnectSeeds(f)
	src := fuzzSource(f)
	f.Fuzz(func(t *testing.T, mode byte, in []byte) {
		var lines []io.ReadWriteCloser
		for len(in) > 2 && len(lines) < mostLines {
			n := min(int(binary.BigEndian.Uint16(in)), len(in)-2)
			lines = append(lines, paced(in[2:2+n]))
			in = in[2+n:]
		}
		if len(lines) == 0 {
			return
		}
		up, dst := fenced(t)
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			retry := Retry{For: time.Minute, Connect: func(context.Context) (io.ReadWriteCloser, error) {
				if len(lines) == 0 {
					return nil, errors.New("no answer")
				}
				next := lines[0]
				lines = lines[1:]
				return next, nil
			}}
			first, err := retry.Connect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if mode&1 != 0 {
				o := SendOptions{Paths: []string{src}, Retry: retry, Preserve: true}
				if mode&2 != 0 {
					o.Paths, o.Stdin = []string{"-"}, strings.NewReader("standard input")
				}
				_, err = Send(t.Context(), first, o)
			} else {
				o := RecvOptions{Dir: dst, Retry: retry, Preserve: true}
				if mode&2 != 0 {
					o.Dir, o.Stdout = "", &bytes.Buffer{}
				}
				_, err = receive(t.Context(), first, o, openUnsynced)
			}
			wantSpoken(t, err)
			if err != nil && KindOf(err) == KindInternal {
				t.Errorf("%v", err)
			}
			if d := time.Since(began); d > (mostLines+1)*2*time.Minute {
				t.Errorf("it took %v", d)
			}
		})
		wantFenced(t, up)
		if b, err := os.ReadFile(filepath.Join(src, "a")); string(b) != "hello" {
			t.Errorf("the source is %q, %v", b, err)
		}
	})
}

// pacedLine is a connection on which a frame comes whenever the other end has nothing left to do about the one before.
type pacedLine struct {
	oneWay
	frames [][]byte
}

func paced(script []byte) *pacedLine {
	p := &pacedLine{frames: [][]byte{prelude()}}
	for len(script) >= 4 {
		n := min(4+int(binary.BigEndian.Uint16(script[2:])), len(script))
		if frame := frameScript(script[:n]); len(frame) > 0 {
			p.frames = append(p.frames, frame)
		}
		script = script[n:]
	}
	return p
}

func (p *pacedLine) Read(b []byte) (int, error) {
	<-time.After(time.Millisecond) // of the bubble
	if len(p.frames) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.frames[0])
	if p.frames[0] = p.frames[0][n:]; len(p.frames[0]) == 0 {
		p.frames = p.frames[1:]
	}
	return n, nil
}

// reconnectSeeds are what an end says in a sound transfer that is cut once, and goes on.
func reconnectSeeds(f *testing.F) {
	src := fuzzSource(f)
	for mode, so := range []SendOptions{
		{Paths: []string{src}, Preserve: true}, {Paths: []string{src}, Preserve: true},
		{Paths: []string{"-"}, Stdin: strings.NewReader("standard input")}, {Paths: []string{"-"}, Stdin: strings.NewReader("standard input")},
	} {
		ro := RecvOptions{Dir: f.TempDir()}
		if so.Stdin != nil {
			ro = RecvOptions{Stdout: &bytes.Buffer{}}
		}
		said, got := record(f, so, ro)
		if mode&1 != 0 {
			said = got
		}
		frames := paced(scriptOf(said)).frames[2:] // behind the prelude and the hello
		for at := range len(frames) + 1 {
			for _, p := range positions(mode&1 != 0 && (at == len(frames)/2 || at == len(frames)-1), uint64(at)) {
				first, second := sessionHello(f, said, nil), sessionHello(f, said, &p)
				var in []byte
				for _, line := range [][]byte{
					scriptOf(slices.Concat(first, slices.Concat(frames[:at]...))), scriptOf(slices.Concat(second, slices.Concat(frames[at:]...))),
				} {
					in = append(binary.BigEndian.AppendUint16(in, uint16(len(line))), line...)
				}
				f.Add(byte(mode), in)
			}
		}
	}
}

// positions are where a receiver may say that it is: at the entry it has come to, or elsewhere as well.
func positions(elsewhere bool, last uint64) []position {
	list := []position{{Last: last}}
	if elsewhere {
		for stage := range uint8(len(stageNames)) {
			for _, offset := range []int64{0, 5, 1 << 20} {
				for _, last := range []uint64{0, last, last + 1} {
					list = append(list, position{Stage: stage, Last: last, Offset: offset})
				}
			}
		}
	}
	return list
}

// sessionHello is the hello that said begins with, of an end that has a session; the first one's, or that of another line,
// where a receiver is at p.
func sessionHello(f *testing.F, said []byte, p *position) []byte {
	f.Helper()
	fr := newFrameReader(bytes.NewReader(said))
	h, raw, err := fr.next()
	if err != nil {
		f.Fatal(err)
	}
	var b helloBody
	if err := parseBody(h.kind, raw, &b); err != nil {
		f.Fatal(err)
	}
	b.can(featureReconnect)
	b.Session = bytes.Repeat([]byte{7}, len(sessionID{}))
	if p != nil {
		b.Attempt = 1
		if b.Role == roleRecv {
			b.Position = p
		}
	}
	frame, err := appendFrame(nil, frameHello, &b)
	if err != nil {
		f.Fatal(err)
	}
	return frame
}
