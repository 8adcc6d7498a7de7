package transfer

// sink is where a receiver puts things: a directory tree, one file, or a pipe. Methods return an *Error, or errOver.
type sink interface {
	// offer looks at the offer and refuses early what cannot go well.
	offer(b *offerBody) error
	// open is told of each entry before any of its bytes come, in order. It makes directories, and finds what there is
	// already of a large file.
	open(e *inbound) error
	// small takes a whole, verified file. Several workers call it at once.
	small(e *inbound, b []byte) error
	// begin, write and finish take a large file or a stream, from the lane. Bytes are verified.
	begin(e *inbound) error
	write(e *inbound, b []byte, offset int64) error
	finish(e *inbound) error
	// hole takes n zeros at the end, so far, of a large file that has holes, from the lane.
	hole(e *inbound, offset int64, n int) error
	// existing describes the plain file that stands in a path's place, nil if there is none, and tells whether the place is
	// free; openExisting opens it.
	existing(path string) (there *standing, free bool)
	openExisting(path string) (partFile, error)
	// keep makes sure that the file of an entry that need not come is still there.
	keep(e *inbound) error
	// left is how many bytes of a path's file an earlier attempt may have left.
	left(path string) (int64, bool)
	// room makes sure that there is space for n more bytes.
	room(n int64) error
	// commit makes complete entries durable under their final names.
	commit(batch []*inbound) error
	// leave is told of each directory's end, when everything in it is committed.
	leave(dir *inbound) error
	// ordered tells whether bytes must be written in order.
	ordered() bool
	// where is the entry's path for people here.
	where(e *inbound) string
	// abandon gives up what is not complete. Nothing else runs by then.
	abandon(k keeping) error
}
