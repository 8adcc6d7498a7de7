package transfer

import (
	"io"
	"time"
)

// streamSink writes one file or stream to a pipe. A Write may hang for as long as the pipe's reader likes, so it has a
// goroutine of its own that the session can leave behind.
type streamSink struct {
	r      *receiver
	w      io.Writer
	jobs   chan []byte
	result chan error
	ended  chan struct{} // closed when no Write is under way any more, nor will be
}

func newStreamSink(r *receiver, w io.Writer) *streamSink {
	s := &streamSink{r: r, w: w, jobs: make(chan []byte), result: make(chan error, 1), ended: make(chan struct{})}
	go s.run()
	return s
}

func (s *streamSink) run() {
	defer close(s.ended)
	for {
		select {
		case b := <-s.jobs:
			n, err := s.w.Write(b)
			if err == nil && n < len(b) {
				err = io.ErrShortWrite
			}
			s.result <- err
		case <-s.r.stop:
			return
		}
	}
}

func (s *streamSink) offer(b *offerBody) error {
	if b.Shape == shapeMany {
		return refused("", "", "the sender offers several files, standard output takes one",
			"receive them into a directory with -o DIR/")
	}
	return nil
}

func (s *streamSink) open(*inbound) error          { return nil }
func (s *streamSink) small(*inbound, []byte) error { return nil } // ordered: the lane has them all
func (s *streamSink) begin(*inbound) error         { return nil }
func (s *streamSink) finish(*inbound) error        { return nil }
func (s *streamSink) leave(*inbound) error         { return nil }
func (s *streamSink) ordered() bool                { return true }
func (s *streamSink) where(*inbound) string        { return "" }

func (s *streamSink) write(e *inbound, b []byte, _ int64) error {
	select {
	case s.jobs <- b:
	case <-s.r.stop:
		return errOver
	}
	select {
	case err := <-s.result:
		if err != nil {
			return s.r.fault("write to the output", e, err)
		}
		return nil
	case <-s.r.stop:
		return errOver
	}
}

// Drainer is an output that knows whether its reader has taken what was written.
type Drainer interface {
	// Drain waits until the reader has taken everything, or stop is closed; that is no error. The error says that it
	// never will.
	Drain(stop <-chan struct{}) error
}

// commit is called when Write has returned for every byte.
func (s *streamSink) commit(batch []*inbound) error {
	d, ok := s.w.(Drainer)
	if !ok || len(batch) == 0 {
		return nil
	}
	if err := d.Drain(s.r.stop); err != nil {
		return s.r.fault("write to the output", batch[0], err)
	}
	if s.r.over() {
		return errOver
	}
	return nil
}

// abandon frees a Write that hangs, where the writer can be told to, or leaves it behind.
func (s *streamSink) abandon(keeping) error {
	if await(s.ended, pipePatience) {
		return nil
	}
	if d, ok := s.w.(interface{ SetWriteDeadline(time.Time) error }); ok && d.SetWriteDeadline(time.Unix(1, 0)) == nil {
		await(s.ended, pipePatience)
	}
	return nil
}
