package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// The events of --json. Sizes are bytes, rates bits a second, durations seconds. Peer is set only where several peers
// are served side by side.

type listeningEvent struct {
	Address string `json:"address"`
}

type connectedEvent struct {
	Peer    string `json:"peer"`
	PeerKey string `json:"peer_key"` // empty: the connection is not authenticated
	CC      string `json:"cc"`
	MSS     int    `json:"mss"`
}

type fileEvent struct {
	Name         string `json:"name"`
	Size         int64  `json:"size"`
	Digest       string `json:"digest"`
	ResumedBytes int64  `json:"resumed_bytes"`
	Peer         string `json:"peer,omitempty"`
}

type reconnectEvent struct {
	Reason string `json:"reason"`
	Offset int64  `json:"offset"` // payload verified so far
	Peer   string `json:"peer,omitempty"`
}

type progressEvent struct {
	Bytes      int64   `json:"bytes"`
	Total      *int64  `json:"total"` // null while it is not known
	GoodputBPS float64 `json:"goodput_bps"`
	Stats      *stats  `json:"stats"` // null before there is a connection
	Peer       string  `json:"peer,omitempty"`
}

type endEvent struct {
	ExitCode        status       `json:"exit_code"`
	Reason          string       `json:"reason"`
	Files           int          `json:"files"`
	Bytes           int64        `json:"bytes"`
	ResumedBytes    int64        `json:"resumed_bytes"`
	Seconds         float64      `json:"seconds"`
	GoodputBPS      float64      `json:"goodput_bps"`
	Digest          string       `json:"digest"`
	DigestAlgorithm string       `json:"digest_algorithm"`
	Stats           *stats       `json:"stats"` // null where no connection came about
	Peer            string       `json:"peer,omitempty"`
	Perf            *perfSummary `json:"perf,omitempty"`
}

// emitter writes events, one JSON object a line. A nil emitter is --json not given.
type emitter struct {
	mu  sync.Mutex
	w   io.Writer
	now func() time.Time
}

// emit writes one event: its name, the time and the fields of body, a struct. A reader that went away is not the
// transfer's trouble, so a failed write is not reported.
func (e *emitter) emit(name string, body any) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	line, err := encodeEvent(name, e.now(), body)
	if err != nil {
		panic("cli: event " + name + ": " + err.Error()) // our own structs always encode
	}
	_, _ = e.w.Write(append(line, '\n'))
}

func encodeEvent(name string, now time.Time, body any) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 0, 512))
	fmt.Fprintf(b, `{"event":"%s","time":"%s"`, name, now.Format(time.RFC3339Nano)) // neither holds what needs escaping
	fields := b.Len()
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		return nil, err
	}
	line := bytes.TrimSpace(b.Bytes())
	line[fields] = ',' // in place of the body's brace
	return escapeJSON(line), nil
}

// escapeJSON escapes what encoding/json leaves raw although a terminal may act on it: DEL, the C1 controls,
// bidirectional marks and everything else that does not print. Such characters stand only within strings.
func escapeJSON(b []byte) []byte {
	if !bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' || r > '~' && !strconv.IsPrint(r) }) {
		return b
	}
	out := make([]byte, 0, len(b)+16)
	for _, r := range string(b) {
		switch {
		case strconv.IsPrint(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}
