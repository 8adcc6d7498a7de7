package transfer

import (
	"fmt"
	"slices"
)

// stage is where the sender is in its manifest, as far as the receiver has read.
type stage int

const (
	stageOffer   stage = iota // nothing has come
	stageBetween              // between entries
	stageInside               // inside a file or stream
	stageEnded                // behind the end
)

var stageNames = [...]string{"before the offer", "between entries", "inside a file", "after the end"}

func (s stage) String() string { return stageNames[s] }

// expected says which frames may come when. A repair is a data frame that may come at any stage but the first, a question
// may come at any but the last.
var expected = map[stage][]frameType{
	stageOffer:   {frameOffer, framePing},
	stageBetween: {frameOffer, frameEntry, frameLink, frameDirEnd, frameEnd, framePing},
	stageInside:  {frameOffer, frameData, frameHole, frameFileEnd, framePing},
	stageEnded:   {frameOffer, frameBye, framePing},
}

// intake is the reader's part of the receiver: the sender's frames, in the only order they may come.
type intake struct {
	r     *receiver
	stage stage
	shape uint8
	known bool       // the totals have come
	files int64      // files and streams begun
	bytes int64      // payload announced by data frames
	last  uint64     // number of the newest entry
	dirs  []*inbound // that are open, outermost first
	cur   *inbound   // the file whose bytes come
	got   int64      // how many have
	held  *chunk     // the only chunk of a small file, until the file's end
}

func (in *intake) handle(h header, body []byte) (last bool, err error) {
	if h.kind == frameData && h.flags&flagRepair != 0 && in.stage != stageOffer {
		return false, in.repaired(h, body)
	}
	if h.kind == frameAsk && in.stage != stageEnded {
		return false, in.question(body)
	}
	if !slices.Contains(expected[in.stage], h.kind) {
		return false, damaged("%v frame %v", h.kind, in.stage)
	}
	switch h.kind {
	case frameOffer:
		err = in.offer(body)
	case frameEntry:
		err = in.entry(body)
	case frameHole:
		err = in.hole(body)
	case frameLink:
		err = in.link(body)
	case frameData:
		err = in.data(h, body)
	case frameFileEnd:
		err = in.fileEnd(body)
	case frameDirEnd:
		err = in.dirEnd(body)
	case frameEnd:
		err = in.end(body)
	case framePing:
		err = parseBody(framePing, body, new(pingBody))
	case frameBye:
		return in.bye(body)
	}
	return false, err
}

func (in *intake) offer(raw []byte) error {
	var b offerBody
	if err := parseBody(frameOffer, raw, &b); err != nil {
		return err
	}
	if in.known || in.stage != stageOffer && b.Shape != in.shape {
		return damaged("offer made twice")
	}
	first := in.stage == stageOffer
	in.shape = b.Shape
	if first {
		in.stage = stageBetween
	}
	in.known = b.Bytes >= 0 || b.Shape == shapeStream
	if err := in.r.limit(max(b.Bytes, 0), ""); err != nil {
		return err
	}
	if first && (b.Shape == shapeStream || in.r.sink.ordered()) {
		// Now as many as the window may be held behind a chunk that is missing.
		in.r.pool.grow(max(in.r.terms.window+spareChunks-fileChunks(in.r.terms.chunk), 0))
	}
	in.r.progress.setTotals(b.Bytes, b.Files)
	b.Bytes = max(b.Bytes-in.bytes, 0)
	return in.r.sink.offer(&b)
}

