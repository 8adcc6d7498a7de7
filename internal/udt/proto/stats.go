package proto

import "time"

// Counters count since the connection was opened, in packets.
type Counters struct {
	DataSent, DataReceived int64 // data packets, retransmissions and duplicates included
	SendLoss               int64 // packets the sender queued as lost, by NAK or timeout
	ReceiveLoss            int64 // packets reported missing
	Reordered              int64 // packets that came late, but by themselves
	Retransmitted          int64
	ACKSent, ACKReceived   int64 // full ACKs; received: those that acknowledged new data
	NAKSent, NAKReceived   int64
	Invalid                int64 // packets that were malformed or spoke of numbers out of their window
	Duplicates             int64 // data packets received again
	MessagesExpired        int64 // given up: their time was over before they were acknowledged
	MessagesDropped        int64 // the peer's requests to do without one, or a part of one
	BytesSent              int64 // payload, first transmissions
	BytesReceived          int64 // payload, in packets stored
}

// Stats is a snapshot of a connection.
type Stats struct {
	Counters
	SendDuration     time.Duration // time with data to send or in flight
	Period           time.Duration // between packets; 0 = not paced
	FlowWindow       int           // packets the receiver has room for
	CongestionWindow int           // packets
	InFlight         int           // packets
	RTT              time.Duration
	Capacity         float64 // packets/s
	SendFree         int     // packets
	ReceiveFree      int     // packets
	MSS              int     // bytes
	Payload          int     // bytes
}
