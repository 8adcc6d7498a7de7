package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// perfStream is one connection of a test.
type perfStream struct {
	l     link
	hello perfHello
	sends bool
	start time.Time // of the test at this end
	cpu0  time.Duration

	sent, got atomic.Int64          // payload handed to the link, taken from it
	report    atomic.Pointer[tally] // what the receiver last said; sender only

	// Set once run returned nil: what the sender sent and what the receiver got.
	sender, receiver tally
}

// run moves the data of one stream and exchanges the counts. It closes the link when all went well; on an error that is
// the caller's, for all streams at once.
func (s *perfStream) run() error {
	s.start, s.cpu0 = time.Now(), cpuTime()
	if s.sends {
		return s.send()
	}
	return s.receive()
}

func (s *perfStream) send() error {
	final := make(chan error, 1)
	go func() { final <- s.readReports() }()
	src := &recordSource{s: s, block: perfPattern(), until: s.hello.time, left: s.hello.bytes}
	err := src.writeTo(s.l)
	if err == nil {
		s.sender = tally{bytes: s.sent.Load(), elapsed: time.Since(s.start), cpu: cpuTime() - s.cpu0}
		_, err = s.l.Write(appendTally(nil, recordEnd, s.sender))
	}
	if err != nil {
		return &linkFault{err}
	}
	if err := <-final; err != nil {
		return err
	}
	// The receiver waits for our end, so that this ends at once; it has all of it whatever Close says.
	_ = s.l.Close()
	return nil
}

// readReports takes the receiver's counts until the final one.
func (s *perfStream) readReports() error {
	for {
		kind, t, err := readTally(s.l)
		if err != nil {
			return perfLinkError(err)
		}
		switch kind {
		case recordReport:
			s.report.Store(&t)
		case recordFinal:
			s.report.Store(&t)
			s.receiver = t
			return nil
		default:
			return fail(exitLost, "", "the other end sent a sender's record")
		}
	}
}

func (s *perfStream) receive() error {
	sink := &recordSink{got: &s.got}
	stop := make(chan struct{})
	reports := make(chan error, 1)
	go func() { reports <- s.writeReports(sink, stop) }()
	_, err := io.Copy(sink, s.l) // a link that is an io.WriterTo shows its packets where they lie
	close(stop)
	reportErr := <-reports
	if !sink.ended {
		switch {
		case sink.bad != nil:
			return fail(exitLost, "", "%w", sink.bad)
		case err == nil:
			err = io.ErrUnexpectedEOF
		}
		return perfLinkError(err)
	}
	if reportErr != nil {
		return &linkFault{reportErr}
	}
	s.sender = sink.end
	s.receiver = s.count(sink)
	if s.receiver.bytes != s.sender.bytes {
		return fail(exitIntegrity, "", "%d bytes were sent and %d came", s.sender.bytes, s.receiver.bytes)
	}
	if _, err := s.l.Write(appendTally(nil, recordFinal, s.receiver)); err != nil {
		return &linkFault{err}
	}
	// The sender closes once it has read that. Whichever way the link ends now, both counts are known here.
	_, _ = io.Copy(io.Discard, s.l)
	_ = s.l.Close()
	return nil
}

func (s *perfStream) count(sink *recordSink) tally {
	st := s.l.Stats(false)
	t := tally{bytes: s.got.Load(), cpu: cpuTime() - s.cpu0, lost: st.PktRcvLossTotal}
	if first := sink.first.Load(); first != nil {
		t.elapsed = time.Since(*first)
	}
	return t
}

// writeReports tells the sender from time to time what has come, until stop is closed.
func (s *perfStream) writeReports(sink *recordSink, stop <-chan struct{}) error {
	tick := time.NewTicker(s.hello.every)
	defer tick.Stop()
	buf := make([]byte, 0, perfHeadLen+perfTallyLen)
	for {
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
		if _, err := s.l.Write(appendTally(buf[:0], recordReport, s.count(sink))); err != nil {
			return err
		}
	}
}

// perfLinkError tells a connection that ended from one that broke; in the middle of a test both are a loss.
func perfLinkError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fail(exitLost, "", "the other end closed the connection before the test was over")
	}
	return &linkFault{err}
}

