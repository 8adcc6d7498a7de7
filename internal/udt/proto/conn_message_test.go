package proto

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
)

// newMessageScript is a connected client for messages whose peer is libudt, or
// with extended an end of ours.
func newMessageScript(t testing.TB, extended bool, change func(*Config)) *script {
	cfg := testConfig(1)
	cfg.Type = Datagram
	cfg.Controller = NewFixed(1e12)
	if change != nil {
		change(&cfg)
	}
	s := newClientScript(t, cfg)
	h := testChallenge(cfg)
	h.SocketType = Datagram
	s.handshake(h)
	h = testResponse(cfg)
	h.SocketType = Datagram
	h.FlightFlag = uint32(cfg.Window)
	if extended {
		h.Info = extensionAccept
	}
	s.handshake(h)
	if s.c.State() != StateConnected || s.c.extended != extended {
		t.Fatalf("not connected: state %d, end %d", s.c.State(), s.c.End())
	}
	s.pass(ms) // fills the pacer
	s.sent = nil
	return s
}

// writeMessage writes a message, which must fit.
func (s *script) writeMessage(n int, o MessageOptions) {
	s.t.Helper()
	if !s.c.WriteMessage(s.now, letter{size: n}.text(n), o) {
		s.t.Fatalf("no room for %d bytes", n)
	}
	s.step()
}

// drops returns the drop requests sent since the last call, as indices.
func (s *script) drops() (out [][3]int64) {
	for _, c := range s.taken(TypeDropRequest) {
		d, ok := ParseDropRequest(c)
		if !ok {
			s.t.Fatalf("drop request %x", c.Body)
		}
		out = append(out, [3]int64{int64(d.Message), int64(indexOf(d.First, s.c.isn, s.c.snd.una)), int64(indexOf(d.Last, s.c.isn, s.c.snd.una))})
	}
	return out
}

// A piece is a data packet of the peer.
type piece struct {
	i       packetIndex
	b       Boundary
	number  uint32
	text    string
	inOrder bool
}

// pieces gives data packets one by one.
func (s *script) pieces(ps ...piece) {
	s.t.Helper()
	for _, p := range ps {
		s.give(Data{
			Seq: s.seq(p.i), Boundary: p.b, Message: p.number, InOrder: p.inOrder, Dst: s.c.ID(), Payload: []byte(p.text),
			Timestamp: s.now.microseconds(),
		}.Append(nil))
	}
}

// wantMessages reads all there is to read.
func (s *script) wantMessages(want ...string) {
	s.t.Helper()
	var got []string
	buf := make([]byte, 1<<20)
	for {
		readable := s.c.Ready().Readable
		size, cut, ok := s.c.ReadMessage(buf)
		if readable != ok {
			s.t.Fatalf("readable %v, read %v", readable, ok)
		}
		if !ok {
			break
		}
		text := string(buf[:size])
		if cut {
			text += " (cut)"
		}
		got = append(got, text)
		s.check()
	}
	s.step()
	if !slices.Equal(got, want) {
		s.t.Errorf("read %q, want %q", got, want)
	}
}

func TestMessagePackets(t *testing.T) {
	for _, c := range []struct {
		size  int
		wants []Boundary
	}{
		{0, []Boundary{BoundarySolo}},
		{1, []Boundary{BoundarySolo}},
		{1456, []Boundary{BoundarySolo}},
		{1457, []Boundary{BoundaryFirst, BoundaryLast}},
		{2912, []Boundary{BoundaryFirst, BoundaryLast}},
		{2913, []Boundary{BoundaryFirst, BoundaryMiddle, BoundaryLast}},
		// Longer than a chunk of the send buffer.
		{1456*130 + 1, append(append([]Boundary{BoundaryFirst}, make([]Boundary, 129)...), BoundaryLast)},
	} {
		for _, inOrder := range []bool{false, true} {
			s := newMessageScript(t, false, nil)
			s.c.snd.message = maxMessage - 1
			number := uint32(maxMessage - 1)
			for range 3 {
				s.writeMessage(c.size, MessageOptions{InOrder: inOrder})
				var got []Boundary
				var text []byte
				for _, p := range s.take() {
					d, ok := ParseData(p.b)
					if !ok || d.Message != number || d.InOrder != inOrder || d.Dst != peerSocket {
						t.Fatalf("%d bytes: packet %+v of message %d", c.size, d, number)
					}
					got, text = append(got, d.Boundary), append(text, d.Payload...)
				}
				if !slices.Equal(got, c.wants) || !bytes.Equal(text, letter{size: c.size}.text(c.size)) {
					t.Errorf("%d bytes as %d packets %v, %d bytes", c.size, len(got), got, len(text))
				}
				number = nextMessage(number)
			}
			if number != 2 {
				t.Errorf("the numbers end with %d", number)
			}
		}
	}
}

