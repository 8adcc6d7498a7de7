package transfer

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// sender is the state of one Send. The scout walks the sources, asks what of them the receiver has, and hands all to the
// producer, which reads files into chunks; hashers work out chunk
// digests side by side; the sealer, in order again, works out those of files; the writer packs frames and writes them.
// The reader takes receipts, and requests for chunks, which the mender serves.
type sender struct {
	*session
	o        SendOptions
	sources  []source
	terms    terms
	progress *Progress

	pool    *pool
	hash    chan *chunk
	seal    chan parcel // in order, to the sealer
	out     chan parcel // to the writer
	backlog *backlog
	keep    *keep         // nil if what is sent can be read again
	asked   chan request  // to the mender
	asks    int           // the reader's own
	totals  chan totals   // the count of the sources, once it is done
	found   chan found    // from the scout to the producer
	open    chan struct{} // a token for each question sent whose entry is not
	answers *answers      // to the scout's questions
	early   *askBody      // the only one, if it was in the hello
	room    []byte        // the producer's own, to compare files

	pending atomic.Int64  // parcels between producer and writer
	idle    chan struct{} // one token: the writer has nothing to do, or there are chunks again
	sent    atomic.Uint64 // number of the last entry that was sent to its end
	allSent atomic.Bool   // the end frame is on its way
	told    uint64        // entries up to this one were reported by an earlier sender of this session
	bye     chan struct{} // closed when the final receipt has come

	offered   *offerBody // the newest offer sent, the newest entry begun, the newest question: the writer's own
	latest    uint64
	askedUpTo uint64

	took   takenBody // the reader's own
	whole  endBody   // the sealer's, valid once allSent
	result Result    // the reader's until the session has parted
}

// parcel is a step of the manifest on its way to the writer: a control frame, or a chunk with what belongs around it.
type parcel struct {
	e      *outbound
	c      *chunk
	head   bool  // the entry frame goes first
	gap    *gap  // what follows in the file is not sent
	tail   bool  // the file's end comes last
	repair bool  // c was asked for again
	line   *line // on which that was
	extra  bool  // not of the manifest's making: from the mender or the sealer
	kind   frameType
	ctl    body // a control frame on its own
}

// Send moves o.Paths to a Recv at the other end of conn. It returns nil only after the receiver said that everything is
// verified and durable. conn must be a reliable, ordered stream whose Close unblocks Read and Write; one goroutine reads
// it while another writes.
//
// After success conn is left open, for the caller to close, and to drain: the word that the receipt arrived may still be
// on its way. On any error conn has been closed, by its Abort method if it has one and nothing need be drained. Cancelling
// ctx closes conn and returns the context's error. How long a silent peer is waited for is for conn to decide.
//
// A conn with a method PeerKey() string has authenticated its other end: then the transfer goes on over connections of the
// same key alone. If it has a method Enter(context.Context, []byte) error as well, that end has still to accept this one:
// Enter, which is called before anything else, says what it is given and waits for that. Its error is the first
// connection's end, and comes back as it is; of later ones see Connector.
//
// A Stdin whose Read hangs is left behind on failure, unless it has a SetReadDeadline.
func Send(ctx context.Context, conn io.ReadWriteCloser, o SendOptions) (Result, error) {
	begin := time.Now()
	for s, ln := newSender(o), lineOf(conn); ; s = s.successor() {
		s.key = ln.key
		if s.hub != nil {
			s.hub.enter(s.session, ln)
		}
		undo := s.heed(ctx)
		ln = s.converse(ctx, ln)
		undo()
		if s.hub != nil {
			s.hub.leave(s.session)
		}
		if ln == nil {
			s.result.Elapsed = time.Since(begin)
			return s.result, s.outcome(ctx)
		}
		s.notes.message("the receiver was started anew; what is complete there is not sent again")
	}
}

