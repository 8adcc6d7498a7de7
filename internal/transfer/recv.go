package transfer

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"
)

// receiver is the state of one Recv. Bytes go from the reader (intake) through the workers, which verify digests, and,
// unless a worker can store a small file on its own, through the lane into the sink; complete entries go to the
// committer, which makes them durable and writes the receipts, out through the outbox.
type receiver struct {
	*session
	o        RecvOptions
	open     func(dir string) (store, error)
	in       *intake
	frames   *frameReader // of the line that is up: the reader's
	terms    terms        // before the greeting: ours alone
	sink     sink         // from the greeting on
	progress *Progress

	pool    *pool
	verify  chan *chunk // to the workers
	lane    *lane
	repairs *repairs
	ledger  *ledger
	ready   chan *inbound // to the committer
	ends    chan *endBody // to the committer, one
	desk    *desk         // answers what the sender asks
	out     *outbox

	begun  chan struct{} // closed when the terms are known and the work has begun
	all    atomic.Bool   // every entry is here and verified or asked for again: the end frame came
	stored chan struct{} // closed when every entry is committed
	result Result        // the committer's until the session has parted
}

// Recv takes what a Send at the other end of conn sends. It returns nil only after everything is verified and durable
// (or taken by the writer) and the receipt for it was sent. The rules for conn, ctx and errors are those of Send.
//
// A Stdout whose Write hangs is left behind on failure, unless it has a SetWriteDeadline.
func Recv(ctx context.Context, conn io.ReadWriteCloser, o RecvOptions) (Result, error) {
	return receive(ctx, conn, o, func(dir string) (store, error) { return openStore(dir) })
}

// receive is Recv with a file system of the caller's.
func receive(ctx context.Context, conn io.ReadWriteCloser, o RecvOptions, open func(dir string) (store, error)) (Result, error) {
	begin := time.Now()
	for r, ln := newReceiver(o, open), lineOf(conn); ; r = r.successor() {
		r.key = ln.key
		if r.hub != nil {
			r.hub.enter(r.session, ln)
		}
		undo := r.heed(ctx)
		ln = r.converse(ctx, ln)
		undo()
		if r.sink != nil {
			if err := r.sink.abandon(r.keeps()); err != nil {
				r.notes.message("could not tidy up: " + reason(err))
			}
		}
		if r.hub != nil {
			r.hub.leave(r.session)
		}
		if ln == nil {
			r.result.Elapsed = time.Since(begin)
			if r.err != nil {
				r.result.Digest = ""
			}
			return r.result, r.outcome(ctx)
		}
		r.notes.message("the sender was started anew; what is here of its files is kept")
	}
}

func newReceiver(o RecvOptions, open func(dir string) (store, error)) *receiver {
	r := &receiver{
		session: newSession(nil), o: o, open: open, progress: o.Progress,
		ready: make(chan *inbound, maxParts), ends: make(chan *endBody, 1),
		repairs: &repairs{want: make(map[spot]*repair)}, out: newOutbox(),
		begun: make(chan struct{}), stored: make(chan struct{}),
	}
	r.in = &intake{r: r}
	if r.progress == nil {
		r.progress = new(Progress)
	}
	r.party, r.mode = r, mode(o.Secure)
	r.notes = &notes{onFile: o.OnFile, onMessage: o.OnMessage, onReconnect: o.OnReconnect}
	r.retry, r.hub = o.Retry.start(), o.Retry.Hub
	digest, err := checkDigest(o.Digest)
	if err == nil {
		err = checkDestinationOptions(o)
	}
	r.result.DigestAlgorithm = digest
	r.own = ownHello(roleRecv, digest, o.Software)
	if o.Links {
		r.own.can(featureLinks)
	}
	if r.retry.possible() {
		r.own.can(featureReconnect)
	}
	r.own.Ordered, r.own.Verify = o.Stdout != nil, o.Verify
	if err != nil {
		r.end(err) // the sender is to know why
	}
	return r
}

// successor takes everything from a sender that was started anew.
func (r *receiver) successor() *receiver {
	next := newReceiver(r.o, r.open)
	next.inherit(r.session)
	return next
}

