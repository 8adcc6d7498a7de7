package transfer

import "sync"

// backlog is what the sender remembers of entries until their receipts come: a bounded number, so that it can be far
// ahead without holding a whole manifest.
type backlog struct {
	room chan struct{} // a token for each entry in it

	mu    sync.Mutex
	ring  []*outbound
	first uint64 // the oldest
	next  uint64 // the next to come
}

func newBacklog(most int) *backlog {
	return &backlog{room: make(chan struct{}, most), ring: make([]*outbound, most), first: 1, next: 1}
}

// add numbers an entry and enters it, once there is room; false if stop comes first.
func (b *backlog) add(e *outbound, stop <-chan struct{}) bool {
	select {
	case b.room <- struct{}{}:
	case <-stop:
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e.ID = b.next
	b.ring[b.next%uint64(len(b.ring))] = e
	b.next++
	return true
}

// find is the entry with that number, if it has no receipt yet.
func (b *backlog) find(id uint64) *outbound {
	b.mu.Lock()
	defer b.mu.Unlock()
	if id < b.first || id >= b.next {
		return nil
	}
	return b.ring[id%uint64(len(b.ring))]
}

// pop removes the oldest entry if its number is at most upTo.
func (b *backlog) pop(upTo uint64) *outbound {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.first > upTo || b.first == b.next {
		return nil
	}
	i := b.first % uint64(len(b.ring))
	e := b.ring[i]
	b.ring[i] = nil
	b.first++
	<-b.room
	return e
}

// last is the highest number given.
func (b *backlog) last() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.next - 1
}

// popped is the number of the newest entry whose receipt has come.
func (b *backlog) popped() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.first - 1
}

// empty tells whether every entry has its receipt.
func (b *backlog) empty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.first == b.next
}

// keep holds the chunks of a pipe, in order, from when they are sent until the receiver has handed them on: a pipe
// cannot be read twice. What it gives back goes to its pool.
type keep struct {
	pool *pool
	mu   sync.Mutex
	list []kept
}

type kept struct {
	c     *chunk
	uses  int  // the writer has it, or will, so many times
	taken bool // by the receiver
}

// add takes a chunk that the writer is about to write. The writer must give it back.
func (k *keep) add(c *chunk) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list = append(k.list, kept{c: c, uses: 1})
}

// back takes a chunk from the writer.
func (k *keep) back(c *chunk) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.list {
		if k.list[i].c == c {
			k.list[i].uses--
		}
	}
	k.drop()
}

// lend finds a chunk for the writer to write again; nil if there is none.
func (k *keep) lend(offset int64, n int) *chunk {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.list {
		if h := &k.list[i]; h.c.offset == offset && h.c.n == n {
			h.uses++
			return h.c
		}
	}
	return nil
}

// lendAt is lend for the chunk at an offset.
func (k *keep) lendAt(offset int64) *chunk {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.list {
		if h := &k.list[i]; h.c.offset == offset {
			h.uses++
			return h.c
		}
	}
	return nil
}

// len is how many chunks are on their way.
func (k *keep) len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.list)
}

// release forgets what ends at offset or before it, and tells whether there was anything.
func (k *keep) release(offset int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.list {
		if h := &k.list[i]; h.c.end() <= offset {
			h.taken = true
		}
	}
	return k.drop()
}

func (k *keep) drop() (any bool) {
	rest := k.list[:0]
	for _, h := range k.list {
		if h.taken && h.uses == 0 {
			k.pool.put(h.c)
			any = true
			continue
		}
		rest = append(rest, h)
	}
	clear(k.list[len(rest):])
	k.list = rest
	return any
}
