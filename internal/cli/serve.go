package cli

import (
	"context"
	"errors"
	"sync"
	"syscall"

	"github.com/udtcp/udtcp/internal/transfer"
)

const (
	// defaultSessions is how many peers -k serves at once.
	defaultSessions = 64
	// waitingRoom is how many more may be inside, to say what they want or to wait until they are served. The rest wait in
	// the listener's backlog.
	waitingRoom = 64
)

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
func (a *app) accept(ctx context.Context, lis listener) (link, error) {
	d, err := a.openDoor(lis)
	if err != nil {
		return nil, err
	}
	defer d.close()
	return d.next(ctx)
}

// door is where peers come in: a listener, and what waits for it.
type door struct {
	lis listener
	p   poller
}

// openDoor takes lis over.
func (a *app) openDoor(lis listener) (*door, error) { return openDoor(a.net, lis) }

func openDoor(n network, lis listener) (*door, error) {
	d := &door{lis: lis, p: n.Poller()}
	if err := d.p.Add(lis, pollIn); err != nil {
		d.close()
		return nil, fail(exitNoLink, "", "waiting for a peer: %w", err)
	}
	return d, nil
}

// next waits for the next peer. Its error is the cause of ctx if that has ended.
func (d *door) next(ctx context.Context) (link, error) {
	var events [1]pollEvent
	for ctx.Err() == nil {
		l, err := d.lis.TryAccept()
		if err == nil {
			return l, nil
		}
		if errors.Is(err, syscall.EAGAIN) {
			_, err = d.p.Wait(ctx, events[:])
		}
		if err != nil && ctx.Err() == nil {
			return nil, fail(exitNoLink, "", "waiting for a peer: %w", err)
		}
	}
	return nil, context.Cause(ctx)
}

// close takes no more peers; what was accepted lives on. Nothing can be lost by it.
func (d *door) close() {
	_ = d.p.Close()
	_ = d.lis.Close()
}

// errDraining is the cause of a context that the first signal has ended.
var errDraining = errors.New("draining")

// A server handles a peer that has come in, and reports its outcome itself. Once it knows that this is somebody to serve it
// calls seat, which waits until fewer than most are served; if that says false no more are, and l is to be closed.
type server func(ctx context.Context, l link, seat func() bool)

// serve hands every peer that comes to handle, side by side, until the first signal. Then it takes no more, lets those that
// are served finish, and returns nil.
func (a *app) serve(ctx context.Context, lis listener, hub *transfer.Hub, most int, handle server) error {
	d, err := a.openDoor(lis)
	if err != nil {
		return err
	}
	drained := a.signals.drain()
	taking, stop := context.WithCancelCause(ctx)
	var watch, sessions sync.WaitGroup
	watch.Go(func() {
		select {
		case <-drained:
			stop(errDraining)
		case <-taking.Done():
		}
	})
	inside, seats := make(chan struct{}, most+waitingRoom), make(chan struct{}, most)
	for err == nil {
		take(taking, inside)
		var l link
		if l, err = d.next(taking); err == nil {
			sessions.Go(func() {
				defer func() { <-inside }()
				seated := false
				handle(ctx, l, func() bool {
					seated = take(taking, seats)
					return seated
				})
				if seated {
					<-seats
				}
			})
		}
	}
	if errors.Is(err, errDraining) {
		a.out.info("taking no more peers; finishing what is in flight (a second signal ends it at once)")
		err = nil
	}
	d.close()
	if hub != nil {
		hub.Close()
	}
	stop(nil)
	watch.Wait()
	sessions.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// take waits for one of the places; false if ctx ended first.
func take(ctx context.Context, places chan struct{}) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}
