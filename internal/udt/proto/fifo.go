package proto

// A fifo is a queue on a slice, which is used again when the queue is empty or
// half of it was taken.
type fifo[T any] struct {
	q    []T
	head int
}

func (f *fifo[T]) empty() bool { return f.head == len(f.q) }
func (f *fifo[T]) front() T    { return f.q[f.head] }
func (f *fifo[T]) back() T     { return f.q[len(f.q)-1] }

// all returns what is queued, first to last.
func (f *fifo[T]) all() []T { return f.q[f.head:] }

func (f *fifo[T]) push(v T) {
	if f.head > 64 && f.head > len(f.q)/2 {
		n := copy(f.q, f.q[f.head:])
		f.q, f.head = f.q[:n], 0
	}
	f.q = append(f.q, v)
}

func (f *fifo[T]) pop() T {
	v := f.q[f.head]
	f.head++
	if f.head == len(f.q) {
		f.q, f.head = f.q[:0], 0
	}
	return v
}

// dropBack forgets the last of what is queued.
func (f *fifo[T]) dropBack() { f.q = f.q[:len(f.q)-1] }

// clear forgets what is queued.
func (f *fifo[T]) clear() { f.q, f.head = f.q[:0], 0 }

// putBack returns what was just taken.
func (f *fifo[T]) putBack(v T) {
	if f.head > 0 {
		f.head--
		f.q[f.head] = v
		return
	}
	f.q = append(f.q, v)
	copy(f.q[1:], f.q)
	f.q[0] = v
}