// hello is what to say on the next connection.
func (r *receiver) hello() *helloBody {
	b := r.introduction()
	if r.attempt > 0 && r.has(r.begun) {
		b.Position = r.in.position()
	}
	return b
}

func (r *receiver) has(done chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// begin starts the work, or goes on with a sender that has come back.
func (r *receiver) begin(ln *line) error {
	if r.over() {
		return errOver
	}
	r.frames = ln.frames
	if !r.has(r.begun) {
		r.meet(ln)
		err := r.start(ln.terms, r.open)
		if q := ln.peer.Ask; err == nil && q != nil && r.terms.early {
			err = r.in.enquire(&asked{askBody: *q})
		}
		return err
	}
	if r.recognises(ln) && ln.terms.same(r.terms) {
		r.repairs.anew(r.out)
		r.desk.repeat(ln.peer.Answered)
		r.out.anew()
		return nil
	}
	if r.sink.ordered() && r.in.last > 0 {
		return &Error{
			Kind: KindLost, Msg: "the sender was started anew, and what went to the output cannot be taken back", tell: true,
			Hint: "run both again from the beginning",
		}
	}
	r.drain() // the sender is going to be told how much is here
	return errAfresh
}

// handle takes a frame of the sender.
func (r *receiver) handle(_ *line, h header, body []byte) (last bool, err error) {
	return r.in.handle(h, body)
}

// transmit is the receiver's part of the writer. After the final receipt it waits for the word that it arrived: what the
// sender knows we learn only from that.
func (r *receiver) transmit(ln *line) error {
	if err := r.out.run(r.session, ln); err != nil {
		return err
	}
	t := time.NewTimer(byePatience)
	defer t.Stop()
	select {
	case <-r.stop:
	case <-ln.down:
	case <-t.C:
		r.unconfirmed()
		abort(ln.conn)
		r.end(nil)
	}
	return nil
}

func (r *receiver) unconfirmed() {
	r.notes.message("the sender did not confirm the receipt; everything is in place here")
}

func (r *receiver) offset() int64 { return r.progress.Bytes() }

// patience: when everything is in place and the sender may know it, it is not waited for long.
func (r *receiver) patience(most time.Duration) time.Duration {
	if r.out.delivered.Load() {
		return min(most, lingerPatience)
	}
	return most
}

// lingerPatience is how long a receiver whose receipt went out keeps it for a sender that may not have got it.
const lingerPatience = 30 * time.Second

// keeps is what becomes of files that are not complete. What does not fit its digest is no use to anybody; a failing
// disk is not asked for more.
func (r *receiver) keeps() keeping {
	switch KindOf(r.err) {
	case KindIntegrity:
		return keepNothing
	case KindLocalIO:
		return keepRecorded
	}
	return keepAll
}

// openSink opens the destination. Nothing is touched there before the ends have agreed on what they do.
func (r *receiver) openSink(open func(dir string) (store, error)) error {
	if r.o.Stdout != nil {
		r.sink = newStreamSink(r, r.o.Stdout)
		return nil
	}
	dir, single := r.o.Dir, ""
	if r.o.File != "" {
		dir, single = filepath.Split(filepath.Clean(r.o.File))
		dir = filepath.Clean(dir)
	} else if err := makeDir(dir); err != nil {
		return localIO("make directory", dir, "", err)
	}
	st, err := open(dir)
	if err != nil {
		return localIO("open directory", dir, "", err)
	}
	r.sink = newFileSink(r, st, dir, single)
	return nil
}

// start begins the work, once the terms are known. It is called by the reader, before the first frame.
func (r *receiver) start(t terms, open func(dir string) (store, error)) error {
	if err := r.openSink(open); err != nil {
		return err
	}
	r.terms = t
	r.result.DigestAlgorithm = t.digest
	r.result.PeerSoftware = t.software
	n, most := fileChunks(t.chunk), t.window+spareChunks
	r.pool = newPool(n, max(n, most))
	r.ledger = newLedger(t.outstanding)
	r.verify = make(chan *chunk, max(n, most))
	r.lane = &lane{r: r, in: make(chan laneItem, max(n, most))}
	r.desk = newDesk(r, t.outstanding)
	r.do(r.desk.run)
	r.do(r.lane.run)
	r.do(func() { newCommitter(r).run() })
	for range hashers() {
		r.do(r.work)
	}
	close(r.begun)
	return nil
}

// hashers is how many goroutines hash, or store small files: more than one even on one processor, since storing waits.
func hashers() int { return min(max(runtime.GOMAXPROCS(0), 2), 8) }

// work verifies chunks, and stores files that are only one.
func (r *receiver) work() {
	for {
		select {
		case c := <-r.verify:
			if err := r.verified(c); err != nil {
				r.end(err)
				return
			}
		case <-r.stop:
			return
		}
	}
}

func (r *receiver) verified(c *chunk) error {
	e := c.in
	sum := c.hash()
	if c.hole {
		c.sum = sum // nothing came that could be wrong; the file's digest is checked at its end
	}
	c.good = sum == c.sum
	if c.n == 0 {
		c.good = true // an empty file: the bytes are none, the digest is checked below
	}
	if !r.small(e) {
		c.ready <- struct{}{}
		return nil
	}
	if !c.good {
		return r.again(c)
	}
	if c.repair {
		r.repairs.settle(c)
	}
	if root(c.node) != [32]byte(e.end.Digest) {
		return unsound("the file's digest is not what the sender says", e)
	}
	if r.terms.digest == SHA256 && sha256Of(c.payload()) != [32]byte(e.end.SHA256) {
		return unsound("the file's SHA-256 digest is not what the sender says", e)
	}
	if err := r.sink.small(e, c.payload()); err != nil {
		return err
	}
	n := c.n
	r.pool.put(c)
	r.took(r.out.took(int64(n)))
	return r.commit(e)
}

// small tells whether the entry is for one worker.
func (r *receiver) small(e *inbound) bool { return e.small(r.terms.chunk) && !r.sink.ordered() }

// resumes tells whether the entry is answered with what is here of it.
func (r *receiver) resumes(e *inbound) bool {
	return r.terms.resume && e.Kind == entryFile && !e.small(r.terms.chunk) && !r.sink.ordered()
}

// ordered tells whether the entry's bytes must be handed on in order.
func (r *receiver) ordered(e *inbound) bool { return e.Kind == entryStream || r.sink.ordered() }

// again asks for a bad chunk once more.
func (r *receiver) again(c *chunk) error {
	if err := r.repairs.ask(c, r.out); err != nil {
		return err
	}
	r.pool.put(c)
	return nil
}

// took shows progress; total is the session's verified bytes.
func (r *receiver) took(total int64) { r.progress.raise(total) }

// limit refuses more bytes than the user wants; a sum of sizes that is negative is more than there can be.
func (r *receiver) limit(n int64, path string) error {
	most := r.o.MaxSize
	if most <= 0 || n >= 0 && n <= most {
		return nil
	}
	return refused(path, path, fmt.Sprintf("the transfer is larger than %d bytes", most), "raise the limit with --max-size")
}

// commit passes a complete entry on.
func (r *receiver) commit(e *inbound) error {
	select {
	case r.ready <- e:
		return nil
	case <-r.stop:
		return errOver
	}
}

// drain waits until what has come is in the files, so that it can be kept.
func (r *receiver) drain() {
	select {
	case <-r.begun:
	default:
		return
	}
	if r.sink.ordered() {
		return
	}
	it := laneItem{passed: make(chan struct{})}
	select {
	case r.lane.in <- it:
	case <-r.stop:
		return
	}
	select {
	case <-it.passed:
	case <-r.stop:
	}
}

// lost is what an end of the connection means; nil if it is as good as any.
func (r *receiver) lost(err error) error {
	if r.out.delivered.Load() {
		// The sender may have had the receipt and ended well, so this is no failure.
		r.unconfirmed()
		return nil
	}
	if !r.all.Load() || r.repairs.close() {
		r.drain()
		return lost("before everything had come", err)
	}
	select {
	case <-r.stored:
	case <-r.stop:
		return errOver
	}
	return &Error{
		Kind: KindUnknown, Msg: "everything is in place here, but the connection was lost before the sender could be told",
		Hint: "compare the digests if it matters", Err: err,
	}
}
