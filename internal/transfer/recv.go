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
	terms    terms // before the greeting: ours alone
	sink     sink  // from the greeting on
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
	r := &receiver{
		session: newSession(conn), o: o, progress: o.Progress,
		ready: make(chan *inbound, maxParts), ends: make(chan *endBody, 1),
		repairs: &repairs{want: make(map[spot]*repair)}, out: newOutbox(),
		begun: make(chan struct{}), stored: make(chan struct{}),
	}
	if r.progress == nil {
		r.progress = new(Progress)
	}
	r.notes = notes{onFile: o.OnFile, onMessage: o.OnMessage}
	r.session.lost, r.mode = r.lost, mode(o.Secure)
	digest, err := checkDigest(o.Digest)
	if err == nil {
		err = checkDestinationOptions(o)
	}
	r.result.DigestAlgorithm = digest
	own := ownHello(roleRecv, digest, o.Software)
	if o.Links {
		own.can(featureLinks)
	}
	own.Ordered, own.Verify = o.Stdout != nil, o.Verify
	if err != nil {
		r.end(err) // the sender is to know why
	}
	undo := r.watch(ctx)
	r.run(own, open)
	r.part()
	undo()
	if r.sink != nil {
		if err := r.sink.abandon(r.keeps()); err != nil {
			r.notes.message("could not tidy up: " + reason(err))
		}
	}
	r.result.Elapsed = time.Since(begin)
	if r.err != nil {
		r.result.Digest = ""
	}
	return r.result, r.outcome(ctx)
}

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

// run starts the goroutines and returns when the session has ended.
func (r *receiver) run(own *helloBody, open func(dir string) (store, error)) {
	greeted := make(chan terms, 1)
	in := &intake{r: r}
	go r.write(own, func() error { return r.out.run(r.session) })
	go r.read(own, greeted, func(h header, body []byte) (bool, error) {
		if r.pool == nil {
			if err := r.start(<-greeted, open); err != nil {
				return false, err
			}
		}
		return in.handle(h, body)
	})
	select {
	case <-r.stop:
		return
	case <-r.out.final:
	}
	if r.out.failed != nil {
		<-r.stop // the writer and the reader agree on what to call it
		return
	}
	// The receipt is out. What the sender knows now we learn only if its word comes back.
	if !await(r.readerDone, byePatience) {
		r.notes.message("the sender did not confirm the receipt; everything is in place here")
		r.abort()
		<-r.readerDone
	}
	r.end(nil)
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
	if err := r.repairs.ask(c); err != nil {
		return err
	}
	b := againBody{ID: c.id, Offset: c.offset, Length: int64(c.n)}
	r.pool.put(c)
	r.out.askAgain(b)
	return nil
}

// took shows progress; total is the session's verified bytes.
func (r *receiver) took(total int64) { r.progress.raise(total) }

// limit refuses more bytes than the user wants.
func (r *receiver) limit(n int64, path string) error {
	most := r.o.MaxSize
	if most <= 0 || n <= most {
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
	unknown := &Error{
		Kind: KindUnknown, Msg: "everything is in place here, but the connection was lost before the sender could be told",
		Hint: "compare the digests if it matters", Err: err,
	}
	wait := r.stored
	if r.out.started.Load() {
		wait = r.out.final
	} else if !r.all.Load() || r.repairs.close() {
		r.drain()
		return lost("before everything had come", err)
	}
	select {
	case <-wait:
	case <-r.stop:
		return errOver
	}
	if wait == r.stored || r.out.failed != nil {
		return unknown
	}
	// The sender may have had the receipt and ended well, so this is no failure.
	r.notes.message("the sender did not confirm the receipt; everything is in place here")
	return nil
}
