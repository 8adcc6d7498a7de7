package proto

import "time"

// A Controller is a congestion control algorithm. It belongs to the sender
// alone: whichever is chosen, the wire stays the same. It is called with the
// connection's lock held and must not block. More events are in cc_events.go.
type Controller interface {
	// Name is what users call it.
	Name() string
	// Init is called once, when the connection stands.
	Init(s *PathState)
	// OnACK follows every ACK that acknowledged n > 0 new packets or, with n
	// being 0, gave a Sample of packets behind a gap or a report of Rates.
	OnACK(s *PathState, n int)
	// OnLoss follows every NAK that queued packets for retransmission; first
	// is the index of the first of them.
	OnLoss(s *PathState, first int64)
	// OnTimeout follows a loss timer that found no acknowledgement at all.
	OnTimeout(s *PathState)
	// Rate is the most packets to send in a second; 0 means as fast as the
	// window allows.
	Rate() float64
	// Window is the most packets from the lowest unacknowledged one to the
	// highest sent.
	Window() float64
}

// PathState is what a Controller may know of the connection.
type PathState struct {
	Now         Instant
	PacketSize  int // bytes, all headers included (the negotiated MSS)
	RTT         time.Duration
	RTTVar      time.Duration
	ArrivalRate float64 // packets/s, smoothed from the receiver's reports; 0 unknown
	Capacity    float64 // packets/s, likewise
	Latest      Rates   // the latest report itself
	MaxWindow   int     // packets the receiver can take (its handshake's flight flag)
	InFlight    int     // packets sent and not acknowledged
	ISN         Seq     // index 0 as a sequence number
	Acked       int64   // index of the lowest unacknowledged packet
	Sent        int64   // index after the highest packet sent

	// From the delivery sampler (delivery.go).
	Pipe      int   // packets on their way: sent, neither known to have arrived nor reported lost
	Delivered int64 // packets known to have arrived
	Lost      int64 // packets reported lost
	Sample    RateSample

	conn *Conn // for SendUser
}

// Rates are a receiver's own estimates, in packets/s, 0 if it knows none.
type Rates struct {
	Arrival  float64 // how fast packets arrive
	Capacity float64 // how fast a pair of them got through: the bottleneck's speed
	// Unresolved says that most pairs came faster than the receiver can tell:
	// Capacity is a guess then.
	Unresolved bool
	Count      int // how many reports there were
}
