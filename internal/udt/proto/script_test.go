package proto

import (
	"bytes"
	"testing"
	"time"
)

// A script drives one connection by hand, packet by packet; the test plays the
// peer. Whatever the connection sends is kept with its time.
type script struct {
	t    testing.TB
	c    *Conn
	now  Instant
	sent []sentPacket
}

type sentPacket struct {
	at Instant
	b  []byte
}

// peerSocket is the socket ID of the peer that the test plays.
const peerSocket = 777

// newServerScript starts an accepted connection; its response is in sent.
func newServerScript(t testing.TB, cfg Config) *script {
	s := &script{t: t, c: NewServer(0, cfg, testRequest(cfg.ISN))}
	s.step()
	return s
}

// newClientScript starts a connecting client; its request is in sent.
func newClientScript(t testing.TB, cfg Config) *script {
	s := &script{t: t, c: NewClient(0, cfg)}
	s.step()
	return s
}

// newConnectedScript is a client past its handshake, with nothing left to
// send. The peer's flight size is 8192 packets.
func newConnectedScript(t testing.TB, cfg Config) *script {
	s := newClientScript(t, cfg)
	s.handshake(testChallenge(cfg))
	s.handshake(testResponse(cfg))
	if s.c.State() != StateConnected {
		t.Fatalf("not connected: state %d, end %d", s.c.State(), s.c.End())
	}
	s.sent = nil
	return s
}

// testRequest is a second request of the peer.
func testRequest(isn Seq) Handshake {
	return Handshake{
		Version: Version, SocketType: Stream, ISN: isn, MSS: 1500, FlightFlag: 8192,
		Request: RequestConclusion, ID: peerSocket, Cookie: 0xC00C1E,
	}
}

// testChallenge and testResponse are a listener's two answers to a client.
func testChallenge(cfg Config) Handshake {
	return Handshake{
		Version: Version, SocketType: Stream, ISN: cfg.ISN, MSS: uint32(cfg.MSS), FlightFlag: uint32(cfg.Window),
		Request: RequestInduction, ID: cfg.ID, Cookie: 0xC00C1E,
	}
}

func testResponse(cfg Config) Handshake {
	return Handshake{
		Version: Version, SocketType: Stream, ISN: cfg.ISN, MSS: uint32(cfg.MSS), FlightFlag: 8192,
		Request: RequestConclusion, ID: peerSocket, Cookie: 0xC00C1E,
	}
}

// give hands a datagram over and lets the connection answer.
func (s *script) give(b []byte) {
	s.t.Helper()
	b = bytes.Clone(b)
	s.c.HandleDatagram(s.now, b)
	clear(b) // the engine must not keep it
	s.step()
}

func (s *script) handshake(h Handshake) {
	s.t.Helper()
	s.give(appendHandshake(nil, h, s.c.ID()))
}

// control gives a control packet with the words as its body.
func (s *script) control(typ Type, info uint32, words ...uint32) {
	s.t.Helper()
	s.give(controlPacket(s.c.ID(), typ, info, words...))
}

func controlPacket(dst uint32, typ Type, info uint32, words ...uint32) []byte {
	c := Control{Type: typ, Info: info, Dst: dst}
	for _, w := range words {
		c.Body = append(c.Body, byte(w>>24), byte(w>>16), byte(w>>8), byte(w))
	}
	return c.Append(nil)
}

// data gives the data packet with index i.
func (s *script) data(i packetIndex, payload []byte) {
	s.t.Helper()
	s.give(s.dataPacket(i, payload))
}

func (s *script) dataPacket(i packetIndex, payload []byte) []byte {
	return Data{Seq: s.seq(i), Boundary: BoundarySolo, Message: 1, Dst: s.c.ID(), Payload: payload}.Append(nil)
}

// ack gives a full ACK of everything before packet next.
func (s *script) ack(number uint32, next packetIndex, window uint32) {
	s.t.Helper()
	s.control(TypeACK, number, uint32(s.seq(next)), 20_000, 1000, window, 1000, 10_000)
}

// seq is the sequence number of packet i as it is in a packet's word.
func (s *script) seq(i packetIndex) Seq { return i.seqOf(s.c.isn) }

// word is the same for a NAK's or ACK's body.
func (s *script) word(i packetIndex) uint32 { return uint32(s.seq(i)) }

// step does all the connection has to do at this moment.
func (s *script) step() {
	s.t.Helper()
	s.c.HandleTimeout(s.now)
	s.check()
	var runs [4]Run
	for n := 0; ; n++ {
		if n > 100_000 {
			s.t.Fatalf("at %v: Transmit never ends", time.Duration(s.now))
		}
		due, set := s.c.NextTimeout()
		out := s.c.Transmit(s.now, runs[:0])
		if len(out) == 0 {
			break
		}
		s.check()
		if unasked(due, set, s.now, out[0].Buf) {
			s.t.Fatalf("at %v: %x is to be sent, but the next timeout was %v", time.Duration(s.now), out[0].Buf, time.Duration(due))
		}
		for _, r := range out {
			for b := r.Buf; len(b) > 0; {
				n := min(r.Segment, len(b))
				s.sent = append(s.sent, sentPacket{at: s.now, b: bytes.Clone(b[:n])})
				b = b[n:]
			}
		}
	}
	if at, ok := s.c.NextTimeout(); ok && at <= s.now {
		s.t.Fatalf("at %v: nothing is left to do, but the next timeout is %v", time.Duration(s.now), time.Duration(at))
	}
}