// A run of full packets of one message is one piece of memory.
func TestMessageRuns(t *testing.T) {
	s := newMessageScript(t, false, nil)
	if !s.c.WriteMessage(s.now, make([]byte, 1456*30), MessageOptions{}) {
		t.Fatal("no room")
	}
	var runs [4]Run
	if out := s.c.Transmit(s.now, runs[:0]); len(out) != 1 || len(out[0].Buf) != 30*1472 {
		t.Errorf("%d runs, the first of %d bytes", len(out), len(out[0].Buf))
	}
}

// All of a message is taken or nothing, and what has no room makes the
// connection writable when it has.
func TestMessageRoom(t *testing.T) {
	s := newMessageScript(t, false, func(c *Config) { c.Window = 100 })
	if most := s.c.MaxMessage(); most != 99*1456 {
		t.Fatalf("most is %d bytes", most)
	}
	s.writeMessage(60*1456, MessageOptions{})
	if s.c.WriteMessage(s.now, make([]byte, 41*1456), MessageOptions{}) || s.c.snd.held() != 60 {
		t.Fatalf("a message without room was taken, %d packets are held", s.c.snd.held())
	}
	if s.c.Ready().Writable {
		t.Error("writable without room for the message that was refused")
	}
	s.ack(1, 1, 99)
	if !s.c.Ready().Writable {
		t.Error("not writable with room for it")
	}
	s.writeMessage(41*1456, MessageOptions{})
	if s.c.snd.held() != 100 || s.c.Ready().Writable {
		t.Errorf("%d packets are held, writable %v", s.c.snd.held(), s.c.Ready().Writable)
	}
	s.ack(2, 50, 99)
	s.ack(3, 101, 99)
	if s.c.WriteMessage(s.now, make([]byte, 99*1456+1), MessageOptions{}) {
		t.Error("a message was taken that the peer has no room for")
	}
	s.writeMessage(99*1456, MessageOptions{})
}

// A peer with a small receive buffer limits messages.
func TestTrapD20MaxMessage(t *testing.T) {
	cfg := testConfig(1)
	cfg.Type = Datagram
	h := testRequest(cfg.ISN)
	h.SocketType, h.FlightFlag, h.MSS = Datagram, 32, 1000
	if most := NewServer(0, cfg, h).MaxMessage(); most != 31*(1000-44) {
		t.Errorf("most is %d bytes", most)
	}
}

// Time to live ends a message before its first transmission, before a repeat
// and never while it may be on its way. The request has all of its numbers, and
// is repeated until they are acknowledged.
func TestTTL(t *testing.T) {
	for _, extended := range []bool{false, true} {
		s := newMessageScript(t, extended, nil)
		s.writeMessage(3*1456, MessageOptions{TTL: 30 * ms}) // 0..2
		s.writeMessage(2*1456, MessageOptions{})             // 3..4
		if n := len(s.takenData()); n != 5 {
			t.Fatalf("%d packets", n)
		}
		s.pass(10 * ms)
		s.control(TypeNAK, 0, s.word(1))
		if got := s.takenData(); !slices.Equal(got, []packetIndex{1}) {
			t.Fatalf("within its time %v is repeated", got)
		}
		s.pass(20*ms + time.Microsecond)
		if n := s.drops(); len(n) != 0 {
			t.Fatalf("dropped though nobody said it was lost: %v", n)
		}
		s.pass(200 * ms)
		s.take()
		s.control(TypeNAK, 0, controlBit|s.word(1), s.word(3))
		for range 2 {
			drops, data := s.sent, s.sent
			s.sent = drops
			if got := s.drops(); !reflect.DeepEqual(got, [][3]int64{{1, 0, 2}}) {
				t.Fatalf("drop requests %v", got)
			}
			s.sent = data
			if got := s.takenData(); slices.ContainsFunc(got, func(i packetIndex) bool { return i < 3 }) {
				t.Fatalf("packets %v", got)
			}
			s.pass(500 * ms)
			s.take()
			s.control(TypeNAK, 0, s.word(0)) // it didn't get the request
		}
		s.ack(1, 5, 8192)
		if s.c.snd.held() != 0 || !s.c.snd.mortals.empty() || s.c.count.MessagesExpired != 1 {
			t.Errorf("%d packets are held, %d messages expired", s.c.snd.held(), s.c.count.MessagesExpired)
		}
	}
}