func (in *intake) entry(raw []byte) error {
	e := &inbound{}
	if err := parseBody(frameEntry, raw, &e.entryBody); err != nil {
		return err
	}
	if err := in.place(e); err != nil {
		return err
	}
	if e.Ask != 0 {
		if err := in.asked(e); err != nil {
			return err
		}
	}
	if e.Kind == entryDir {
		in.dirs = append(in.dirs, e)
	} else {
		if !e.Kept {
			in.cur, in.got, in.stage = e, 0, stageInside
		}
		in.files++
		in.r.progress.setName(e.path)
		if err := in.r.limit(in.bytes+max(e.Size, 0), e.path); err != nil {
			return err
		}
	}
	if e.Kept {
		return in.kept(e)
	}
	if err := in.r.sink.open(e); err != nil {
		return err
	}
	if err := in.number(e); err != nil {
		return err
	}
	if e.Kind == entryDir {
		return in.r.commit(e)
	}
	if in.r.resumes(e) {
		in.got = e.here
		in.bytes += e.here
		in.r.took(in.r.out.has(e.ID, e.here))
	}
	return nil
}

// place checks the entry's name, and that it fits the offer, and works out its path.
func (in *intake) place(e *inbound) error {
	one := in.shape != shapeMany
	switch {
	case one && in.last > 0:
		return damaged("a second entry in an offer of one")
	case (in.shape == shapeStream) != (e.Kind == entryStream), one && e.Kind != entryFile && e.Kind != entryStream:
		return damaged("an entry that was not offered")
	}
	if e.Kind == entryStream {
		e.path = "-"
		return nil
	}
	if n := len(in.dirs); n > 0 {
		e.dir = in.dirs[n-1].path
	}
	e.path = joinPath(e.dir, e.Name)
	fault := nameFault(e.Name)
	switch {
	case fault != "":
	case len(e.path) > maxPath:
		fault = fmt.Sprintf("with its directories it is longer than %d bytes", maxPath)
	case len(in.dirs) >= maxDepth:
		fault = fmt.Sprintf("it is in more than %d directories", maxDepth)
	}
	if fault != "" {
		return refused(e.path, e.path, "the name is not allowed: "+fault, "rename it at the sender")
	}
	return nil
}

