// Package proto is the UDT4 protocol as a value: packets and time go in,
// packets come out. It has no goroutine, lock, clock, random source or socket,
// so that any run of it can be repeated exactly from a seed. Package udt
// drives it.
//
// # A connection
//
// A Conn is made by NewClient, by NewServer from a request that an Acceptor let
// through, or by NewRendezvous at both ends. Whoever drives it
//
//   - hands in datagrams with HandleRun, as they arrive; in a rendezvous, those
//     for the socket ID 0 with HandleRequest;
//   - calls HandleTimeout at the moment that NextTimeout gives, or at any
//     other;
//   - sends what Transmit gives, until it gives nothing;
//   - moves data with Reserve and Commit, Peek and Consume, or the simpler
//     Write and Read; messages with BeginMessage, Reserve and Commit,
//     NextMessage, PeekMessage, ConsumeMessage and FinishMessage, or
//     WriteMessage and ReadMessage;
//   - compares Ready with before, to wake who waits.
//
// Time is an Instant, nanoseconds since the connection began.
//
// # Data on its way down
//
// Write copies into the send buffer (sendbuf.go), whose chunks hold packets as
// they go on the wire, header and payload, slot after slot. A run of
// consecutive packets is one piece of memory, and leaves in one system call
// without another copy. What leaves when is decided in conn_send.go: lost
// packets first, then new ones as far as the receiver's window, the
// congestion window (cc.go and the controllers) and the pacer let them.
//
// A packet stays in the buffer until it is acknowledged. conn_loss.go is what
// the sender concludes from ACKs, NAKs and silence.
//
// # Data on its way up
//
// conn_recv.go sorts packets. A payload is copied once, into its slot of the
// receive buffer (recvbuf.go), which is indexed by sequence number; the
// in-order part can be read while later packets land behind it. conn_ack.go
// tells the sender: full ACKs every 10 ms, light ones every 64 packets, NAKs
// for gaps, at once unless packets are known to come out of order (reorder.go),
// and again until they are filled (nakqueue.go).
//
// # Messages
//
// Connections of type Datagram use the same two buffers. A message takes packets
// of its own (fill.go); draft.go remembers those that may expire, which
// transmitData asks to drop in place of sending them. On the way up assembler.go finds
// whole messages among the packets, by the message words that labels.go keeps
// beside them; a packet that was dropped counts as there, and empty.
//
// # Numbers
//
// Sequence numbers have 31 bits and wrap. They exist only in packets: inside,
// packets are counted from the initial sequence number (in a rendezvous each
// direction has its own) by a packetIndex of 64 bits (seq.go), and every number from the wire is turned into the index
// nearest to what it speaks of, then cut to the window.
//
// # Hostile peers
//
// No packet makes a connection fail by being wrong: what is malformed or
// speaks of numbers out of its window is counted (Counters.Invalid) and
// dropped. Nothing that a peer announces sizes an allocation or a loop; the
// work for a packet is bounded by the data in flight. A shutdown is believed
// only when the peer then falls silent.
//
// What differs from libudt, and why, is in docs/protocol.md.
package proto
