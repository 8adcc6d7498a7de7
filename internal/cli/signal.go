package cli

import (
	"context"
	"os"
	"sync"
	"syscall"
)

// signalError is the reason of a context that a signal ended.
type signalError struct{ sig os.Signal }

func (e *signalError) Error() string {
	if e.sig == syscall.SIGTERM {
		return "terminated"
	}
	return "interrupted"
}

func (e *signalError) status() status {
	if e.sig == syscall.SIGTERM {
		return exitTerminate
	}
	return exitInterrupt
}

// signals makes the first SIGINT or SIGTERM end the run in good order. Then it lets go of them, so that the second one
// kills the process at once.
type signals struct {
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	drained chan struct{} // closed by the first signal instead of cancelling; nil: cancel
}

// watchSignals gives a context whose cause, once a signal came, is a *signalError. stop releases everything.
func watchSignals(parent context.Context, env Env) (ctx context.Context, s *signals, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	s = &signals{cancel: cancel}
	c, release := env.Notify()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case sig := <-c:
			release()
			s.caught(sig)
		case <-done:
		}
	})
	return ctx, s, func() {
		close(done)
		wg.Wait()
		release()
		cancel(nil)
	}
}

// drain asks that the first signal closes the channel it returns and leaves the context alone: a server stops taking new
// peers and finishes with those it has.
func (s *signals) drain() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drained == nil {
		s.drained = make(chan struct{})
	}
	return s.drained
}

func (s *signals) caught(sig os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drained != nil {
		close(s.drained)
		return
	}
	s.cancel(&signalError{sig})
}