// What has not left in its time does not leave at all, unlike libudt's.
func TestTTLBeforeTheFirstTransmission(t *testing.T) {
	s := newMessageScript(t, false, func(c *Config) { c.Window = 100 })
	s.writeMessage(90*1456, MessageOptions{})
	s.ack(1, 50, 10) // room for packets up to 60
	s.writeMessage(10*1456, MessageOptions{})
	s.take()
	s.writeMessage(8*1456, MessageOptions{TTL: 5 * ms}) // 100..107
	s.writeMessage(1456, MessageOptions{})              // 108
	s.pass(6 * ms)
	s.ack(2, 90, 12) // up to 102: the message can't be skipped yet, and goes out
	if got := s.takenData(); !slices.Equal(got, []packetIndex{90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101}) {
		t.Fatalf("packets %v", got)
	}
	s.ack(3, 100, 90)
	if got := s.taken(TypeDropRequest); len(got) != 1 {
		t.Fatalf("%d drop requests", len(got))
	}
	if s.c.snd.next != 109 || s.c.count.MessagesExpired != 1 {
		t.Errorf("next is %d", s.c.snd.next)
	}
	s.ack(4, 109, 90)
	if s.c.snd.held() != 0 {
		t.Errorf("%d packets are held", s.c.snd.held())
	}
}

// Libudt never gets over a dropped range that has the highest sequence number.
func TestTrapD9HighestNumberIsNotDropped(t *testing.T) {
	for _, extended := range []bool{false, true} {
		for offset := range packetIndex(5) {
			s := newMessageScript(t, extended, func(c *Config) { c.ISN = Seq(SeqMask) - Seq(offset) })
			s.writeMessage(3*1456, MessageOptions{TTL: ms})
			s.take()
			s.pass(10 * ms)
			s.control(TypeNAK, 0, s.word(0))
			if dropped, want := len(s.taken(TypeDropRequest)) == 1, extended || offset > 2; dropped != want {
				t.Errorf("extended %v, highest number at packet %d of 3: dropped %v", extended, offset, dropped)
			}
		}
	}
}

func TestMessagesInAndOutOfOrder(t *testing.T) {
	s := newMessageScript(t, false, nil)
	s.pieces(
		piece{i: 1, b: BoundarySolo, number: 2, text: "two"},
		piece{i: 2, b: BoundarySolo, number: 3, text: "three", inOrder: true},
		piece{i: 5, b: BoundaryLast, number: 4, text: "r!"},
		piece{i: 3, b: BoundaryFirst, number: 4, text: "fo"},
	)
	s.wantMessages("two")
	s.pieces(piece{i: 4, b: BoundaryMiddle, number: 4, text: "u"}, piece{i: 6, b: BoundarySolo, number: 5, text: "five", inOrder: true})
	s.wantMessages("four!"[:2] + "ur!")
	s.pieces(piece{i: 0, b: BoundarySolo, number: 1, text: "one"})
	s.wantMessages("one", "three", "five")
	if s.c.rcv.read != 7 {
		t.Errorf("freed up to %d", s.c.rcv.read)
	}
}

// Empty messages are messages too; libudt neither sends nor delivers any.
func TestEmptyMessages(t *testing.T) {
	s := newMessageScript(t, false, nil)
	s.pieces(
		piece{i: 0, b: BoundarySolo, number: 1},
		piece{i: 1, b: BoundarySolo, number: 2, text: "x"},
		piece{i: 2, b: BoundaryFirst, number: 3}, piece{i: 3, b: BoundaryLast, number: 3},
	)
	s.wantMessages("", "x", "")
}

