// Package simnet is a network in memory, for tests and for trying a path out: links with a rate, delay, loss,
// bursts, reordering, duplicates, corruption, an MTU, a queue and outages, all drawn from one seed.
//
// It has two layers.
//
// A [Link] is the pure model of one direction. It has no goroutine and no clock: a datagram goes in with the
// time it was sent, and out come the times it arrives and the bytes that do. The same parameters, seed and
// calls give the same answers. Tests of the protocol engine put two of them between two connections and keep
// the events in order themselves. The link emulator in scripts/wanlink passes real packets through it.
//
// A [Network] joins hosts by links and hands out sockets with the interface of package udpio. It runs by the
// clock of package time, hence in real time, or at once inside a bubble of testing/synctest if it was made in
// there. Datagrams arrive in the order of (time, order of sending), so links that do not reorder are FIFO.
// What happens at one instant is deterministic as far as the goroutines that send are.
//
// The path of a datagram through a link:
//
//	MTU → queue (drop-tail) → serialiser (rate) → outage → loss → duplication
//	    → for each copy: corruption, delay, jitter, reordering
//
// Loss thus comes after the bottleneck: a lost datagram has used its share of the rate.
//
// Where to look: params.go says what a link can do and link.go does it, with the queue and the rate in
// serialiser.go. network.go owns the clock and the datagrams under way (events.go), host.go the addresses and
// links, socket.go the sockets. path.go reads a link from text.
package simnet
