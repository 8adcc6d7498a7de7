package transfer

import (
	"sync/atomic"
)

// Progress counts a running transfer. The zero value is ready; one goroutine or many may read it at any time while Send
// or Recv writes it. Use a fresh one for each transfer.
//
// At the receiver bytes count once they are verified and written; at the sender once the receiver says so. The two
// therefore agree, and neither runs ahead by what is buffered on the way.
type Progress struct {
	bytes, files           atomic.Int64
	totalBytes, totalFiles atomic.Int64 // plus one, so that the zero value means unknown
	name                   atomic.Pointer[string]
}

// Bytes is the payload moved and verified so far.
func (p *Progress) Bytes() int64 { return p.bytes.Load() }

// Total is the payload of the whole transfer in bytes, or -1 while it is not known.
func (p *Progress) Total() int64 { return p.totalBytes.Load() - 1 }

// Files is the number of files completed so far: durable at the receiver, at the sender confirmed by a receipt.
func (p *Progress) Files() int64 { return p.files.Load() }

// TotalFiles is the number of files in the transfer, or -1 while it is not known.
func (p *Progress) TotalFiles() int64 { return p.totalFiles.Load() - 1 }

// Name is the file being moved now, slash-separated and relative; empty before the first and for a stream without
// name. At the receiver it is the peer's word: see Quote.
func (p *Progress) Name() string {
	if s := p.name.Load(); s != nil {
		return *s
	}
	return ""
}

func (p *Progress) setName(name string) { p.name.Store(&name) }

// setTotals takes -1 for what is not known.
func (p *Progress) setTotals(bytes, files int64) {
	p.totalBytes.Store(bytes + 1)
	p.totalFiles.Store(files + 1)
}

// raise sets the byte count, unless it is further on already: several goroutines report.
func (p *Progress) raise(bytes int64) {
	for old := p.bytes.Load(); bytes > old; old = p.bytes.Load() {
		if p.bytes.CompareAndSwap(old, bytes) {
			return
		}
	}
}
