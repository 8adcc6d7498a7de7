package transfer

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
)

// prelude is what a plain end begins with.
func prelude() []byte { return preludeOf(modePlain) }

// A plain end and a secure one refuse each other in words, whichever of them sends: nothing is sent, nothing is made.
func TestModesDoNotMix(t *testing.T) {
	path, so := oneFile(t, randomBytes(1, 1000))
	for _, secureSender := range []bool{true, false} {
		for _, old := range []bool{true, false} {
			dst := filepath.Join(t.TempDir(), "new")
			if old {
				dst = filepath.Dir(dst)
			}
			so.Secure = secureSender
			synctest.Test(t, func(t *testing.T) { // both take their time to part
				w := newWire(1 << 16)
				o := move(t, w, so, RecvOptions{Dir: dst, Secure: !secureSender})
				o.badly(t, KindAuth, KindAuth)
				if w.a.out.moved > 1000 {
					t.Errorf("%d bytes were sent", w.a.out.moved)
				}
			})
			if entries, err := os.ReadDir(dst); old && (err != nil || len(entries) != 0) || !old && err == nil {
				t.Errorf("%s has %v, %v", dst, entries, err)
			}
		}
	}
	// Of one mind, they do.
	so.Secure = true
	dst := t.TempDir()
	o := move(t, newWire(1<<16), so, RecvOptions{Dir: dst, Secure: true})
	o.well(t)
	if _, err := os.Stat(filepath.Join(dst, filepath.Base(path))); err != nil {
		t.Error(err)
	}
}

// talker says one thing and keeps what it hears.
type talker struct {
	io.Reader
	heard bytes.Buffer
}

func (c *talker) Write(p []byte) (int, error) { return c.heard.Write(p) }

func TestGreet(t *testing.T) {
	for says, want := range map[string]Kind{
		"UDTCP\x01s\n": KindNone, "UDTCP\x01p\n": KindAuth, "UDTCP\x02s\n": KindPolicy, "UDTCP\x01x\n": KindPolicy,
		"udtcp\x01s\n": KindAuth, "UDTCP\x01s\r": KindAuth, "GET / HTTP/1.1": KindAuth, "\x00\x00\x00\x00\x00\x00\x00\x00": KindAuth,
	} {
		c := &talker{Reader: bytes.NewReader([]byte(says))}
		err := Greet(c)
		if KindOf(err) != want {
			t.Errorf("%q: %v", says, err)
		}
		if c.heard.String() != "UDTCP\x01s\n" {
			t.Errorf("it says %q", c.heard.String())
		}
	}
	err := Greet(&talker{Reader: bytes.NewReader([]byte("UDTCP\x01"))})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
}

func FuzzPrelude(f *testing.F) {
	f.Add(prelude(), false)
	f.Add(preludeOf(modeSecure), true)
	f.Add([]byte("UDTCP\x01s\r"), true)
	f.Fuzz(func(t *testing.T, b []byte, secure bool) {
		if len(b) != preludeLen {
			return
		}
		err := checkPrelude(b, mode(secure))
		if ok := bytes.Equal(b, preludeOf(mode(secure))); ok != (err == nil) {
			t.Errorf("%q: %v", b, err)
		}
		var e *Error
		if err != nil && (!errors.As(err, &e) || bytes.ContainsAny([]byte(err.Error()), "\n\x1b\x00")) {
			t.Errorf("%q: %q", b, err)
		}
	})
}
