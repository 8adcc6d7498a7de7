package proto

// Two ends of ours say so to each other, in the additional-info word of the
// handshake's header: the client's requests carry an offer, the listener's
// answer an acceptance. A libudt listener sends that word of the first request
// back with its challenge, and 0 with its answer, so an acceptance is never an
// offer returned; libudt's clients send 0 and don't look. A listener of ours
// remembers nothing before the cookie returns: the second request has the offer
// too.
const (
	extensionOffer  = 0x75637001
	extensionAccept = 0x75637081
)

// An extended peer is known to follow the rules of ours that libudt doesn't:
//
//   - data is acknowledged within 10 ms of the last ACK, also a full-size last
//     packet, for which libudt takes 100;
//   - a client sends something as soon as it has the listener's answer.

// offered says whether a request comes from an end of ours.
func (h Handshake) offered() bool { return h.Info == extensionOffer }

// accepted says whether an answer comes from an end of ours.
func (h Handshake) accepted() bool { return h.Info == extensionAccept }
