// Package udpio moves UDP datagrams in batches: many per system call, and, where the kernel can, many per
// message.
//
// A [Socket] reads and writes slices of [Message]. A message is one datagram, or a run: equal-sized datagrams
// that lie one after the other in memory and share one address. On Linux a run travels as one unit through
// UDP_SEGMENT (GSO) on the way out and UDP_GRO on the way in, and a slice of messages takes one sendmmsg or
// recvmmsg. Everywhere else, and when the kernel refuses, the same interface works with one call a datagram.
//
// The package promises bytes, not delivery. What the kernel will not take is counted in [Info] and otherwise
// treated as a datagram lost on the way, since the protocol above repairs loss anyway. Errors come out only
// when a socket is closed or unusable.
//
// Where to look:
//
//	socket.go            the interface; Listen and FromConn
//	lend.go              read buffers for sockets that mostly wait
//	plain.go             one datagram a call, any system
//	batch_linux.go       the batched socket; batch_read_linux.go and batch_write_linux.go its two halves
//	mmsg_linux.go        recvmmsg, sendmmsg and the header arrays they want
//	piece.go             cutting a message into what one send can carry
//	gso_linux.go         UDP_SEGMENT: a run leaves in one piece
//	gro_linux.go         UDP_GRO: a run comes in one piece
//	cmsg_linux.go        what the kernel says beside a message: segment sizes, drops
//	drops_linux.go       SO_RXQ_OVFL: what the kernel dropped for lack of room
//	buffers_*.go         socket buffer sizes
//	fragment_linux.go    datagrams larger than the path may be fragmented
//	sockaddr_linux.go    netip addresses to kernel addresses and back; zone_linux.go for IPv6 scopes
//	errors_*.go          which errors pass, which end a socket
//	alarm.go             timers more precise than the runtime's
//	descriptors.go       waiting for many of the system's descriptors at once
//	env.go               switches; open_linux.go obeys them and finds out what the kernel can do
//
// Three environment variables turn features off, for machines whose kernel or driver gets one wrong, and for
// tests: UDTCP_NO_GSO, UDTCP_NO_GRO and UDTCP_NO_MMSG (the last selects the portable path, which has neither
// of the others). They are read when a socket is opened.
package udpio