// What can't be a message is discarded, and what follows is read.
func TestMessagesThatAreNone(t *testing.T) {
	first := func(i packetIndex, n uint32) piece { return piece{i: i, b: BoundaryFirst, number: n, text: "f"} }
	middle := func(i packetIndex, n uint32) piece { return piece{i: i, b: BoundaryMiddle, number: n, text: "m"} }
	last := func(i packetIndex, n uint32) piece { return piece{i: i, b: BoundaryLast, number: n, text: "l"} }
	for name, ps := range map[string][]piece{
		"no first":            {middle(0, 1), last(1, 1)},
		"no last":             {first(0, 1), middle(1, 1)},
		"another number":      {first(0, 1), middle(1, 2), last(2, 1)},
		"two firsts":          {first(0, 1), first(1, 1), middle(2, 7)},
		"the last of another": {first(0, 1), last(1, 2)},
	} {
		for _, gap := range []bool{false, true} { // the same behind a gap
			s := newMessageScript(t, false, nil)
			base := packetIndex(0)
			if gap {
				base = 1
			}
			n := base
			for _, p := range ps {
				p.i += base
				s.pieces(p)
				n = p.i + 1
			}
			s.wantMessages()
			if gap {
				s.pieces(piece{i: 0, b: BoundarySolo, number: 99, text: "before"})
				s.wantMessages("before")
			}
			s.pieces(piece{i: n, b: BoundarySolo, number: 100, text: "after"})
			s.wantMessages("after")
			if s.c.rcv.read != n+1 {
				t.Errorf("%s, gap %v: freed up to %d of %d", name, gap, s.c.rcv.read, n+1)
			}
		}
	}
}

// Of a message that is larger than the buffer what fits is delivered, and the
// rest as it comes discarded; libudt would wait for ever.
func TestTrapD20MessageLargerThanTheBuffer(t *testing.T) {
	const window = 32
	s := newMessageScript(t, false, func(c *Config) { c.Window = window })
	s.pieces(piece{i: 0, b: BoundarySolo, number: 1, text: "1"}, piece{i: 1, b: BoundaryFirst, number: 2, text: "2"})
	for i := packetIndex(2); i < window+5; i++ {
		s.pieces(piece{i: i, b: BoundaryMiddle, number: 2, text: "2"})
	}
	if s.c.rcv.next != window {
		t.Fatalf("%d packets taken", s.c.rcv.next)
	}
	s.wantMessages("1")
	s.pieces(piece{i: window, b: BoundaryMiddle, number: 2, text: "2"}) // as large as it can be
	s.wantMessages(string(bytes.Repeat([]byte("2"), window)) + " (cut)")
	for i := packetIndex(window + 1); i < 100; i++ {
		s.pieces(piece{i: i, b: BoundaryMiddle, number: 2, text: "2"})
	}
	s.pieces(piece{i: 100, b: BoundaryLast, number: 2, text: "2"}, piece{i: 101, b: BoundarySolo, number: 3, text: "3"})
	s.wantMessages("3")
}

// drop is a drop request of the peer for a message.
func (s *script) drop(number uint32, first, last packetIndex) {
	s.t.Helper()
	s.control(TypeDropRequest, number, s.word(first), s.word(last))
}

func TestDropRequest(t *testing.T) {
	for _, extended := range []bool{false, true} {
		s := newMessageScript(t, extended, nil)
		tooLong := packetIndex(0) // libudt's ranges are
		if !extended {
			tooLong = 1
		}
		// One of three packets has come, and the next message.
		s.pieces(piece{i: 1, b: BoundaryMiddle, number: 1, text: "m"}, piece{i: 3, b: BoundarySolo, number: 2, text: "two", inOrder: true})
		s.take()
		s.wantMessages()
		s.drop(1, 0, 2+tooLong)
		s.wantMessages("two")
		s.pass(ms)
		if full, _, _ := s.acks(); len(full) == 0 || full[len(full)-1].Next != s.seq(4) {
			t.Fatalf("extended %v: ACKs %+v", extended, full)
		}
		if s.c.rcv.read != 4 || s.c.count.MessagesDropped != 1 {
			t.Errorf("freed up to %d, %d dropped", s.c.rcv.read, s.c.count.MessagesDropped)
		}
		// The request again: our ACK was lost.
		s.pass(time.Second)
		s.control(TypeACK2, s.c.acks.number)
		s.take()
		s.drop(1, 0, 2+tooLong)
		s.pass(50 * ms)
		if full, _, _ := s.acks(); len(full) == 0 {
			t.Errorf("extended %v: a repeated request is not answered", extended)
		}
		// What comes late for it counts as a duplicate.
		s.pieces(piece{i: 2, b: BoundaryLast, number: 1, text: "l"})
		s.wantMessages()
		if s.c.count.Duplicates != 1 || s.c.count.Invalid != 0 {
			t.Errorf("extended %v: %+v", extended, s.c.count)
		}
	}
}

