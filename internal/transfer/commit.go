package transfer

// committer is the goroutine that makes complete entries durable, several at a time, and then has the receipts written.
// While one batch is being synced the next gathers: the slower the disk, the larger the batches.
type committer struct {
	r    *receiver
	list *listDigest
	end  *endBody
	upTo uint64
}

func newCommitter(r *receiver) *committer {
	return &committer{r: r, list: newListDigest(r.terms.digest)}
}

func (c *committer) run() {
	batch := make([]*inbound, 0, maxParts)
	for {
		batch = batch[:0]
		select {
		case e := <-c.r.ready:
			batch = append(batch, e)
		case c.end = <-c.r.ends:
		case <-c.r.stop:
			return
		}
		batch = c.gather(batch)
		if err := c.commit(batch); err != nil {
			c.r.end(err)
			return
		}
		if c.end != nil && c.upTo == c.end.Entries {
			if err := c.finish(); err != nil {
				c.r.end(err)
			}
			return
		}
	}
}

// gather adds what is ready now.
func (c *committer) gather(batch []*inbound) []*inbound {
	for len(batch) < cap(batch) {
		select {
		case e := <-c.r.ready:
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}

func (c *committer) commit(batch []*inbound) error {
	if len(batch) == 0 {
		return nil
	}
	if err := c.r.sink.commit(batch); err != nil {
		return err
	}
	c.r.ledger.finish(batch)
	for e := c.r.ledger.pop(); e != nil; e = c.r.ledger.pop() {
		if err := c.receipt(e); err != nil {
			return err
		}
		c.upTo = e.ID
	}
	c.r.out.receipted(c.upTo)
	return nil
}

// receipt is called for each entry in order, when it and all before it are durable.
func (c *committer) receipt(e *inbound) error {
	switch e.Kind {
	case entryDir, entryLink:
		return nil
	case entryLeave:
		return c.r.sink.leave(e.opened)
	}
	f := FileDone{Name: e.path, Size: e.end.Size, Digest: e.end.hex(c.r.terms.digest), Resumed: e.here - e.twice}
	if e.Kept {
		f.Resumed = f.Size
	}
	c.list.add(f.Digest, e.path)
	c.r.result.add(f, e.Kept)
	c.r.progress.files.Store(int64(c.r.result.Files))
	c.r.notes.file(f)
	e.end = nil
	return nil
}

// finish compares totals and sends the final receipt.
func (c *committer) finish() error {
	c.r.result.Digest = c.list.sum()
	if c.end.Digest != c.r.result.Digest || c.end.Files != int64(c.r.result.Files) || c.end.Bytes != c.r.result.Bytes {
		return &Error{
			Kind: KindIntegrity, Op: "receive", Msg: "the digest of all files is not what the sender says",
			Hint: "run it again; if it comes back, compare the versions at both ends",
		}
	}
	close(c.r.stored)
	c.r.out.finish(&doneBody{Files: c.end.Files, Bytes: c.end.Bytes, Digest: c.end.Digest})
	return nil
}
