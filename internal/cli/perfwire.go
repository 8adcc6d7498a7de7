package cli

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// What perf says over its streams. All numbers are big-endian.
//
//	dialler  → listener  hello: what to measure, and which stream of which test this is
//	listener → dialler   answer: go, or why not
//
// or, where both have dialled,
//
//	each     → the other hello, which both send before they read; one of them asks the other to send
//
// and then
//
//	sender   → receiver  data records …, one end record with what was sent
//	receiver → sender    report records while it runs …, one final record with what arrived
//
// The sender is the dialler, with -R the listener; in a rendezvous it is the end without -R, whose hello counts. UDT cannot close one direction, so that the end is a record and not
// the end of the stream. A record is a type, its length in 7 bytes, and its body.
const (
	perfMagic     = "udtperf1" // the last character is the version
	perfHelloLen  = 64
	perfAnswerLen = 16
	perfHeadLen   = 8
	perfTallyLen  = 32

	perfBlock      = 1 << 20  // data record that we send, header and all, bytes
	perfMaxRecord  = 16 << 20 // longest data record taken, bytes
	perfMaxStreams = 128
	perfMaxTime    = 24 * time.Hour
	perfMaxBytes   = 1 << 60
)

const (
	recordData   = 1
	recordEnd    = 2 // tally of the sender
	recordReport = 3 // tally of the receiver so far
	recordFinal  = 4 // tally of the receiver
)

// In a secure test both ends first say perfSecureMagic in the clear, so that a plain one and a secure one tell each other
// apart. The rest is said inside TLS.
const (
	perfSecureMagic = "udtperfs"
	perfProtocol    = "udtcp-perf/1"
)

// greetSecurePerf opens a secure test.
func greetSecurePerf(rw io.ReadWriter) error {
	if _, err := io.WriteString(rw, perfSecureMagic); err != nil {
		return err
	}
	b := make([]byte, len(perfSecureMagic))
	if _, err := io.ReadFull(rw, b); err != nil {
		return err
	}
	switch string(b) {
	case perfSecureMagic:
		return nil
	case perfMagic:
		return perfMismatch("plain", "secure")
	}
	return fail(exitAuth, "start 'udtcp perf --secure' there", "%w", errNotPerf)
}

func perfMismatch(there, here string) error {
	return fail(exitAuth, "give --secure at both ends or at neither", "the other end wants a %s test, this one is %s", there, here)
}

// perfHello asks for a test.
type perfHello struct {
	id             [16]byte // of the test: the same in all of its streams
	streams, index int
	reverse        bool          // the listener sends
	time           time.Duration // how long to send; 0: until bytes are sent
	bytes          int64         // what this stream sends; 0: until time is up
	every          time.Duration // how often the receiver reports
}

func (h perfHello) encode() []byte {
	b := make([]byte, perfHelloLen)
	copy(b, perfMagic)
	copy(b[8:], h.id[:])
	binary.BigEndian.PutUint16(b[24:], uint16(h.streams))
	binary.BigEndian.PutUint16(b[26:], uint16(h.index))
	if h.reverse {
		b[28] = 1
	}
	binary.BigEndian.PutUint64(b[32:], uint64(h.time))
	binary.BigEndian.PutUint64(b[40:], uint64(h.bytes))
	binary.BigEndian.PutUint64(b[48:], uint64(h.every))
	return b
}

var errNotPerf = errors.New("the other end is not 'udtcp perf'")

// parsePerfHello reads a hello and refuses what is out of bounds.
func parsePerfHello(b []byte) (perfHello, error) {
	if len(b) != perfHelloLen || string(b[:7]) != perfMagic[:7] {
		return perfHello{}, errNotPerf
	}
	if b[7] != perfMagic[7] {
		return perfHello{}, fmt.Errorf("the other end speaks version %s of perf, this is version 1", quote(string(b[7:8])))
	}
	h := perfHello{
		id:      [16]byte(b[8:24]),
		streams: int(binary.BigEndian.Uint16(b[24:])), index: int(binary.BigEndian.Uint16(b[26:])),
		reverse: b[28] == 1,
	}
	t, n, every := binary.BigEndian.Uint64(b[32:]), binary.BigEndian.Uint64(b[40:]), binary.BigEndian.Uint64(b[48:])
	rest := b[28]&^1 | b[29] | b[30] | b[31]
	for _, c := range b[56:] {
		rest |= c
	}
	switch {
	case rest != 0:
		return perfHello{}, errors.New("the other end asks for a kind of test that this version does not know")
	case h.streams < 1 || h.streams > perfMaxStreams || h.index >= h.streams:
		return perfHello{}, fmt.Errorf("a test has 1 to %d streams", perfMaxStreams)
	case t > uint64(perfMaxTime) || n > perfMaxBytes || t == 0 && n == 0:
		return perfHello{}, fmt.Errorf("a test lasts at most %s", perfMaxTime)
	case every < uint64(time.Millisecond) || every > uint64(perfMaxTime):
		return perfHello{}, errors.New("reports come every millisecond at most")
	}
	h.time, h.bytes, h.every = time.Duration(t), int64(n), time.Duration(every)
	return h, nil
}