// The number behind a libudt message belongs to the next one.
func TestTrapD7RangeOneTooLong(t *testing.T) {
	t.Run("it is missing", func(t *testing.T) {
		s := newMessageScript(t, false, nil)
		s.pieces(piece{i: 3, b: BoundaryLast, number: 2, text: "o"})
		s.drop(1, 0, 2) // its numbers are 0 and 1
		s.wantMessages()
		s.pieces(piece{i: 2, b: BoundaryFirst, number: 2, text: "tw"})
		s.wantMessages("two")
	})
	t.Run("the message has all arrived", func(t *testing.T) {
		s := newMessageScript(t, false, nil)
		s.pieces(
			piece{i: 0, b: BoundaryFirst, number: 1, text: "on"}, piece{i: 1, b: BoundaryLast, number: 1, text: "e"},
			piece{i: 3, b: BoundaryLast, number: 2, text: "o"})
		s.wantMessages("one")
		s.drop(1, 0, 2)
		s.pieces(piece{i: 2, b: BoundaryFirst, number: 2, text: "tw"})
		s.wantMessages("two")
	})
	t.Run("an exact range", func(t *testing.T) { // of a peer that is neither libudt nor ours
		s := newMessageScript(t, false, nil)
		s.pieces(piece{i: 0, b: BoundaryFirst, number: 1, text: "on"}, piece{i: 3, b: BoundarySolo, number: 2, text: "two", inOrder: true})
		s.drop(1, 0, 2)
		s.wantMessages()
		s.drop(1, 0, 2) // it is asked for what is missing, and says so again
		s.wantMessages("two")
	})
	t.Run("skipped numbers", func(t *testing.T) {
		// Of three packets one was sent; 3 and 4 never are, but for copies of
		// later packets.
		s := newMessageScript(t, false, nil)
		s.pieces(piece{i: 0, b: BoundaryFirst, number: 1, text: "on"})
		s.drop(1, 1, 3)
		s.pieces(piece{i: 5, b: BoundarySolo, number: 2, text: "two"}, piece{i: 6, b: BoundarySolo, number: 3, text: "three"})
		s.wantMessages("two", "three")
		if naks := s.naks(); len(naks) == 0 || naks[0][0] != [2]packetIndex{3, 4} {
			t.Fatalf("reported missing: %v", naks)
		}
		s.pass(20 * ms)
		s.pieces(piece{i: 3, b: BoundarySolo, number: 3, text: "three"}, piece{i: 4, b: BoundarySolo, number: 4, text: "four"})
		s.wantMessages("four")
		// From now on what it sends again is not what it should be: no message
		// is made of it, but for one that comes whole.
		s.pieces(piece{i: 7, b: BoundaryFirst, number: 5, text: "fi"}, piece{i: 9, b: BoundaryLast, number: 5, text: "e"})
		s.pieces(piece{i: 11, b: BoundarySolo, number: 7, text: "seven"})
		s.pass(20 * ms)
		s.pieces(piece{i: 8, b: BoundaryLast, number: 5, text: "e"}, piece{i: 10, b: BoundarySolo, number: 6, text: "six"})
		s.wantMessages("seven", "six")
	})
}

// Ranges are cut to the window, and to what is of the message.
func TestDropRequestIsBounded(t *testing.T) {
	for _, extended := range []bool{false, true} {
		s := newMessageScript(t, extended, func(c *Config) { c.Window = 1000 })
		s.pieces(
			piece{i: 0, b: BoundarySolo, number: 1, text: "1"},
			piece{i: 2, b: BoundaryFirst, number: 3, text: "3"}, piece{i: 4, b: BoundaryLast, number: 3, text: "3"},
		)
		for _, bad := range [][2]packetIndex{{1, 0}, {1000, 1001}, {1 << 29, 1<<29 + 5}, {-5, -1 << 29}, {5, 4}} {
			invalid := s.c.count.Invalid
			s.drop(2, bad[0], bad[1])
			if s.c.count.Invalid != invalid+1 || s.c.rcv.next != 1 {
				t.Errorf("extended %v: packets %d to %d were dropped: next %d", extended, bad[0], bad[1], s.c.rcv.next)
			}
		}
		// Far too long: it ends where another message does not.
		s.drop(2, 1, 900)
		s.pieces(piece{i: 3, b: BoundaryMiddle, number: 3, text: "3"})
		s.wantMessages("1", "333")
		// Beyond the window: it ends there.
		s.drop(4, 5, 1<<28)
		if s.c.rcv.high != s.c.rcv.next || s.c.rcv.high < 1000 || s.c.rcv.high > 1005 {
			t.Errorf("extended %v: next %d, high %d", extended, s.c.rcv.next, s.c.rcv.high)
		}
		s.check()
		if m := memory(s.c); m > 1<<20 {
			t.Errorf("one request takes %d bytes", m)
		}
		for _, short := range [][]uint32{nil, {s.word(2000)}, {s.word(2000), controlBit}, {controlBit, s.word(2000)}} {
			invalid := s.c.count.Invalid
			s.control(TypeDropRequest, 4, short...)
			if s.c.count.Invalid != invalid+1 {
				t.Errorf("a request of the words %x was taken", short)
			}
		}
	}
}