func newSender(o SendOptions) *sender {
	s := &sender{
		session: newSession(nil), o: o, progress: o.Progress,
		asked: make(chan request, maxRepairs), totals: make(chan totals, 1),
		idle: make(chan struct{}, 1), bye: make(chan struct{}),
	}
	if s.progress == nil {
		s.progress = new(Progress)
	}
	s.party, s.mode = s, mode(o.Secure)
	s.notes = &notes{onFile: o.OnFile, onMessage: o.OnMessage, onReconnect: o.OnReconnect}
	s.retry, s.hub = o.Retry.start(), o.Retry.Hub
	digest, err := checkDigest(o.Digest)
	s.result.DigestAlgorithm = digest
	if err == nil {
		s.sources, err = listSources(o)
	}
	if err != nil {
		s.end(err) // the receiver is to know why
	}
	s.own = ownHello(roleSend, digest, o.Software)
	if o.NoResume {
		s.own.Features = slices.DeleteFunc(slices.Clone(s.own.Features), func(f string) bool { return f == featureResume })
	}
	if o.Links {
		s.own.can(featureLinks)
	}
	if s.retry.possible() {
		s.own.can(featureReconnect)
	}
	s.own.Verify = o.Verify
	return s
}

// successor sends everything to a receiver that was started anew.
func (s *sender) successor() *sender {
	next := newSender(s.o)
	next.inherit(s.session)
	next.told = max(s.told, s.backlog.popped())
	return next
}

// hello is what to say on the next connection.
func (s *sender) hello() *helloBody {
	b := s.introduction()
	switch {
	case s.backlog == nil:
		b.Ask = s.firstQuestion()
	case s.attempt > 0:
		b.Answered = s.answers.come()
	}
	return b
}

// begin starts the work, or goes on where the receiver is.
func (s *sender) begin(ln *line) error {
	if s.over() {
		return errOver // there may be nothing to start with
	}
	if s.backlog == nil {
		s.meet(ln)
		if ln.terms.early {
			s.early = ln.own.Ask
		}
		s.do(s.count)
		s.start(ln.terms)
		return nil
	}
	if s.recognises(ln) && ln.terms.same(s.terms) {
		return nil
	}
	only := s.only()
	if only == nil || !only.stream {
		return errAfresh
	}
	e := &Error{
		Kind: KindLost, Msg: "the receiver was started anew, and what it had of the stream is gone", tell: true,
		Hint: "run both pipelines again from the beginning",
	}
	if s.allSent.Load() {
		e.Kind, e.Msg = KindUnknown, "the receiver was started anew after everything was sent, but before the receipt"
		e.Hint = seeThere
	}
	return e
}

func (s *sender) offset() int64 { return s.progress.Bytes() }

func (s *sender) patience(most time.Duration) time.Duration { return most }

// start begins the work, once the terms are known.
func (s *sender) start(t terms) {
	s.terms = t
	s.result.DigestAlgorithm = t.digest
	s.result.PeerSoftware = t.software
	n := fileChunks(t.chunk)
	only := s.only()
	windowed := only != nil && only.stream || t.ordered
	if windowed {
		n = t.window
	}
	s.pool = newPool(n, n)
	if windowed {
		s.keep = &keep{pool: s.pool}
	}
	s.backlog = newBacklog(t.outstanding)
	s.found = make(chan found, t.outstanding)
	s.open = make(chan struct{}, t.outstanding)
	s.answers = newAnswers(t.outstanding)
	if s.early != nil {
		s.answers.asked(s.early)
		s.askedUpTo = s.early.Number
	}
	s.hash = make(chan *chunk, n)
	s.seal = make(chan parcel, n)
	s.out = make(chan parcel, n)
	for range hashers() {
		s.do(s.work)
	}
	s.do(s.scout)
	s.do(s.sealAll)
	s.do(s.mend)
	s.do(func() {
		if err := s.produce(); err != nil {
			s.end(err)
		}
	})
}

// only is the one thing to send, if it is one and needs no directories made for it.
func (s *sender) only() *source {
	if len(s.sources) == 1 && !strings.Contains(s.sources[0].name, "/") {
		return &s.sources[0]
	}
	return nil
}

// work reads chunks and hashes them, as long as the processor has them at hand.
func (s *sender) work() {
	for {
		select {
		case c := <-s.hash:
			if c.from != nil {
				if err := c.from.fill(c, s.terms.chunk); err != nil {
					s.end(err)
					return
				}
			}
			c.sum = c.hash()
			c.ready <- struct{}{}
		case <-s.stop:
			return
		}
	}
}

