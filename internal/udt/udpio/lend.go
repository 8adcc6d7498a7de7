package udpio

// A Lender has buffers for the messages of a read. Sockets that wait most of
// the time can share few.
type Lender interface {
	// Lend gives every message a buffer.
	Lend(ms []Message)
	// TakeBack takes them again and leaves Buf nil.
	TakeBack(ms []Message)
}

// LentReader is a Socket that has no need of buffers while it waits.
type LentReader interface {
	// ReadBatchLent is ReadBatch into buffers that l lends: messages come
	// without (Buf is nil) or with those of the read before. While nothing is
	// there to be read, l has them back; when the call has failed it may not.
	ReadBatchLent(ms []Message, l Lender) (int, error)
}
