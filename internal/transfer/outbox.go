package transfer

import (
	"sync"
	"sync/atomic"
)

// outbox is what the receiver has to say. Counters are sent as they stand when the connection takes them, so nobody
// waits here and nothing piles up: requests for chunks are bounded by maxRepairs.
type outbox struct {
	mu         sync.Mutex
	receipt    receiptBody
	newReceipt bool
	taken      takenBody
	newTaken   bool
	keptBytes  int64 // of taken.Bytes, those of files that did not have to come and of holes
	again      []againBody
	skips      []skipBody
	have       haveBody
	newHave    bool
	done       *doneBody

	wake      chan struct{} // one token: there is something
	drained   chan struct{} // one token: the answers to questions are on their way
	started   atomic.Bool   // the final receipt is on its way: the sender may know
	delivered atomic.Bool   // a connection has taken it
}

func newOutbox() *outbox {
	return &outbox{wake: make(chan struct{}, 1), drained: make(chan struct{}, 1)}
}

func (o *outbox) ring() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// receipted says that everything up to this number is complete.
func (o *outbox) receipted(upTo uint64) {
	o.mu.Lock()
	o.receipt.UpTo, o.newReceipt = upTo, true
	o.mu.Unlock()
	o.ring()
}

// took counts bytes as verified and handed on. Of a stream or large file it also says how far that is contiguous.
func (o *outbox) took(n int64) int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.taken.Bytes += n
	o.newTaken = true
	o.ring()
	return o.taken.Bytes
}

func (o *outbox) tookUpTo(n int64, id uint64, offset int64) int64 {
	o.mu.Lock()
	o.taken.ID, o.taken.Offset = id, offset
	o.mu.Unlock()
	return o.took(int64(n))
}

// keep counts the bytes of a file that did not have to come.
func (o *outbox) keep(n int64) int64 {
	o.spare(n)
	return o.took(n)
}

// spare says of bytes to be counted as taken that they need no room.
func (o *outbox) spare(n int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.keptBytes += n
}

// verified is how many bytes came, are verified and took room.
func (o *outbox) verified() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.taken.Bytes - o.keptBytes
}

// maxSkips is how many answers may wait for the connection.
const maxSkips = 1024

// waitSkip waits for room for an answer; false when stop comes first. Only the desk calls it.
func (o *outbox) waitSkip(stop <-chan struct{}) bool {
	for {
		o.mu.Lock()
		full := len(o.skips) >= maxSkips
		o.mu.Unlock()
		if !full {
			return true
		}
		select {
		case <-o.drained:
		case <-stop:
			return false
		}
	}
}

// skip answers a question.
func (o *outbox) skip(b skipBody) {
	o.mu.Lock()
	o.addSkip(b)
	o.mu.Unlock()
	o.ring()
}

func (o *outbox) addSkip(b skipBody) {
	if n := len(o.skips); n > 0 && b.Answer != answerCompare && o.skips[n-1].Answer == b.Answer && o.skips[n-1].Count < outstanding {
		o.skips[n-1].Count++
		return
	}
	o.skips = append(o.skips, b)
}

// skipsAnew replaces the answers that wait.
func (o *outbox) skipsAnew(all func(add func(skipBody))) {
	o.mu.Lock()
	o.skips = o.skips[:0]
	all(o.addSkip)
	o.mu.Unlock()
	o.ring()
}

// askAgain requests a chunk.
func (o *outbox) askAgain(b againBody) {
	o.mu.Lock()
	o.again = append(o.again, b)
	o.mu.Unlock()
	o.ring()
}

// has answers an entry, of which n bytes are here. The sender may wait for it.
func (o *outbox) has(id uint64, n int64) int64 {
	o.mu.Lock()
	o.have, o.newHave = haveBody{ID: id, Offset: n}, true
	o.mu.Unlock()
	return o.keep(n)
}

// alive says again how far verified bytes have got.
func (o *outbox) alive() { o.took(0) }

// finish sends the final receipt, after everything else.
func (o *outbox) finish(b *doneBody) {
	o.mu.Lock()
	o.done = b
	o.mu.Unlock()
	o.ring()
}

// collect appends the frames that are due.
func (o *outbox) collect(dst []byte) (frames []byte, last bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.again {
		if dst, err = appendFrame(dst, frameAgain, &o.again[i]); err != nil {
			return dst, false, err
		}
	}
	o.again = o.again[:0]
	for i := range o.skips {
		if dst, err = appendFrame(dst, frameSkip, &o.skips[i]); err != nil {
			return dst, false, err
		}
	}
	if len(o.skips) > 0 {
		o.skips = o.skips[:0]
		select {
		case o.drained <- struct{}{}:
		default:
		}
	}
	if o.newHave {
		if dst, err = appendFrame(dst, frameHave, &o.have); err != nil {
			return dst, false, err
		}
	}
	if o.newTaken {
		if dst, err = appendFrame(dst, frameTaken, &o.taken); err != nil {
			return dst, false, err
		}
	}
	if o.newReceipt {
		if dst, err = appendFrame(dst, frameReceipt, &o.receipt); err != nil {
			return dst, false, err
		}
	}
	o.newHave, o.newTaken, o.newReceipt = false, false, false
	if o.done != nil {
		dst, err = appendFrame(dst, frameDone, o.done)
	}
	return dst, o.done != nil, err
}

// forget drops the requests for chunks that wait.
func (o *outbox) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.again = o.again[:0]
}

// anew has everything said again that may have been lost with a connection.
func (o *outbox) anew() {
	o.mu.Lock()
	o.newTaken, o.newReceipt, o.newHave = true, o.receipt.UpTo > 0, o.have.ID > 0
	o.mu.Unlock()
	o.ring()
}

// run writes until the final receipt is out or the session ends.
func (o *outbox) run(s *session, ln *line) error {
	var frames []byte
	for {
		select {
		case <-o.wake:
		case <-ln.down:
			o.ring() // it was for somebody else
			return ln.err
		case <-s.stop:
			return errOver
		}
		var last bool
		var err error
		if frames, last, err = o.collect(frames[:0]); err != nil {
			return err
		}
		if s.over() {
			return errOver // our failure is all that matters now
		}
		if last {
			o.started.Store(true)
		}
		if len(frames) > 0 {
			var n int
			if n, err = ln.Write(frames); last && n == len(frames) {
				err = nil // an error behind the last byte: the sender may well have it
			}
		}
		if err != nil {
			return err
		}
		if last {
			o.delivered.Store(true)
			return nil
		}
	}
}