// perfPattern is a data record with a payload that no compressing link can make smaller.
var perfPattern = sync.OnceValue(func() []byte {
	b := appendRecordHead(make([]byte, 0, perfBlock), recordData, perfBlock-perfHeadLen)[:perfBlock]
	r := rand.NewChaCha8([32]byte{})
	_, _ = r.Read(b[perfHeadLen:]) // never fails
	return b
})

// recordSource gives data records until time is up or all bytes are given.
type recordSource struct {
	s     *perfStream
	block []byte        // a whole record; never written to
	until time.Duration // 0: no limit
	left  int64         // bytes still to give; meaningful where hello.bytes is not 0
}

// next gives the next record, nil when it is over.
func (r *recordSource) next() []byte {
	if r.until > 0 && time.Since(r.s.start) >= r.until {
		return nil
	}
	size := int64(len(r.block) - perfHeadLen)
	b := r.block
	if r.s.hello.bytes > 0 {
		if r.left == 0 {
			return nil
		}
		if r.left < size {
			size = r.left
			b = append(appendRecordHead(nil, recordData, int(size)), r.block[perfHeadLen:perfHeadLen+size]...)
		}
		r.left -= size
	}
	r.s.sent.Add(size)
	return b
}

func (r *recordSource) writeTo(w io.Writer) error {
	for b := r.next(); b != nil; b = r.next() {
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// recordSink takes the sender's records, counts their payload and stops at the end record.
type recordSink struct {
	got   *atomic.Int64
	first atomic.Pointer[time.Time] // when the first byte came

	head  [perfHeadLen + perfTallyLen]byte
	have  int // of a head, or of the end record with its body
	left  int // of a data record
	end   tally
	ended bool
	bad   error // what the sender did wrong
}

var errPerfEnd = errors.New("end of test")

func (r *recordSink) Write(p []byte) (int, error) {
	if r.first.Load() == nil {
		now := time.Now()
		r.first.Store(&now)
	}
	n := 0
	for n < len(p) {
		if r.ended {
			r.bad, r.ended = errors.New("the other end goes on after its end"), false
			return n, r.bad
		}
		if r.left > 0 {
			k := min(r.left, len(p)-n)
			r.left -= k
			n += k
			r.got.Add(int64(k))
			continue
		}
		want := perfHeadLen
		if r.have >= perfHeadLen {
			want = len(r.head)
		}
		k := copy(r.head[r.have:want], p[n:])
		r.have += k
		n += k
		if err := r.step(); err != nil {
			r.bad = err
			return n, err
		}
	}
	if r.ended {
		return n, errPerfEnd
	}
	return n, nil
}

// step acts on a head, or on the end record, that is complete.
func (r *recordSink) step() error {
	switch r.have {
	case perfHeadLen:
		kind, length, err := parseRecordHead(r.head[:])
		switch {
		case err != nil:
			return err
		case kind == recordData:
			r.left, r.have = length, 0
		case kind != recordEnd:
			return fmt.Errorf("the other end sent a record of type %d, which a sender has no use for", kind)
		}
	case len(r.head):
		t, err := parseTally(r.head[perfHeadLen:])
		if err != nil {
			return err
		}
		r.end, r.ended = t, true
	}
	return nil
}

// perfTest is all streams of one test.
type perfTest struct {
	streams  []*perfStream
	emulated string // the simulated path between both ends; empty where it is a real one
}

// run moves the data of all streams. Should one fail, or ctx end, all are aborted. The links are closed when it returns.
func (t *perfTest) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, t.abort)
	defer stop()
	var wg sync.WaitGroup
	for _, s := range t.streams {
		wg.Go(func() {
			if err := s.run(); err != nil {
				cancel(err) // the first one counts
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		t.abort()
		return context.Cause(ctx)
	}
	return nil
}

func (t *perfTest) abort() {
	for _, s := range t.streams {
		_ = s.l.Abort() // the error that led here is the one to report
	}
}

// moved changes whenever anything did, for the watchdog.
func (t *perfTest) moved() int64 {
	n := int64(0)
	for _, s := range t.streams {
		n += s.sent.Load() + s.got.Load()
		if r := s.report.Load(); r != nil {
			n += r.bytes
		}
	}
	return n
}
