package transfer

import "sync"

// inbound is an entry on its way in. The reader makes it and hands it on; whoever has it then, a worker or the lane,
// passes it to the committer.
type inbound struct {
	entryBody
	dir    string       // relative path of the directory it is in
	path   string       // relative path; "-" if it is a stream
	opened *inbound     // of a directory's end: the directory
	made   bool         // of a directory: it was not there before
	end    *fileEndBody // of a file: set by the reader before it passes on the last of it
	part   *part        // of a file, in the file sink
	there  *standing    // of a file that need not come
	free   bool         // of another file: nothing had its name
	target string       // of a symbolic link
	here   int64        // of a file that an earlier attempt began: bytes that need not come
	twice  int64        // of these, bytes that came all the same

	lane laneState // of a large file or a stream
	done bool      // under ledger.mu
}

const entryLeave = 0xff // inbound.Kind of a directory's end; not on the wire

// small tells whether the whole file is one chunk, and so is handled by one worker.
func (e *inbound) small(chunk int) bool { return e.Kind == entryFile && e.Size <= int64(chunk) }

// ledger keeps the entries that have no receipt yet, in order. Work on them ends in any order; receipts do not.
type ledger struct {
	mu    sync.Mutex
	ring  []*inbound
	first uint64 // number of the oldest without receipt
	next  uint64 // number of the next to come
}

func newLedger(outstanding int) *ledger {
	return &ledger{ring: make([]*inbound, outstanding), first: 1, next: 1}
}

// add enters the next entry; false if there are more outstanding than was agreed.
func (l *ledger) add(e *inbound) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next-l.first == uint64(len(l.ring)) {
		return false
	}
	l.ring[l.next%uint64(len(l.ring))] = e
	l.next++
	return true
}

// finish marks entries as complete.
func (l *ledger) finish(es []*inbound) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range es {
		e.done = true
	}
}

// pop removes the oldest entry if it is complete.
func (l *ledger) pop() *inbound {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := l.first % uint64(len(l.ring))
	if l.first == l.next || !l.ring[i].done {
		return nil
	}
	e := l.ring[i]
	l.ring[i] = nil
	l.first++
	return e
}

// repairs are the chunks that were asked for again.
type repairs struct {
	mu   sync.Mutex
	want map[spot]*repair
	gone bool // the sender has: nothing will come
}

type spot struct {
	id     uint64
	offset int64
}

type repair struct {
	e     *inbound
	n     int
	sum   [32]byte
	piece bool
	tries int
	out   bool // it came, and is being verified
}

const (
	maxRepairs = 64 // at a time; each may keep a file open
	maxTries   = 4  // for one chunk
)

// ask notes that c is bad and asks for it. The error says that the connection is beyond repair.
func (r *repairs) ask(c *chunk, out *outbox) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return lost("before everything had come", nil)
	}
	k := spot{c.id, c.offset}
	w := r.want[k]
	if w == nil {
		if len(r.want) >= maxRepairs {
			return unsound("too many chunks arrive damaged", c.in)
		}
		w = &repair{e: c.in, n: c.n, sum: c.sum, piece: c.piece}
		r.want[k] = w
	}
	w.out = false
	if w.tries++; w.tries > maxTries {
		return unsound("a chunk arrives damaged every time", c.in)
	}
	out.askAgain(k.question(w))
	return nil
}

func (k spot) question(w *repair) againBody {
	return againBody{ID: k.id, Offset: k.offset, Length: int64(w.n)}
}

// anew asks again, on a new connection, for all that has not come.
func (r *repairs) anew(out *outbox) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out.forget()
	for k, w := range r.want {
		if !w.out {
			out.askAgain(k.question(w))
		}
	}
}

// match fills in what a chunk that came again belongs to; false if it is none that was asked for.
func (r *repairs) match(c *chunk) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.want[spot{c.id, c.offset}]
	if w == nil || w.out || w.n != c.n || w.sum != c.sum || w.piece != c.piece {
		return false
	}
	w.out = true
	c.in = w.e
	return true
}

// close says that nothing will come any more, and tells whether something is missing.
func (r *repairs) close() (missing bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = true
	for _, w := range r.want {
		missing = missing || !w.out
	}
	return missing
}

// settle forgets a chunk that arrived well.
func (r *repairs) settle(c *chunk) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.want, spot{c.id, c.offset})
}

// unsound is for bytes that do not fit their digest.
func unsound(msg string, e *inbound) *Error {
	return &Error{
		Kind: KindIntegrity, Op: "receive", Path: e.path, name: e.path, Msg: msg,
		Hint: "check memory, disks and network cards at both ends, then run it again",
	}
}