// The listener's answers.
const (
	perfGo      = 0
	perfBusy    = 1
	perfRefused = 2
)

func encodePerfAnswer(code uint32) []byte {
	b := make([]byte, perfAnswerLen)
	copy(b, perfMagic)
	binary.BigEndian.PutUint32(b[8:], code)
	return b
}

func parsePerfAnswer(b []byte) error {
	if len(b) != perfAnswerLen || string(b[:8]) != perfMagic {
		return fail(exitNoLink, "start 'udtcp perf --listen' there", "%w", errNotPerf)
	}
	switch code := binary.BigEndian.Uint32(b[8:]); code {
	case perfGo:
		return nil
	case perfBusy:
		return fail(exitPolicy, "try again when it is done", "the other end is busy with another test")
	default:
		return fail(exitPolicy, "do both ends have the same version?", "the other end refused the test (reason %d)", code)
	}
}

// tally is what one end of a stream counted.
type tally struct {
	bytes   int64
	elapsed time.Duration // sender: since its first byte; receiver: since its first byte came
	cpu     time.Duration // of the whole process since the test began; 0 where it is not known
	lost    int64         // receiver: packets found missing
}

func appendTally(b []byte, kind byte, t tally) []byte {
	b = appendRecordHead(b, kind, perfTallyLen)
	b = binary.BigEndian.AppendUint64(b, uint64(t.bytes))
	b = binary.BigEndian.AppendUint64(b, uint64(t.elapsed))
	b = binary.BigEndian.AppendUint64(b, uint64(t.cpu))
	return binary.BigEndian.AppendUint64(b, uint64(t.lost))
}

func appendRecordHead(b []byte, kind byte, length int) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(kind)<<56|uint64(length))
}

// parseRecordHead reads a record's type and length and checks the length against the type.
func parseRecordHead(b []byte) (kind byte, length int, err error) {
	v := binary.BigEndian.Uint64(b)
	kind, n := byte(v>>56), v&(1<<56-1)
	switch {
	case kind == recordData && n > 0 && n <= perfMaxRecord:
	case (kind == recordEnd || kind == recordReport || kind == recordFinal) && n == perfTallyLen:
	default:
		return 0, 0, fmt.Errorf("the other end sent a record of type %d and %d bytes, which has no meaning", kind, n)
	}
	return kind, int(n), nil
}

func parseTally(b []byte) (tally, error) {
	var v [4]int64
	for i := range v {
		u := binary.BigEndian.Uint64(b[8*i:])
		if u > perfMaxBytes {
			return tally{}, errors.New("the other end sent a count beyond all bounds")
		}
		v[i] = int64(u)
	}
	return tally{bytes: v[0], elapsed: time.Duration(v[1]), cpu: time.Duration(v[2]), lost: v[3]}, nil
}

// readTally reads one record that is not data.
func readTally(r io.Reader) (kind byte, t tally, err error) {
	var buf [perfHeadLen + perfTallyLen]byte
	if _, err := io.ReadFull(r, buf[:perfHeadLen]); err != nil {
		return 0, tally{}, err
	}
	kind, _, err = parseRecordHead(buf[:])
	if err != nil {
		return 0, tally{}, err
	}
	if kind == recordData {
		return 0, tally{}, errors.New("the other end sends data where its count should come")
	}
	if _, err := io.ReadFull(r, buf[perfHeadLen:]); err != nil {
		return 0, tally{}, err
	}
	t, err = parseTally(buf[perfHeadLen:])
	return kind, t, err
}
