package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestExports(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"a/x", "b/x", "b/y", "z", "b/sub/z"} {
		put(t, name, []byte(name))
	}
	for link, to := range map[string]string{"link": "b/y", "dangling": "nowhere"} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	long := "b/" + strings.Repeat("./", 600)
	for _, c := range []struct {
		paths string
		want  map[string]string // name to content
		kind  Kind
	}{
		{paths: "b/y", want: map[string]string{"b/y": "b/y", "y": "b/y"}},
		{paths: "b/y b/y", want: map[string]string{"b/y": "b/y", "y": "b/y"}},
		{paths: "a/x b/x", want: map[string]string{"a/x": "a/x", "b/x": "b/x"}},
		{paths: "a/x b/x ./a/x", want: map[string]string{"a/x": "a/x", "b/x": "b/x", "./a/x": "a/x"}},
		{paths: "z b/sub/z", want: map[string]string{"z": "z", "b/sub/z": "b/sub/z"}},
		{paths: "b/sub/z z", want: map[string]string{"z": "z", "b/sub/z": "b/sub/z"}},
		{paths: "link", want: map[string]string{"link": "b/y"}},
		{paths: long + "y", want: map[string]string{"y": "b/y"}},
		{paths: long + "x a/x", kind: KindUsage},
		{paths: "b", kind: KindUsage},
		{paths: "z -", kind: KindUsage},
		{paths: "", kind: KindUsage},
		{paths: "dangling", kind: KindLocalIO},
		{paths: "missing", kind: KindLocalIO},
		{paths: "/dev/null", kind: KindPolicy},
	} {
		x, err := NewExports(strings.Fields(c.paths))
		if KindOf(err) != c.kind {
			t.Errorf("%s: %v, want %v", c.paths, err, c.kind)
		}
		if err != nil {
			continue
		}
		for _, name := range []string{
			"a/x", "b/x", "./a/x", "b/y", "y", "x", "z", "sub/z", "b/sub/z", "link", "a", "b/../b/y", dir + "/z", "", "y\x00", "Y", "b//y", "dangling",
		} {
			answer, err := serveTo(t, x, legacyRequest(name))
			if content, ok := c.want[name]; ok {
				if want := append(legacyAnswer(int64(len(content))), content...); err != nil || !bytes.Equal(answer, want) {
					t.Errorf("%s: asked for %q the answer is %q: %v", c.paths, name, answer, err)
				}
				continue
			}
			wantKind(t, err, KindPolicy)
			if !bytes.Equal(answer, legacyAnswer(-1)) {
				t.Errorf("%s: asked for %q the answer is %q", c.paths, name, answer)
			}
		}
	}
}

// TestServeLegacyHostile: requests that no client of the exchange makes.
func TestServeLegacyHostile(t *testing.T) {
	path, _ := oneFile(t, []byte("hello"))
	x, err := NewExports([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, said string
		kind       Kind
		answered   bool
	}{
		{"nothing", "", KindLost, false},
		{"half a length", "\x01\x00", KindLost, false},
		{"half a name", "\x05\x00\x00\x00fff", KindLost, false},
		{"a name of no bytes", "\x00\x00\x00\x00", KindPolicy, true},
		{"a name too long", "\x00\x04\x00\x00" + strings.Repeat("f", 1024), KindPolicy, true},
		{"a negative name", "\xff\xff\xff\xff", KindPolicy, true},
		{"a huge name", "\xff\xff\xff\x7f", KindPolicy, true},
		{"a length of the other order", "\x00\x00\x00\x01f", KindPolicy, true},
		{"a udtcp", string(prelude()), KindPolicy, true},
	} {
		answer, err := serveTo(t, x, []byte(c.said))
		if KindOf(err) != c.kind || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %v", c.name, err, c.kind)
		}
		if want := legacyAnswer(-1); c.answered && !bytes.Equal(answer, want) || !c.answered && len(answer) > 0 {
			t.Errorf("%s: the answer is %x", c.name, answer)
		}
	}
	if _, err := serveTo(t, x, prelude()); !strings.Contains(err.Error(), "is a udtcp that does not") {
		t.Error(err)
	}
}

