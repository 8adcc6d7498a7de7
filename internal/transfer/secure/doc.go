// Package secure authenticates and encrypts a connection between two udtcp processes: TLS 1.3 over any ordered, reliable
// byte stream, between ends that know each other by their public keys. It uses the standard library alone and knows
// nothing of what carries the bytes or of what they mean.
//
// # Who is who
//
// An Identity is an Ed25519 key pair (key.go). A peer is accepted if its public key is our own (the same user on one
// machine, or with one home directory) or one that Config.Trusts. There are no names, no certificate authority and no
// validity periods: the certificates that TLS wants are made from the key on the spot, and of the peer's certificate
// nothing counts but its key. Ring (ring.go) keeps the user's identity and trusted peers in a directory.
//
// # The handshake
//
// The end that dialled is the TLS client; of two that dialled each other Rendezvous finds out. TLS 1.3 only, mutual,
// with one ALPN protocol, no tickets, no resumption, no early data.
//
//	client                              server
//	ClientHello                   →
//	                              ←     ServerHello … Certificate, CertificateVerify, Finished
//	  is that key trusted? if not, an alert and the end: our own key was not shown
//	Certificate … Finished        →
//	what Enter was given          →
//	                                      is that key trusted?
//	                              ←     one byte: welcome, or refused
//
// The client has authenticated the server by then, so it says its greeting without waiting for the welcome: nobody else can
// read it. That is all that a Conn carries before both ends have accepted each other. Server gives no Conn before that, and
// Conn.Read nothing before Enter has returned.
//
// Two ends may have the same key, so that a key alone does not tell an end from itself. The roles do: what a client signs
// and sends is no answer to a client. Words that come back reflected therefore end the handshake, and so do two clients,
// or two servers, that somebody in the middle joined. What cannot be told is one of my listeners from another that has
// the same key.
//
// # Limits
//
// Before the peer is known it gets at most MaxHandshakeBytes read, and the caller's context bounds the time. Admission
// bounds how many such handshakes go on side by side. KeyLimit is how much one connection may carry.
package secure