func joinPath(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// number checks and enters the entry's number.
func (in *intake) number(e *inbound) error {
	if e.ID != in.last+1 {
		return damaged("entry %d after entry %d", e.ID, in.last)
	}
	in.last = e.ID
	if !in.r.ledger.add(e) {
		return damaged("more entries without receipt than agreed")
	}
	return nil
}

func (in *intake) data(h header, body []byte) error {
	e := in.cur
	p, err := parsePlace(body)
	if err != nil {
		return err
	}
	n := h.length - dataHead
	piece := h.flags&flagPiece != 0
	chunk := int64(in.r.terms.chunk)
	again := e.twice < e.here && in.got == e.here && p.offset == e.twice // it was sent before our answer came
	switch {
	case p.id != e.ID || p.offset != in.got && !again:
		return damaged("data frame out of place")
	case n > int(chunk):
		return damaged("data frame of %d bytes", h.length)
	case e.Kind == entryFile && (piece || int64(n) != min(chunk, e.Size-p.offset)):
		return damaged("data frame that does not fit its file")
	case e.Kind == entryStream && !piece && (p.offset%chunk != 0 || int64(n) != chunk):
		return damaged("data frame that is no chunk")
	}
	if again {
		return in.passOver(h, p)
	}
	if e.Kind == entryStream {
		if err := in.r.limit(in.bytes+int64(n), e.path); err != nil {
			return err
		}
	}
	c, err := in.read(h, p)
	if err != nil {
		return err
	}
	in.got += int64(n)
	in.bytes += int64(n)
	c.in = e
	if in.r.small(e) {
		in.held = c // one worker gets it, with the file's end
		return nil
	}
	return in.pass(c)
}

// passOver drops a chunk that is here already.
func (in *intake) passOver(h header, p place) error {
	c, err := in.read(h, p)
	if err != nil {
		return err
	}
	in.cur.twice += int64(c.n)
	in.r.pool.put(c)
	return nil
}

// read takes a data frame's payload off the connection.
func (in *intake) read(h header, p place) (*chunk, error) {
	c := in.r.pool.get(in.r.stop)
	if c == nil {
		return nil, errOver
	}
	c.place, c.n = p, h.length-dataHead
	c.piece, c.repair = h.flags&flagPiece != 0, h.flags&flagRepair != 0
	if err := in.r.frames.payload(c.space(in.r.terms.chunk)[:c.n]); err != nil {
		in.r.pool.put(c)
		return nil, err
	}
	return c, nil
}

// position says to a sender that has come back how far its manifest has been read.
func (in *intake) position() *position {
	p := &position{Stage: uint8(in.stage), Last: in.last, Totals: in.known, Asked: in.r.desk.asked()}
	if in.stage == stageInside {
		p.Offset = in.got
	}
	return p
}

// pass gives a chunk to the workers and, unless one of them handles it all, to the lane.
func (in *intake) pass(c *chunk) error {
	small := in.r.small(c.in)
	in.r.verify <- c // has room for every chunk there is
	if small {
		return nil
	}
	return in.toLane(laneItem{c: c})
}

func (in *intake) toLane(it laneItem) error {
	select {
	case in.r.lane.in <- it:
		return nil
	case <-in.r.stop:
		return errOver
	}
}

// repaired takes a chunk that was asked for again.
func (in *intake) repaired(h header, body []byte) error {
	p, err := parsePlace(body)
	if err != nil {
		return err
	}
	if h.length-dataHead > in.r.terms.chunk {
		return damaged("data frame of %d bytes", h.length)
	}
	c, err := in.read(h, p)
	if err != nil {
		return err
	}
	if !in.r.repairs.match(c) {
		return damaged("data frame that was not asked for")
	}
	return in.pass(c)
}

func (in *intake) fileEnd(raw []byte) error {
	e, b := in.cur, new(fileEndBody)
	if err := parseBody(frameFileEnd, raw, b); err != nil {
		return err
	}
	switch {
	case b.ID != e.ID || b.Size != in.got || e.Kind == entryFile && b.Size != e.Size:
		return damaged("end of file that does not fit the file")
	case (b.SHA256 != nil) != (in.r.terms.digest == SHA256):
		return damaged("end of file with other digests than agreed")
	}
	e.end = b
	in.cur, in.stage = nil, stageBetween
	if !in.r.small(e) {
		return in.toLane(laneItem{end: e})
	}
	c := in.held
	in.held = nil
	if c == nil { // an empty file
		if c = in.r.pool.get(in.r.stop); c == nil {
			return errOver
		}
		c.in, c.id = e, e.ID
	}
	return in.pass(c)
}

func (in *intake) dirEnd(raw []byte) error {
	var b dirEndBody
	if err := parseBody(frameDirEnd, raw, &b); err != nil {
		return err
	}
	n := len(in.dirs)
	if n == 0 {
		return damaged("end of a directory that is not open")
	}
	e := &inbound{opened: in.dirs[n-1], path: in.dirs[n-1].path}
	e.ID, e.Kind = b.ID, entryLeave
	in.dirs = in.dirs[:n-1]
	if err := in.number(e); err != nil {
		return err
	}
	return in.r.commit(e)
}

func (in *intake) end(raw []byte) error {
	b := new(endBody)
	if err := parseBody(frameEnd, raw, b); err != nil {
		return err
	}
	if len(in.dirs) > 0 || b.Entries != in.last || b.Files != in.files || b.Bytes != in.bytes {
		return damaged("end that does not fit what came")
	}
	if in.shape != shapeMany && in.files != 1 {
		return damaged("end without the file that was offered")
	}
	in.stage = stageEnded
	in.r.all.Store(true)
	in.r.ends <- b // one place, one end
	return nil
}

func (in *intake) bye(raw []byte) (last bool, err error) {
	if err := parseBody(frameBye, raw, new(byeBody)); err != nil {
		return false, err
	}
	if !in.r.out.started.Load() {
		return false, damaged("bye before the receipt")
	}
	in.r.end(nil)
	return true, nil
}
