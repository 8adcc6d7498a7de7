// Package udt is UDT, a reliable transport over UDP for large amounts of data
// over long, fat networks, compatible on the wire with the C++ library libudt
// 4.11. Connections are net.Conns, listeners net.Listeners:
//
//	l, err := udt.Listen("udp", ":9000", nil)
//	c, err := l.Accept()
//
//	c, err := udt.Dial(ctx, "udp", "host:9000", nil)
//
// or both ends dial each other (a rendezvous), each from the port that the other
// one dials:
//
//	c, err := udt.DialRendezvous(ctx, "udp", ":9000", "host:9000", nil)
//
// An Endpoint is one UDP socket with any number of connections on it, both
// dialled and accepted. Dial, Listen and DialRendezvous make one of their own, Bind one at an
// address, TakeOver one of a socket that there is already. Config is UDT's
// socket options; Conn.Configure changes those that may change at any time.
//
// With Config.Type Datagram connections carry messages: WriteMessage and
// ReadMessage take the place of Write and Read.
//
// # How it works
//
// The protocol itself is package proto, which knows no time and no socket.
// This package gives it both:
//
//   - One goroutine per Endpoint (Endpoint.read) reads batches of packets,
//     sorts them by destination socket ID and hands them to their connections.
//     It never waits for an application: a full buffer closes the window.
//   - One goroutine per connection (Conn.run) fires timers and transmits.
//   - One mutex per connection guards its proto.Conn. It is never held across
//     a system call, a channel operation or the copying of data: Read and
//     Write reserve a piece of the buffer under the lock, copy without it and
//     commit under it again. ReadFrom has files and pipes read straight into
//     packets, which then are moved into the buffer; WriteTo writes from it.
//     Conn.changed compares what is possible with before, in one place, and
//     wakes who waits.
//
// # Beyond a stream
//
// SendFile and ReceiveFile are UDT's file calls. Stats is its perfmon. A
// congestion controller of one's own is plugged in by Config.NewController; it
// and the application may exchange user-defined control packets (SendUser,
// UserPackets) with the peer's.
//
// # Readiness
//
// A Poller waits for many connections and listeners at once, and for files,
// pipes and TCP sockets with them, as libudt's epoll does; TryRead, TryWrite,
// TryReadMessage, TryWriteMessage, Listener.TryAccept and Endpoint.StartDial go
// with it:
//
//	p := udt.NewPoller()
//	err := p.Add(l, udt.PollIn)
//	err = p.Add(os.Stdin, udt.PollIn)
//	n, err := p.Wait(ctx, events)
//
// What is possible with a connection is computed in one place, Conn.changed
// (Listener.changed for listeners), into its source. That wakes the gate of a
// blocking call and signals the Pollers by a push on a stack, without a lock.
// A Poller keeps what was signalled in a ready list, asks the level of each
// when it is looked at, and drops what is not ready any more. The system's
// members wait in an epoll instance (Linux only; udpio.Descriptors), which is
// looked at by each Wait and watched by one goroutine of the Poller's.
//
// # Ends
//
// UDT has no half-close. Close delivers what was written (Config.Linger bounds
// how long) and tells the peer, which then reads io.EOF. Leave does so without
// waiting for the acknowledgement of a few last words. A peer that gave up or
// fell silent gives ErrConnLost. All errors are *Error with UDT's codes
// (codes.go), and work with errors.Is, these codes and the errors of net, os
// and syscall.
package udt
