package cli

import (
	"bufio"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestMessageReader(t *testing.T) {
	long := strings.Repeat("x", 10_000) // more than a bufio.Reader holds
	for _, c := range []struct {
		name, in string
		size     int64
		null     bool
		most     int
		want     []string
		err      error
	}{
		{name: "nothing", want: nil},
		{name: "lines", in: "a\n\nbc\n", want: []string{"a", "", "bc"}},
		{name: "no end", in: "a\nbc", want: []string{"a", "bc"}},
		{name: "NUL", in: "a\nb\x00c\x00", null: true, want: []string{"a\nb", "c"}},
		{name: "a long line", in: "a\n" + long + "\nb\n", want: []string{"a", long, "b"}},
		{name: "as long as it may be", in: "1234\n", most: 4, want: []string{"1234"}},
		{name: "too long", in: "a\n12345\nb\n", most: 4, want: []string{"a"}, err: errTooLong},
		{name: "far too long", in: "a\n" + long, most: 100, want: []string{"a"}, err: errTooLong},
		{name: "size", in: "12345\n78", size: 3, want: []string{"123", "45\n", "78"}},
		{name: "size, nothing left", in: "123456", size: 3, want: []string{"123", "456"}},
		{name: "size too large", in: "123456", size: 5, most: 4, err: errTooLong},
	} {
		for _, slow := range []bool{false, true} {
			var in io.Reader = strings.NewReader(c.in)
			if slow {
				in = iotest.OneByteReader(in)
			}
			o := messageOptions{size: c.size, null: c.null}
			r := messageReader{r: bufio.NewReader(in), size: o.size, separator: o.separator(), most: c.most}
			if c.most == 0 {
				r.most = 1 << 20
			}
			var got []string
			for {
				b, err := r.next()
				if err == nil {
					got = append(got, string(b))
					continue
				}
				if want := c.err; want == nil && !errors.Is(err, io.EOF) || want != nil && !errors.Is(err, want) {
					t.Errorf("%s: error %v, want %v", c.name, err, c.err)
				}
				break
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: got %q, want %q", c.name, got, c.want)
			}
		}
	}
	_, err := (&messageReader{r: bufio.NewReader(badReader{}), separator: '\n', most: 10}).next()
	if err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a broken input: %v", err)
	}
}

// A fakeMessenger gives messages, and then an error.
type fakeMessenger struct {
	*memLink
	gives []string
	err   error
	takes []string
}

func (f *fakeMessenger) SendMessage(p []byte, _ time.Duration, _ bool) error {
	f.takes = append(f.takes, string(p))
	return nil
}

func (f *fakeMessenger) AppendMessage(b []byte) ([]byte, error) {
	if len(f.gives) == 0 {
		return b, f.err
	}
	b = append(b, f.gives[0]...)
	f.gives = f.gives[1:]
	return b, nil
}

func (f *fakeMessenger) MaxMessage() int { return 4 }

// How a run with messages ends, and what has gone out until then.
func TestCatMessageEnds(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error     // of the link, behind one message
		stdout io.Writer // nil: one that takes all
		want   status
	}{
		{name: "the peer closes", err: io.EOF, want: exitOK},
		{name: "the link breaks", err: errMemLost, want: exitLost},
		{name: "one that was cut", err: errCut, want: exitPolicy},
		{name: "standard output is gone", err: io.EOF, stdout: brokenPipe{}, want: exitLocalIO},
	} {
		in, feed := io.Pipe()
		t.Cleanup(func() { _ = feed.Close() })
		here, _ := newMemNet().memLinks()
		var out strings.Builder
		j := &joint{
			m: newMeter(&fakeMessenger{memLink: here, gives: []string{"one"}, err: c.err}), stdin: in, stdout: &out,
			messages: messageOptions{enabled: true},
		}
		if c.stdout != nil {
			j.stdout = c.stdout
		}
		if v := judge(j.run(t.Context())); v.status != c.want {
			t.Errorf("%s: %+v, want status %d", c.name, v, c.want)
		}
		if c.stdout == nil && out.String() != "one\n" {
			t.Errorf("%s: standard output %q", c.name, out.String())
		}
	}
}

// What comes before a message that is too long is sent, and standard input that breaks is told from the link.
func TestCatMessageInput(t *testing.T) {
	for _, c := range []struct {
		in   io.Reader
		want status
	}{
		{strings.NewReader("a\nb\n"), exitOK},
		{strings.NewReader("a\nb\n12345\nc\n"), exitPolicy},
		{io.MultiReader(strings.NewReader("a\nb\n"), badReader{}), exitLocalIO},
	} {
		here, _ := newMemNet().memLinks()
		f := &fakeMessenger{memLink: here}
		j := &joint{m: newMeter(f), stdin: c.in, messages: messageOptions{enabled: true}}
		if v := judge(j.send(t.Context())); v.status != c.want {
			t.Errorf("%+v, want status %d", v, c.want)
		}
		if !slices.Equal(f.takes, []string{"a", "b"}) {
			t.Errorf("sent %q", f.takes)
		}
	}
}
