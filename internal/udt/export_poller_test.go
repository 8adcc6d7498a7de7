package udt

import "github.com/udtcp/udtcp/internal/udt/udpio"

// HasNews tells whether p was woken since it was last looked at.
func (p *Poller) HasNews() bool { return p.news.Load() != nil }

// KernelReady is how many descriptors the kernel tells p of.
func (p *Poller) KernelReady() int {
	var l udpio.Look
	return len(l.At(p.kernel.Load(), 64))
}

// Waiting is how many calls wait.
func (p *Poller) Waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting
}
