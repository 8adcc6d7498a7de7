package transfer

import (
	"bytes"
	"errors"
	"sync"
)

// found is what the walk came to, on its way from the scout to the producer: an entry, or why the walk ended.
type found struct {
	e    *outbound
	err  error
	over bool
}

// scout is the goroutine that walks ahead of the producer and asks, where the receiver answers, which files are there.
func (s *sender) scout() {
	asks, asked, filled := uint64(0), int64(0), s.early != nil
	keep := linksNotWanted(s.o.Links)
	if keep == "" && !s.terms.links {
		keep = "the receiver does not keep symbolic links, it runs without --links"
	}
	w := &walker{o: &s.o, stop: s.stop, say: s.notes.message, keep: keep, visit: func(e *outbound) error {
		var ask *askBody
		if s.terms.skip && e.Kind == entryFile && !s.unasked(e) {
			select {
			case s.open <- struct{}{}:
			case <-s.stop:
				return errOver
			}
			asks++
			e.Ask = asks
			if s.early == nil {
				ask = s.question(e, s.terms.sparse)
			}
		}
		if err := s.pass(found{e: e}); err != nil || ask == nil {
			return err
		}
		s.answers.asked(ask)
		s.pending.Add(1)
		if err := s.post(parcel{kind: frameAsk, ctl: ask}); err != nil || filled {
			return err
		}
		asked += ask.Size
		if f := fill(asked); f != nil {
			filled = true
			return s.post(parcel{kind: framePing, ctl: f, extra: true})
		}
		return nil
	}}
	// An error takes its turn: what comes before it in the walk is sent.
	if err := s.pass(found{err: w.walk(s.sources), over: true}); err != nil {
		return
	}
}

// sooner is up to how many bytes a lone file takes no longer to send than the answer would take to come.
const sooner = 64 << 10

// unasked tells whether a file is sent without a question. The receiver compares it with what is there.
func (s *sender) unasked(e *outbound) bool {
	only := s.only()
	return only != nil && only.info.Mode().IsRegular() && e.Size <= sooner && !s.o.Checksum
}

func (s *sender) pass(f found) error {
	select {
	case s.found <- f:
		return nil
	case <-s.stop:
		return errOver
	}
}

// firstQuestion is the one for the hello, before anything is known of the receiver: the only one about a file that is sent
// alone. It is made of what the scout will come to.
func (s *sender) firstQuestion() *askBody {
	only := s.only()
	if only == nil || only.stream || only.listed || !only.info.Mode().IsRegular() {
		return nil
	}
	e := newOutbound(entryFile, only.from, "", only.name, only.info)
	if s.unasked(e) {
		return nil
	}
	e.Ask = 1
	return s.question(e, true)
}

func (s *sender) question(e *outbound, sparse bool) *askBody {
	b := &askBody{Number: e.Ask, Path: e.path, Size: e.Size, Check: s.o.Checksum}
	if sparse {
		b.Holes = holesOf(e.info)
	}
	if s.o.Preserve {
		sec := e.info.ModTime().Unix()
		b.Mtime, b.Nanos = &sec, uint32(e.info.ModTime().Nanosecond())
	}
	return b
}

// answers are what the receiver said to the questions that are open.
type answers struct {
	wake chan struct{} // one token: there is an answer

	mu   sync.Mutex
	sent uint64 // questions sent
	next uint64 // the first without answer
	ring []skipBody
	open []*askBody // those sent and not answered
}

func newAnswers(most int) *answers {
	return &answers{wake: make(chan struct{}, 1), next: 1, ring: make([]skipBody, most), open: make([]*askBody, most)}
}

func (a *answers) asked(b *askBody) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent = b.Number
	a.open[b.Number%uint64(len(a.open))] = b
}

// question is the one with that number, nil if it is answered or was not asked.
func (a *answers) question(number uint64) *askBody {
	a.mu.Lock()
	defer a.mu.Unlock()
	if number < a.next || number > a.sent {
		return nil
	}
	return a.open[number%uint64(len(a.open))]
}

// come is how many answers have.
func (a *answers) come() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.next - 1
}

// put takes a frame of the receiver; false if it answers what was not asked.
func (a *answers) put(b skipBody) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if b.First != a.next || b.Count > a.sent-a.next+1 {
		return false
	}
	for range b.Count {
		a.ring[a.next%uint64(len(a.ring))] = b
		a.open[a.next%uint64(len(a.open))] = nil
		a.next++
	}
	select {
	case a.wake <- struct{}{}:
	default:
	}
	return true
}

// wait waits for an answer; ok is false when stop comes first. Only the producer calls it.
func (a *answers) wait(number uint64, stop <-chan struct{}) (b skipBody, ok bool) {
	for {
		a.mu.Lock()
		there := number < a.next
		if there {
			b = a.ring[number%uint64(len(a.ring))]
		}
		a.mu.Unlock()
		if there {
			return b, true
		}
		select {
		case <-a.wake:
		case <-stop:
			return b, false
		}
	}
}

// skipped takes the receiver's answer to an answerFrame.
func (s *sender) skipped(raw []byte) error {
	var b skipBody
	if err := parseBody(frameSkip, raw, &b); err != nil {
		return err
	}
	if s.answers == nil || !s.answers.put(b) {
		return damaged("answer to a question that was not asked")
	}
	return nil
}

// spared tells whether the receiver has the file, and if so passes on the entry that says so.
func (s *sender) spared(e *outbound) (bool, error) {
	if e.Ask == 0 {
		return false, nil
	}
	a, ok := s.answers.wait(e.Ask, s.stop)
	if !ok {
		return false, errOver
	}
	e.begun = a.Answer != answerSend
	switch a.Answer {
	case answerSend, answerPart:
		return false, nil
	case answerCompare:
		same, err := s.compare(e, a.Digest)
		if !same || err != nil {
			return false, err
		}
	}
	e.Kept = true
	if s.o.Preserve {
		e.setAttributes(e.info)
	}
	if !s.backlog.add(e, s.stop) {
		return false, errOver
	}
	return true, s.push(parcel{e: e, kind: frameEntry, ctl: &e.entryBody})
}

// compare reads a file and tells whether it has the digest of the receiver's.
func (s *sender) compare(e *outbound, digest []byte) (bool, error) {
	f, err := openSource(e.from)
	if err != nil {
		return false, localIO("open", e.from, e.path, err)
	}
	defer f.Close() // read only
	if changed, err := e.changed(f); err != nil || changed {
		return false, onlyIO("look at", e, err) // it is sent as it is now
	}
	d := newFileDigest(s.terms.chunk, s.terms.digest)
	if s.room == nil {
		s.room = d.buffer()
	}
	if err := d.addAll(f, s.room, s.stillAtIt()); err != nil {
		return false, onlyIO("read", e, err)
	}
	sum := d.sum()
	if !bytes.Equal(sum[:], digest) {
		return false, nil
	}
	e.Digest = sum[:]
	if d.sha != nil {
		e.SHA256 = d.sha.Sum(nil)
	}
	return true, e.unchanged(f)
}

// onlyIO makes an error of the source of what is none of ours.
func onlyIO(op string, e *outbound, err error) error {
	if err == nil || errors.Is(err, errOver) {
		return err
	}
	return localIO(op, e.from, e.path, err)
}
