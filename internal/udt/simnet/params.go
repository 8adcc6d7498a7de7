package simnet

import "time"

// headerBytes is what IP and UDP headers add to a datagram on an IPv4 link.
const headerBytes = 20 + 8

// Params describes one direction of a link. The zero value is a perfect one: no delay, no limit, no loss.
type Params struct {
	// Rate is the speed of the serialiser in bits/s, 0 for no limit. It counts 28 bytes of headers on top of
	// each datagram.
	Rate float64

	// Delay is the one-way propagation delay, and Jitter the most that is added to it, uniformly. Jitter keeps
	// the order: a datagram never arrives before one that was sent earlier, but may catch up with it.
	Delay, Jitter time.Duration

	// Queue is how many bytes, headers included, may wait for the serialiser, 0 for no limit. A datagram that
	// finds no room is dropped. The one being serialised does not wait.
	Queue int

	// Loss is the probability of each datagram to be lost, independent of all others.
	Loss float64

	// BurstStart is the probability that a datagram is the first of a burst of losses. BurstMean is the mean
	// length of a burst in datagrams; lengths are geometric. Below 1 it counts as 1.
	BurstStart, BurstMean float64

	// Reorder is the probability of a datagram to come ReorderBy later than its turn, which lets those behind
	// it pass.
	Reorder   float64
	ReorderBy time.Duration

	// Duplicate is the probability of a datagram to arrive twice, and Corrupt that of one copy of it to arrive
	// with one bit flipped.
	Duplicate, Corrupt float64

	// MTU is the longest IP packet the link carries, bytes; datagrams of more than MTU-28 are dropped. 0 for no
	// limit.
	MTU int

	// Outages are times at which nothing passes.
	Outages []Outage

	// Steps change the rate. A datagram in the serialiser goes on at the new rate.
	Steps []Step
}

// Outage is a time during which whatever leaves the serialiser is lost.
type Outage struct {
	At, For time.Duration // begin, from the start of the link, and length
}

// Step sets the rate from a time on.
type Step struct {
	At   time.Duration // from the start of the link
	Rate float64       // bits/s, 0 for no limit
}

// LinkStats counts what a link has done. Every datagram seen is counted once in one of Passed, Lost,
// QueueFull, Outage and TooBig.
type LinkStats struct {
	Seen       uint64 // datagrams sent into the link
	Passed     uint64 // those that arrive, once or twice
	Lost       uint64 // by Loss and bursts
	QueueFull  uint64
	Outage     uint64
	TooBig     uint64 // above the MTU
	Reordered  uint64 // deliveries held back
	Duplicated uint64 // datagrams that arrive twice
	Corrupted  uint64 // deliveries with a bit flipped
	Bytes      uint64 // payload of all deliveries
}
