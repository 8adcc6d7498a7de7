package proto

// A Controller that has one of the methods below, too, is told of what they
// are for. With these it has all of UDT's events (CCC of libudt), but from one
// goroutine at a time. Those that it lacks cost nothing.

// CloseObserver is told when the connection is over.
type CloseObserver interface{ OnClose(s *PathState) }

// SentObserver is told of data packets sent: n of them from index first on,
// for the first time or again.
type SentObserver interface {
	OnSent(s *PathState, first int64, n int, again bool)
}

// ReceivedObserver is told of each data packet that comes, copies included: its
// index in what the peer sends, and its bytes of payload.
type ReceivedObserver interface {
	OnReceived(s *PathState, index int64, size int)
}

// LossObserver is told of all that a NAK says, before OnLoss and also when
// nothing of it was news.
type LossObserver interface {
	OnNAK(s *PathState, losses []IndexRange) // good until it returns
}

// UserObserver is told of user packets. PathState.SendUser sends one.
type UserObserver interface {
	OnUser(s *PathState, p UserPacket)
}

// IndexRange is a run of packet indices, both ends included.
type IndexRange struct{ First, Last int64 }

// events are what the controller wants to be told of beyond what it must.
type events struct {
	close    CloseObserver
	sent     SentObserver
	received ReceivedObserver
	loss     LossObserver
	user     UserObserver

	losses []IndexRange // of the NAK at hand
}

func eventsOf(cc Controller) (e events) {
	e.close, _ = cc.(CloseObserver)
	e.sent, _ = cc.(SentObserver)
	e.received, _ = cc.(ReceivedObserver)
	e.loss, _ = cc.(LossObserver)
	e.user, _ = cc.(UserObserver)
	return e
}

// SendUser queues a user packet for the peer; see Conn.SendUser.
func (s *PathState) SendUser(p UserPacket) bool { return s.conn != nil && s.conn.SendUser(p) }

// tellSent tells the controller of a run that goes out.
func (c *Conn) tellSent(now Instant, r run, again bool) {
	c.refreshPath(now)
	c.events.sent.OnSent(&c.path, int64(r.first), r.n, again)
	c.applyRate()
}

// tellReceived tells the controller of a data packet.
func (c *Conn) tellReceived(now Instant, i packetIndex, size int) {
	c.refreshPath(now)
	c.events.received.OnReceived(&c.path, int64(i), size)
	c.applyRate()
}

// tellLosses tells the controller what a NAK says, which must be valid.
func (c *Conn) tellLosses(now Instant, body []byte) {
	c.events.losses = c.events.losses[:0]
	for {
		r, rest, ok := NextLoss(body)
		if !ok {
			break
		}
		body = rest
		c.events.losses = append(c.events.losses, IndexRange{
			First: int64(indexOf(r.First, c.isn, c.snd.una)), Last: int64(indexOf(r.Last, c.isn, c.snd.una)),
		})
	}
	c.refreshPath(now)
	c.events.loss.OnNAK(&c.path, c.events.losses)
	c.applyRate()
}
