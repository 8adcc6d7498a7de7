package cli

import (
	"context"
	"errors"
	"net"
	"sync"
)

// defaultSessions is how many peers -k serves at once. More wait in the listener's backlog.
const defaultSessions = 64

// listen opens the listener and tells where it is.
func (a *app) listen(o *commonOptions, local address) (listener, error) {
	lis, err := a.net.Listen(o.family(), local.String(), o.link(a.out))
	if err != nil {
		if f := localFault(err, local.String()); f != nil {
			return nil, f
		}
		return nil, fail(exitNoLink, "", "cannot listen at %s: %w", local, err)
	}
	at := lis.Addr().String()
	a.out.info("listening on %s", at)
	a.events.emit("listening", listeningEvent{Address: at})
	return lis, nil
}

// accept waits for one peer, or for the end of ctx.
func accept(ctx context.Context, lis listener) (link, error) {
	stop := context.AfterFunc(ctx, func() { _ = lis.Close() })
	defer stop()
	l, err := lis.Accept()
	if err == nil {
		return l, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, fail(exitNoLink, "", "waiting for a peer: %w", err)
}

// serve hands every peer that comes to handle, most of them side by side, until the first signal. Then it takes no more, lets those
// that are there finish, and returns nil. handle reports each peer's outcome itself.
func (a *app) serve(ctx context.Context, lis listener, most int, handle func(ctx context.Context, l link)) error {
	drained := a.signals.drain()
	done := make(chan struct{})
	var watch, sessions sync.WaitGroup
	watch.Go(func() {
		select {
		case <-drained:
			a.out.info("taking no more peers; finishing what is in flight (a second signal ends it at once)")
		case <-ctx.Done():
		case <-done:
		}
		_ = lis.Close() // ends Accept; what was accepted lives on
	})
	slots := make(chan struct{}, most)
	var err error
	for {
		slots <- struct{}{}
		var l link
		if l, err = lis.Accept(); err != nil {
			break
		}
		sessions.Go(func() {
			defer func() { <-slots }()
			handle(ctx, l)
		})
	}
	close(done)
	watch.Wait()
	sessions.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return fail(exitNoLink, "", "waiting for peers: %w", err)
}
