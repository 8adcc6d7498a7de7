package udt

import (
	"time"

	"github.com/udtcp/udtcp/internal/udt/proto"
	"github.com/udtcp/udtcp/internal/udt/udpio"
)

// maxBatch is how many runs of packets go into one system call.
const maxBatch = 16

// run is the connection's own goroutine: it fires timers and transmits, until
// the connection is over.
func (c *Conn) run() {
	defer c.over()
	var (
		runs  [maxBatch]proto.Run
		msgs  [maxBatch]udpio.Message
		clock = newSleeper(c.endpoint.socket, c.wake)
	)
	defer clock.stop()
	for {
		c.mu.Lock()
		now := c.now()
		c.p.HandleTimeout(now)
		out := c.p.Transmit(now, runs[:0])
		c.wakeAt = awake
		c.changed()
		if len(out) == 0 {
			over := c.ready.Closed
			c.wakeAt = never
			if at, ok := c.p.NextTimeout(); ok {
				c.wakeAt = at
			}
			wakeAt := c.wakeAt
			c.mu.Unlock()
			if over {
				c.endpoint.remove(c)
				return
			}
			switch {
			case wakeAt == never:
				<-c.wake
			case wakeAt > now:
				clock.sleep(wakeAt.Sub(now))
			}
			continue
		}
		c.mu.Unlock()
		for i, r := range out {
			msgs[i] = udpio.Message{Addr: c.remote, Buf: r.Buf, Segment: r.Segment}
		}
		if err := c.endpoint.socket.WriteBatch(msgs[:len(out)]); err != nil {
			c.lose()
		}
		// A sleeping connection must not keep what has been acknowledged since.
		clear(out)
		clear(msgs[:len(out)])
	}
}

// over says that the connection is.
func (c *Conn) over() {
	if c.user != nil {
		close(c.user) // nothing comes any more: the engine is closed
	}
	close(c.done)
}

// lose ends the connection because its socket is gone.
func (c *Conn) lose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.p.Lose(c.now())
	c.changed()
}

// handle takes packets that the endpoint's reader sorted out for this
// connection.
func (c *Conn) handle(now time.Time, b []byte, segment int) {
	c.mu.Lock()
	c.p.HandleRun(c.at(now), b, segment)
	c.changed()
	c.mu.Unlock()
}

// handleRequest takes a packet of the peer that does not know our socket ID yet,
// in a rendezvous.
func (c *Conn) handleRequest(now time.Time, b []byte) {
	c.mu.Lock()
	c.p.HandleRequest(c.at(now), b)
	c.changed()
	c.mu.Unlock()
}

// repeatResponse is for a client that asks again to be let in.
func (c *Conn) repeatResponse() {
	c.mu.Lock()
	c.p.RepeatResponse()
	c.changed()
	c.mu.Unlock()
}