// TestServeLegacySlow: a client that comes and does not say what it wants, or drop by drop, is given up.
func TestServeLegacySlow(t *testing.T) {
	path, _ := oneFile(t, []byte("hello"))
	x, err := NewExports([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	for _, drops := range []int{0, 1, 3, 4, 7, 1000} {
		synctest.Test(t, func(t *testing.T) {
			w := newWire(1 << 16)
			stop := make(chan struct{})
			go func() {
				said := legacyRequest(strings.Repeat("f", 1023))
				for _, b := range said[:drops] {
					select {
					case <-time.After(requestPatience / 20):
					case <-stop:
						return
					}
					if _, err := w.b.Write([]byte{b}); err != nil {
						return
					}
				}
				<-stop
			}()
			began := time.Now()
			_, err := ServeLegacy(t.Context(), w.a, x, SendOptions{})
			close(stop)
			wantKind(t, err, KindLost)
			if d := time.Since(began); d != requestPatience || !strings.Contains(err.Error(), "did not say within 10s") {
				t.Errorf("after %v: %v", d, err)
			}
			w.b.Close()
		})
	}
}

// TestServeLegacyChanges: a file that changes while it is sent never arrives whole, and both ends know.
func TestServeLegacyChanges(t *testing.T) {
	const size = 3 * legacyBlock
	for name, change := range map[string]func(path string) error{
		"grows":     func(p string) error { return os.Truncate(p, size+1) },
		"shrinks":   func(p string) error { return os.Truncate(p, 5) },
		"rewritten": func(p string) error { return os.WriteFile(p, make([]byte, size), 0o644) },
		"replaced": func(p string) error {
			return errors.Join(os.WriteFile(p+".new", make([]byte, size), 0o644), os.Rename(p+".new", p))
		},
		"removed": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			path, _ := oneFile(t, randomBytes(1, size))
			old := time.Now().Add(-time.Hour)
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
			dst := t.TempDir()
			w := newWire(1 << 16)
			done := false
			w.a.out.alter = func(at int64, _ []byte) {
				if at > legacyBlock/2 && !done {
					done = true
					if err := change(path); err != nil {
						t.Error(err)
					}
				}
			}
			o := exchangeLegacy(t, w, []string{path}, SendOptions{}, "f", RecvOptions{Dir: dst}, openUnsynced)
			wantKind(t, o.serveErr, KindIntegrity)
			wantKind(t, o.fetchErr, KindLost)
			if got := names(t, dst); len(got) != 0 || o.sent.Digest != "" || len(o.sentFile) != 0 {
				t.Errorf("left behind: %v; %+v", got, o.sent)
			}
		})
	}
	t.Run("empty", func(t *testing.T) {
		const path = "/proc/self/status" // says that it is empty
		if info, err := os.Stat(path); err != nil || info.Size() != 0 {
			t.Skip("no proc file system")
		}
		x, err := NewExports([]string{path})
		if err != nil {
			t.Fatal(err)
		}
		answer, err := serveTo(t, x, legacyRequest("status"))
		wantKind(t, err, KindIntegrity)
		if len(answer) != 0 {
			t.Errorf("the answer is %x", answer)
		}
	})
}

// closeFails is a connection whose Close says that not everything was acknowledged.
type closeFails struct{ recorded }

func (*closeFails) Close() error { return errors.New("not delivered") }

// TestServeLegacyEnds: the client leaves, the caller gives up, the last bytes are not acknowledged.
func TestServeLegacyEnds(t *testing.T) {
	path, _ := oneFile(t, randomBytes(1, 3*legacyBlock))
	x, err := NewExports([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	ask := legacyRequest("f")

	w := newWire(1 << 16)
	go func() {
		_, _ = w.b.Write(ask)
		_, _ = io.CopyN(io.Discard, w.b, legacyBlock) // the rest does not fit the wire
		w.b.Close()
	}()
	res, err := ServeLegacy(t.Context(), w.a, x, SendOptions{})
	wantKind(t, err, KindLost)
	if res.Files != 0 || res.Digest != "" || !strings.Contains(err.Error(), "of 3145728 bytes") {
		t.Errorf("%+v, %v", res, err)
	}

	w = newWire(1 << 16)
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	w.a.out.alter = func(int64, []byte) { cancel(cause) } // and nobody reads
	if _, err := w.b.Write(ask); err != nil {
		t.Fatal(err)
	}
	if _, err := ServeLegacy(ctx, w.a, x, SendOptions{}); !errors.Is(err, cause) {
		t.Errorf("given up: %v", err)
	}

	// A client that has every byte and breaks off.
	w = newWire(8 << 20)
	w.a.out.alter = func(at int64, b []byte) {
		if at+int64(len(b)) == 3*legacyBlock+8 {
			go w.cut()
		}
	}
	if _, err := w.b.Write(ask); err != nil {
		t.Fatal(err)
	}
	res, err = ServeLegacy(t.Context(), w.a, x, SendOptions{})
	wantKind(t, err, KindUnknown)
	if res.Files != 0 || res.Digest != "" {
		t.Errorf("%+v", res)
	}

	conn := &closeFails{recorded{Reader: bytes.NewReader(ask)}}
	files := 0
	res, err = ServeLegacy(t.Context(), conn, x, SendOptions{OnFile: func(FileDone) { files++ }})
	wantKind(t, err, KindUnknown)
	if res.Files != 0 || res.Digest != "" || files != 0 {
		t.Errorf("%+v, %d files", res, files)
	}
}

// TestServeLegacyClosesLast: the client is given the time to close first, but not for ever.
func TestServeLegacyClosesLast(t *testing.T) {
	path, _ := oneFile(t, nil)
	x, err := NewExports([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	for client, want := range map[time.Duration]time.Duration{time.Second: time.Second, time.Hour: partPatience} {
		synctest.Test(t, func(t *testing.T) {
			w := newWire(1 << 16)
			if _, err := w.b.Write(legacyRequest("f")); err != nil {
				t.Fatal(err)
			}
			stop := time.AfterFunc(client, func() { _ = w.b.Close() })
			defer stop.Stop()
			began := time.Now()
			if _, err := ServeLegacy(t.Context(), w.a, x, SendOptions{}); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("closed after %v, want %v", took, want)
			}
		})
	}
}

// FuzzServeLegacy: whatever a client says, it gets an export, or nothing.
func FuzzServeLegacy(f *testing.F) {
	dir := f.TempDir()
	for name, content := range map[string]string{"a": "hello", "secret": "do not tell"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			f.Fatal(err)
		}
	}
	x, err := NewExports([]string{filepath.Join(dir, "a")})
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{"a", "b", "", "../secret", filepath.Join(dir, "a"), filepath.Join(dir, "secret")} {
		f.Add(legacyRequest(name))
	}
	f.Add(prelude())
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, said []byte) {
		answer, err := serveTo(t, x, said)
		switch string(answer) {
		case "", string(legacyAnswer(-1)):
			if err == nil {
				t.Error("that is no success")
			}
		case string(legacyAnswer(5)) + "hello":
			if err != nil {
				t.Error(err)
			}
		default:
			t.Errorf("the answer is %q", answer)
		}
		wantSpoken(t, err)
	})
}