// A stream has nothing that could be left out.
func TestStreamsDropNothing(t *testing.T) {
	s := newConnectedScript(t, testConfig(1))
	s.data(1, []byte("x"))
	s.control(TypeDropRequest, 1, s.word(0), s.word(0))
	if s.c.rcv.next != 0 || s.c.count.MessagesDropped != 0 {
		t.Errorf("next is %d", s.c.rcv.next)
	}
}

// After the end whole messages can still be read.
func TestMessagesAfterTheEnd(t *testing.T) {
	s := newMessageScript(t, false, nil)
	s.pieces(piece{i: 0, b: BoundarySolo, number: 1, text: "one"}, piece{i: 1, b: BoundaryFirst, number: 2, text: "tw"})
	s.control(TypeShutdown, 0, 0)
	s.pass(5 * time.Second)
	if !s.c.Ready().Readable || s.c.End() != EndPeer {
		t.Fatalf("end %d", s.c.End())
	}
	buf := make([]byte, 10)
	if size, _, ok := s.c.ReadMessage(buf); !ok || string(buf[:size]) != "one" {
		t.Errorf("read %q", buf[:size])
	}
	if _, _, ok := s.c.ReadMessage(buf); ok || !s.c.Ready().Readable {
		t.Error("half a message can be read, or the end can't")
	}
}

func TestNumberSet(t *testing.T) {
	var s numberSet
	for _, step := range []struct {
		number uint32
		isNew  bool
	}{
		{1, true}, {2, true}, {1, false}, {5, true}, {4, true}, {5, false}, {3, true},
		{1000, true}, {5, false}, {6, true}, {5000, true}, {1000, false}, {904, true}, {905, true}, {903, true},
		{904, true /* forgotten */}, {905, false},
		{1 << 20, true}, {5000, true}, {1 << 20, false}, {1<<20 - 5, true}, {1<<20 - 5, false},
		{1 << 28, true}, {1<<29 - 2, true}, {1, true}, {1<<29 - 2, false}, {1, false}, {2, true},
	} {
		if got := s.add(step.number); got != step.isNew {
			t.Errorf("%d is new: %v", step.number, got)
		}
	}
}

func ExampleDropRequest() {
	d := DropRequest{Message: 2, SeqRange: SeqRange{First: 7, Last: 9}}
	fmt.Printf("%x\n", d.Append(nil, 5))
	// Output: 800700000000000200000000000000050000000700000009
}

// A recvmsg of libudt's that is taking a message when our shutdown comes loses
// it: its reader is given time, within the linger time's own terms.
func TestCloseGivesMessageReadersTime(t *testing.T) {
	for extended, wait := range map[bool]time.Duration{false: readerGrace, true: 0} {
		s := newMessageScript(t, extended, nil)
		s.writeMessage(100, MessageOptions{})
		s.c.Close(s.now, 10*ms)
		s.ack(1, 1, 100)
		s.ack(2, 1, 100) // a repeat changes nothing
		s.sent = nil
		for begin := s.now; len(s.taken(TypeShutdown)) == 0; s.pass(ms) {
			if s.now.Sub(begin) > time.Second {
				t.Fatalf("extended %v: no shutdown", extended)
			}
			if extended && s.c.State() != StateDraining {
				break // said before sent was cleared
			}
			if !extended && s.now.Sub(begin) > wait+2*ms {
				t.Fatalf("no shutdown after %v", s.now.Sub(begin))
			}
			if !extended && s.now.Sub(begin) < wait-2*ms && s.c.State() != StateDraining {
				t.Fatalf("goodbye after %v", s.now.Sub(begin))
			}
		}
		s.pass(time.Second)
		if s.c.End() != EndLocal {
			t.Errorf("extended %v: end %d", extended, s.c.End())
		}
	}
	s := newMessageScript(t, false, nil)
	s.c.Close(s.now, time.Second)
	s.step()
	if s.c.State() != StateGoodbye {
		t.Error("a reader of nothing is waited for")
	}
}
