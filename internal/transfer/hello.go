package transfer

import (
	"errors"
	"fmt"
	"slices"
)

// version of the transfer protocol. It changes when an old end could misread a new one; what an old end may pass over is
// a feature instead.
const version = 1

// Roles.
const (
	roleSend = "send"
	roleRecv = "recv"
)

// helloBody (frameHello) is the first frame each way, on each connection of a session.
type helloBody struct {
	Version     uint16   `cbor:"1,keyasint"`
	Role        string   `cbor:"2,keyasint"`
	Features    []string `cbor:"3,keyasint,omitempty"`  // what this end can do
	Needs       []string `cbor:"4,keyasint,omitempty"`  // what the other must be able to do
	Digest      string   `cbor:"5,keyasint"`            // wished for the report
	Chunk       int64    `cbor:"6,keyasint,omitempty"`  // sender: bytes
	Window      int64    `cbor:"7,keyasint,omitempty"`  // receiver: most chunks of a stream on their way
	Outstanding int64    `cbor:"8,keyasint,omitempty"`  // receiver: most entries without receipt
	Ordered     bool     `cbor:"9,keyasint,omitempty"`  // receiver: bytes go to a pipe, so the window holds for files too
	Software    string   `cbor:"10,keyasint,omitempty"` // name and version, for messages

	// Of a session's second connection and those after it. A peer that does not know the session is a new one.
	Session  []byte    `cbor:"11,keyasint,omitempty"` // who this end is, also on the first connection
	Attempt  uint64    `cbor:"12,keyasint,omitempty"` // how many connections there were before
	Peer     []byte    `cbor:"13,keyasint,omitempty"` // the Session that the other end had on the first
	Position *position `cbor:"14,keyasint,omitempty"` // receiver: how far it has read
	Answered uint64    `cbor:"15,keyasint,omitempty"` // sender: questions whose answers have come

	Verify bool     `cbor:"17,keyasint,omitempty"` // what an earlier attempt left is to be read before it is kept
	Ask    *askBody `cbor:"18,keyasint,omitempty"` // sender: its first question, with featureEarly
}

const (
	maxWords    = 32 // features, and needs
	maxWord     = 64 // bytes of a feature or of the software's name
	maxWindow   = 4096
	outstanding = 4096 // entries the sender may be ahead of the receipts
)

const (
	featureSkip      = "skip"      // to ask ahead which files need not come
	featureEarly     = "early"     // the first of these questions comes in the hello
	featureLinks     = "links"     // to keep symbolic links; named only by an end whose user wants it
	featureSparse    = "sparse"    // to leave out holes of files
	featureReconnect = "reconnect" // a session outlives its connections; named only by an end that can
	featureResume    = "resume"    // the receiver answers entries of large files with what it has of them
)

// features this version has.
var features = []string{"again", featureEarly, featureResume, "sha256", featureSkip, featureSparse, "stream", "tree"}

func (b *helloBody) check() error {
	if len(b.Features) > maxWords || len(b.Needs) > maxWords || len(b.Software) > maxWord {
		return errors.New("too much to say")
	}
	if n, m := len(b.Session), len(b.Peer); n != 0 && n != len(sessionID{}) || m != 0 && m != len(sessionID{}) {
		return errors.New("an identity that is none")
	}
	if b.Position != nil {
		if err := b.Position.check(); err != nil {
			return err
		}
	}
	if b.Ask != nil {
		if b.Ask.Number != 1 {
			return errors.New("a first question that is not the first")
		}
		if err := b.Ask.check(); err != nil {
			return err
		}
	}
	for _, w := range slices.Concat(b.Features, b.Needs) {
		if len(w) > maxWord {
			return errors.New("a feature with a name too long")
		}
	}
	return nil
}

// terms are what two hellos come to.
type terms struct {
	digest      Digest
	chunk       int
	window      int  // most chunks of a stream on their way
	outstanding int  // most entries without receipt
	ordered     bool // the receiver writes to a pipe
	skip        bool // the sender may ask ahead which files are there
	early       bool // and may have done so in its hello
	links       bool // symbolic links are kept
	resume      bool // the receiver says what it has of large files
	verify      bool // and reads that first
	sparse      bool // holes are left out
	reconnect   bool // both ends can make another connection
	software    string
}