// seeThere is the hint where running it again could bring everything twice.
const seeThere = "see there what became of it before you run it again"

// lost is what an end of the connection means.
func (s *sender) lost(err error) error {
	select {
	case <-s.bye:
		return nil // its last frame may have been ours
	default:
	}
	if !s.allSent.Load() {
		return lost("before everything was sent", err)
	}
	e := lost("after everything was sent, but before the receipt", err)
	e.Kind, e.Hint = KindUnknown, "run the same command again: that settles it"
	if only := s.only(); only != nil && only.stream || s.terms.ordered {
		e.Hint = seeThere
	}
	return e
}

// handle takes a frame of the receiver.
func (s *sender) handle(ln *line, h header, raw []byte) (last bool, err error) {
	switch h.kind {
	case frameReceipt:
		return false, s.receipt(raw)
	case frameTaken:
		return false, s.taken(raw)
	case frameAgain:
		return false, s.again(ln, raw)
	case frameSkip:
		return false, s.skipped(raw)
	case frameHave:
		return false, s.has(raw)
	case frameDone:
		return true, s.done(raw)
	}
	return false, damaged("%v frame from the receiver", h.kind)
}

func (s *sender) receipt(raw []byte) error {
	var b receiptBody
	if err := parseBody(frameReceipt, raw, &b); err != nil {
		return err
	}
	if b.UpTo > s.sent.Load() {
		return damaged("receipt for entry %d, which was not sent", b.UpTo)
	}
	for e := s.backlog.pop(b.UpTo); e != nil; e = s.backlog.pop(b.UpTo) {
		if e.Kind != entryFile && e.Kind != entryStream {
			continue
		}
		f := FileDone{Name: e.path, Size: e.end.Size, Digest: e.end.hex(s.terms.digest), Resumed: e.unsent}
		if e.Kept {
			f.Resumed = f.Size
		}
		s.result.add(f, e.Kept)
		s.progress.files.Store(int64(s.result.Files))
		if e.ID > s.told { // not before the receiver was started anew
			s.notes.file(f)
		}
	}
	return nil
}

func (s *sender) taken(raw []byte) error {
	b := &s.took // it comes with every chunk: allocate nothing
	*b = takenBody{}
	if err := parseBody(frameTaken, raw, b); err != nil {
		return err
	}
	s.progress.raise(b.Bytes)
	if s.keep != nil && b.ID == 1 && s.keep.release(b.Offset) {
		s.nudge()
	}
	return nil
}

// maxAsks is how many chunks a receiver may ask for again, all in all.
const maxAsks = 1024

func (s *sender) again(ln *line, raw []byte) error {
	var b againBody
	if err := parseBody(frameAgain, raw, &b); err != nil {
		return err
	}
	if s.asks++; s.asks <= maxAsks {
		select {
		case s.asked <- request{b, ln}:
			return nil
		default:
		}
	}
	return &Error{
		Kind: KindIntegrity, Op: "send", Msg: "too many chunks arrive damaged",
		Hint: "check memory and network cards at both ends, then run it again",
	}
}

func (s *sender) done(raw []byte) error {
	var b doneBody
	if err := parseBody(frameDone, raw, &b); err != nil {
		return err
	}
	if !s.allSent.Load() || !s.backlog.empty() {
		return damaged("final receipt before everything was sent")
	}
	if b.Files != s.whole.Files || b.Bytes != s.whole.Bytes || b.Digest != s.whole.Digest {
		return &Error{
			Kind: KindIntegrity, Op: "send", Msg: fmt.Sprintf("the receiver's digest of everything is %s, ours %s",
				Quote(b.Digest), s.whole.Digest),
			Hint: "run it again; if it comes back, compare the versions at both ends",
		}
	}
	s.result.Digest = b.Digest
	close(s.bye)
	return nil
}

// nudge wakes whoever waits for the writer to be idle.
func (s *sender) nudge() {
	select {
	case s.idle <- struct{}{}:
	default:
	}
}