// unasked says that a control packet was sent though NextTimeout had not told
// the driver to look. (Data may go early, and requests to drop it: the pacer
// waits for a burst.)
func unasked(due Instant, set bool, now Instant, b []byte) bool {
	c, ok := ParseControl(b)
	return ok && c.Type != TypeDropRequest && (!set || due > now)
}

func (s *script) check() {
	s.t.Helper()
	if err := s.c.check(); err != nil {
		s.t.Fatalf("at %v: %v", time.Duration(s.now), err)
	}
}

// pass lets d go by.
func (s *script) pass(d time.Duration) {
	s.t.Helper()
	for end := s.now.Add(d); s.now < end; {
		next := end
		if at, ok := s.c.NextTimeout(); ok {
			next = min(next, at)
		}
		s.now = next
		s.step()
	}
}

// take returns what was sent since the last call.
func (s *script) take() []sentPacket {
	sent := s.sent
	s.sent = nil
	return sent
}

// taken returns the control packets of one type among what was sent, and
// forgets the rest.
func (s *script) taken(typ Type) []Control {
	var out []Control
	for _, p := range s.take() {
		if c, ok := ParseControl(p.b); ok && c.Type == typ {
			out = append(out, c)
		}
	}
	return out
}

// takenData returns the indices of the data packets among what was sent, and
// forgets the rest.
func (s *script) takenData() []packetIndex {
	var out []packetIndex
	for _, p := range s.take() {
		if d, ok := ParseData(p.b); ok {
			out = append(out, indexOf(d.Seq, s.c.isn, s.c.snd.una))
		}
	}
	return out
}

// write writes n full packets, all of which must fit.
func (s *script) write(n int) {
	s.t.Helper()
	size := n * s.c.payload()
	if got := s.c.Write(s.now, make([]byte, size)); got != size {
		s.t.Fatalf("wrote %d of %d bytes", got, size)
	}
	s.step()
}

// fullPayload is the payload of a full packet at MSS 1500.
var fullPayload = make([]byte, 1456)

// receive gives packets from up to but not including to, full ones, in one
// batch.
func (s *script) receive(from, to packetIndex) {
	s.t.Helper()
	full := make([]byte, s.c.payload())
	var run []byte
	for i := from; i < to; i++ {
		run = append(run, s.dataPacket(i, full)...)
	}
	s.c.HandleRun(s.now, run, HeaderSize+len(full))
	clear(run)
	s.step()
}

// acks returns the ACKs sent since the last call.
func (s *script) acks() (full, light []ACK, numbers []uint32) {
	for _, c := range s.taken(TypeACK) {
		a, isLight, ok := ParseACK(c.Body)
		switch {
		case !ok:
			s.t.Fatalf("ACK %x", c.Body)
		case isLight:
			if c.Info != 0 {
				s.t.Errorf("a light ACK has number %d", c.Info)
			}
			light = append(light, a)
		default:
			full, numbers = append(full, a), append(numbers, c.Info)
		}
	}
	return full, light, numbers
}

// naks returns the ranges of the NAKs sent since the last call, as indices,
// one slice a packet.
func (s *script) naks() (out [][][2]packetIndex) {
	for _, c := range s.taken(TypeNAK) {
		var entries [][2]packetIndex
		for rest := c.Body; len(rest) > 0; {
			r, next, ok := NextLoss(rest)
			if !ok {
				s.t.Fatalf("NAK %x", c.Body)
			}
			entries = append(entries, [2]packetIndex{
				indexOf(r.First, s.c.isn, s.c.rcv.next), indexOf(r.Last, s.c.isn, s.c.rcv.next),
			})
			rest = next
		}
		out = append(out, entries)
	}
	return out
}

// measured is a connected sender that has had 20 packets acknowledged after
// 20 ms, so that it knows the round trip.
func measured(t *testing.T) *script {
	s := newConnectedScript(t, testConfig(1))
	s.write(16)
	s.pass(20 * ms)
	s.ack(1, 16, 8192)
	s.write(4)
	s.pass(20 * ms)
	s.ack(2, 20, 8192)
	if s.c.ackRTT.srtt != 20*ms {
		t.Fatalf("round trip %v", s.c.ackRTT.srtt)
	}
	s.take()
	return s
}

// when returns at what time, after now, packet i was sent, and -1 if it
// wasn't within limit.
func (s *script) when(i packetIndex, limit time.Duration) time.Duration {
	start := s.now
	s.take()
	s.pass(limit)
	for _, p := range s.take() {
		if d, ok := ParseData(p.b); ok && d.Seq == s.seq(i) {
			return p.at.Sub(start)
		}
	}
	return -1
}
