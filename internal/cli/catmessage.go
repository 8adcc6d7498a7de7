package cli

import (
	"bufio"
	"errors"
	"io"
	"time"

	"github.com/spf13/pflag"
)

// messageOptions are the flags of cat --message.
type messageOptions struct {
	enabled   bool
	size      int64 // bytes of standard input that are a message; 0: up to the separator
	ttl       time.Duration
	unordered bool
	null      bool
}

func addMessageFlags(f *pflag.FlagSet, o *messageOptions) {
	f.BoolVar(&o.enabled, "message", false, "UDT messages in place of a stream, at both ends: a line each, in and out")
	f.Var(newSizeValue(&o.size, "0"), "size", "with --message: each `N` bytes of standard input are a message, not each line")
	f.Var(newDurationValue(&o.ttl, "0"), "ttl", "with --message: send nothing of a message any more when it is so old; 0 is never")
	f.BoolVar(&o.unordered, "unordered", false, "with --message: let messages overtake others that are late")
	f.BoolVarP(&o.null, "null", "0", false, "with --message: NUL in place of the line's end, in and out")
}

// check looks for flags that make no sense. What the environment sets is a default, for where there are messages.
func (o *messageOptions) check(flags *pflag.FlagSet) error {
	for _, name := range []string{"size", "ttl", "unordered", "null"} {
		if f := flags.Lookup(name); !o.enabled && f.Changed && f.Annotations[envAnnotation] == nil {
			return usageError("--%s needs --message", name)
		}
	}
	if flags.Changed("size") && o.size < 1 {
		return usageError("--size must be 1 or more")
	}
	return nil
}

// separator is what stands between messages.
func (o *messageOptions) separator() byte {
	if o.null {
		return 0
	}
	return '\n'
}

// A messenger is a link that carries messages.
type messenger interface {
	// SendMessage writes one message within ttl, if that is not 0.
	SendMessage(p []byte, ttl time.Duration, inOrder bool) error
	// AppendMessage appends the next message to b. errCut says that there was more of it than --window lets in.
	AppendMessage(b []byte) ([]byte, error)
	// MaxMessage is the most bytes a message may have.
	MaxMessage() int
}

// errCut: a message that came was larger than can be taken.
var errCut = errors.New("message cut")

// sendMessages cuts in into messages and sends them.
func (j *joint) sendMessages(m messenger, in io.Reader) error {
	r := messageReader{r: bufio.NewReader(in), size: j.messages.size, separator: j.messages.separator(), most: m.MaxMessage()}
	for n := 1; ; n++ {
		b, err := r.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errTooLong):
			return fail(exitPolicy, "the smaller of both ends' buffers decides: --window here, the receive buffer there; or send a stream",
				"message %d of standard input is larger than the %d bytes that the connection takes", n, r.most)
		case err != nil:
			return err
		}
		if err := m.SendMessage(b, j.messages.ttl, !j.messages.unordered); err != nil {
			return err
		}
	}
}

// receiveMessages writes each message that comes to w, in one piece with its separator.
func (j *joint) receiveMessages(m messenger, w io.Writer) error {
	var b []byte
	for n := 1; ; n++ {
		var err error
		b, err = m.AppendMessage(b[:0])
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errCut):
			return fail(exitPolicy, "--window sets how large a message may be", "message %d from the other end is larger than what --window lets in", n)
		case err != nil:
			return err
		}
		b = append(b, j.messages.separator())
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
}

// messageReader cuts a stream into messages.
type messageReader struct {
	r         *bufio.Reader
	size      int64 // of each; 0: up to the separator
	separator byte
	most      int // bytes a message may have
	buf       []byte
}

var errTooLong = errors.New("message too long")

// next gives the next message, which stays as it is until the next call. What stands at the end without a separator, or
// short of the size, is a message as well.
func (m *messageReader) next() ([]byte, error) {
	if m.size > 0 {
		if m.size > int64(m.most) {
			return nil, errTooLong
		}
		if m.buf == nil {
			m.buf = make([]byte, m.size)
		}
		n, err := io.ReadFull(m.r, m.buf)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = nil
		}
		return m.buf[:n], err
	}
	m.buf = m.buf[:0]
	for {
		b, err := m.r.ReadSlice(m.separator)
		ended := err == nil
		if ended {
			b = b[:len(b)-1]
		}
		m.buf = append(m.buf, b...)
		switch {
		case len(m.buf) > m.most:
			return nil, errTooLong
		case ended, errors.Is(err, io.EOF) && len(m.buf) > 0:
			return m.buf, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}
