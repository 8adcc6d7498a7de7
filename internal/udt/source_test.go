package udt

import (
	"sync"
	"testing"
)

// A toggle is a member of Pollers that a test makes ready and unready.
type toggle struct {
	mu     sync.Mutex
	source source
}

func (x *toggle) attach(w *watch) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.source.attach(w)
}

func (x *toggle) detach(w *watch) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.source.detach(w)
}

func (x *toggle) set(e Events) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.source.set(e)
}

// A source that becomes ready just when its Poller has found that it is not,
// and lets go of it, is told of all the same.
func TestUnlinkLosesNoSignal(t *testing.T) {
	p, x := NewPoller(), &toggle{}
	defer p.Close()
	if err := p.Add(x, PollIn); err != nil {
		t.Fatal(err)
	}
	w := p.members[x]
	events := make([]Event, 1)
	x.set(PollIn)
	if n, err := p.WaitFor(0, events); n != 1 || err != nil {
		t.Fatalf("%d events, %v", n, err)
	}
	x.set(0)
	if w.now() != 0 || !w.linked.Load() {
		t.Fatalf("%v, linked %v", w.now(), w.linked.Load())
	}
	x.set(PollIn) // signals nothing: it is linked
	if p.news.Load() != nil {
		t.Fatal("signalled twice")
	}
	if e := w.unlink(); e != PollIn || !w.linked.Load() {
		t.Errorf("%v, linked %v", e, w.linked.Load())
	}
	x.set(0)
	if e := w.unlink(); e != 0 || w.linked.Load() {
		t.Errorf("%v, linked %v", e, w.linked.Load())
	}
	x.set(PollIn)
	if n, err := p.WaitFor(0, events); n != 1 || err != nil {
		t.Fatalf("%d events, %v", n, err)
	}
}