// agree works out the terms from our hello and the peer's. Both ends come to the same.
func agree(own, peer *helloBody) (terms, error) {
	t := terms{digest: BLAKE3, software: plain(peer.Software)}
	if peer.Version != version {
		return t, &Error{
			Kind: KindPolicy, Op: "greet",
			Msg:  fmt.Sprintf("the other end speaks version %d of the transfer protocol, this one version %d", peer.Version, version),
			Hint: "install the same version of udtcp at both ends",
		}
	}
	if peer.Role == own.Role {
		hint := "start one of them as udtcp recv"
		if own.Role == roleRecv {
			hint = "start one of them as udtcp send"
		}
		return t, &Error{Kind: KindPolicy, Op: "greet", Msg: "both ends want to " + own.Role, Hint: hint}
	}
	send, recv := own, peer
	if own.Role == roleRecv {
		send, recv = peer, own
	}
	if send.Role != roleSend || recv.Role != roleRecv {
		return t, damaged("hello with the unknown role %s", Quote(peer.Role))
	}
	for _, need := range peer.Needs {
		if !slices.Contains(features, need) {
			return t, &Error{
				Kind: KindPolicy, Op: "greet", Msg: "the other end needs " + Quote(need) + ", which this version does not have",
				Hint: "install the same version of udtcp at both ends",
			}
		}
	}
	for _, d := range []string{send.Digest, recv.Digest} {
		switch Digest(d) {
		case SHA256:
			t.digest = SHA256
		case BLAKE3:
		default:
			return t, &Error{
				Kind: KindPolicy, Op: "greet", Msg: "the other end wants digests of the unknown kind " + Quote(d),
				Hint: "choose blake3 or sha256 there",
			}
		}
	}
	if c := send.Chunk; c < minChunk || c > maxChunk || c&(c-1) != 0 {
		return t, damaged("hello with chunks of %d bytes", c)
	}
	if recv.Window < 1 || recv.Window > maxWindow || recv.Outstanding < 1 {
		return t, damaged("hello with a window of %d chunks and %d entries", recv.Window, recv.Outstanding)
	}
	t.chunk = int(send.Chunk)
	t.window = int(min(recv.Window, int64(streamMemory/t.chunk)))
	t.outstanding = int(min(recv.Outstanding, outstanding))
	t.ordered = recv.Ordered
	both := func(f string) bool { return slices.Contains(send.Features, f) && slices.Contains(recv.Features, f) }
	t.skip = both(featureSkip) && !t.ordered
	t.early = both(featureEarly) && t.skip
	t.sparse = both(featureSparse) && !t.ordered
	t.links = both(featureLinks) && !t.ordered
	t.reconnect = both(featureReconnect)
	t.resume = both(featureResume) && !t.ordered
	t.verify = send.Verify || recv.Verify
	return t, nil
}

// session is the identity of the end that says hello; zero if it gives none.
func (b *helloBody) session() (id sessionID) {
	copy(id[:], b.Session)
	return id
}

// knows tells whether the end that says hello goes on with the session that two ends know as self and other. On an
// earlier connection it may not have got as far as hearing of self.
func (b *helloBody) knows(self, other sessionID) bool {
	return b.Attempt > 0 && b.session() == other && (len(b.Peer) == 0 || sessionID(b.Peer) == self)
}

// same tells whether a later connection has the terms of the first.
func (t terms) same(first terms) bool {
	t.software = first.software
	return t == first
}

// hello of this end.
func ownHello(role string, d Digest, software string) *helloBody {
	b := &helloBody{
		Version: version, Role: role, Features: features, Digest: string(d), Software: cut(software, maxWord),
	}
	if role == roleSend {
		b.Chunk = defaultChunk
	} else {
		b.Window, b.Outstanding = streamMemory/minChunk, outstanding
	}
	return b
}

// can adds a feature that not every transfer has.
func (b *helloBody) can(feature string) { b.Features = append(slices.Clone(b.Features), feature) }
