package proto

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// FuzzConn reads its input as a script of what an application and a network do
// to two connections, then heals the network. What is delivered must be what
// was sent, in order; nothing may be lost that was acknowledged; memory is
// bounded; and unless someone closed or gave up, all of it arrives.
func FuzzConn(f *testing.F) {
	f.Fuzz(func(t *testing.T, script []byte) { newWorld(t, script[:min(len(script), 4096)], Stream).play() })
}

// FuzzMessages is the same with messages, which arrive whole, once, and unless
// they have a time to live, all.
func FuzzMessages(f *testing.F) {
	f.Fuzz(func(t *testing.T, script []byte) { newWorld(t, script[:min(len(script), 4096)], Datagram).play() })
}

func (w *world) play() *world {
	for len(w.script) > 0 {
		w.op()
	}
	w.heal()
	return w
}

// The same with random scripts that mostly connect first.
func TestRandomWorlds(t *testing.T) { randomWorlds(t, Stream) }

func TestRandomMessageWorlds(t *testing.T) { randomWorlds(t, Datagram) }

func randomWorlds(t *testing.T, typ SocketType) {
	n := seeds(1500)
	for seed := range uint64(n) {
		r := rand.New(rand.NewPCG(seed, 3))
		script := make([]byte, 6+r.IntN(400))
		fill(r, script)
		connect := []byte{0x13, 0x03, 0x13, 0x03, 0x13, 11, 200, 100}
		if r.IntN(8) > 0 && len(script) > 6+len(connect) {
			copy(script[6:], connect)
		}
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) { newWorld(t, script, typ).play() })
		if !ok {
			t.Fatalf("the script was %x", script)
		}
	}
}

// A world is two ends and what is under way between them.
type world struct {
	t        *testing.T
	script   []byte
	now      Instant
	acceptor *Acceptor
	ends     [2]*fuzzEnd // client, server
	plain    bool        // they don't know each other for ends of ours
	early    bool        // the client sends early data
	meeting  bool        // they dial each other
	scratch  [1 << 16]byte
}

type fuzzEnd struct {
	i         int
	cfg       Config
	conn      *Conn
	in        [][]byte // packets under way to this end
	sent, got int      // bytes
	mail      *mail    // messages to this end
	closed    bool     // Close or Abort was called
}

// most packets under way in one direction; the rest is lost.
const fuzzQueue = 2000

func newWorld(t *testing.T, script []byte, typ SocketType) *world {
	w := drawWorld(t, script, typ)
	w.ends[0].cfg.EarlyData = w.early
	w.ends[0].conn = NewClient(0, w.ends[0].cfg)
	w.transmit()
	return w
}

// newRendezvousWorld is newWorld with two ends that dial each other.
func newRendezvousWorld(t *testing.T, script []byte) *world {
	w := drawWorld(t, script, Stream)
	w.meeting = true
	for _, e := range w.ends {
		e.conn = NewRendezvous(0, e.cfg)
	}
	w.transmit()
	return w
}

func drawWorld(t *testing.T, script []byte, typ SocketType) *world {
	w := &world{t: t, script: script, acceptor: testAcceptor()}
	w.acceptor.typ = typ
	for i := range w.ends {
		cfg := testConfig(uint32(100 + i))
		cfg.Type = typ
		cfg.MSS = MinMSS + 6*w.number()
		cfg.Window = 2 + w.number()
		isn := w.number()
		cfg.ISN = Seq(SeqMask - isn)
		w.plain = isn&1 == 0
		w.early = !w.plain && isn&2 == 0
		w.ends[i] = &fuzzEnd{i: i, cfg: cfg, mail: newMail(t, nil)}
	}
	return w
}

// number reads the next byte of the script, 0 at its end.
func (w *world) number() int {
	if len(w.script) == 0 {
		return 0
	}
	n := w.script[0]
	w.script = w.script[1:]
	return int(n)
}

// streamByte is byte k of what end i sends.
func streamByte(i, k int) byte { return byte(k ^ k>>8*31 ^ i*91) }

func (w *world) op() {
	code := w.number()
	e := w.ends[code>>4&1]
	switch code & 15 {
	case 0, 1, 2: // the first packets arrive
		w.deliver(e, 1<<(code&15*2))
	case 3: // all arrive, as one batch where they are equal in size
		w.deliver(e, len(e.in))
	case 4:
		if len(e.in) > 0 {
			e.in = e.in[1:]
		}
	case 5: // a duplicate, late
		if len(e.in) > 0 {
			e.in = append(e.in, bytes.Clone(e.in[0]))
		}
	case 6: // out of order
		if n := w.number(); len(e.in) > 1 {
			at := n % len(e.in)
			e.in[0], e.in[at] = e.in[at], e.in[0]
		}
	case 7: // a spoiled copy
		if at, bits := w.number(), w.number(); len(e.in) > 0 {
			b := bytes.Clone(e.in[0])
			b[at%len(b)] ^= byte(bits)
			w.forged(e, b)
		}
	case 8: // some time
		w.now = w.now.Add(time.Microsecond << (w.number() % 25))
		w.timeouts()
	case 9, 10: // the time of the next timer
		if at, ok := w.next(); ok {
			w.now = max(w.now, min(at, w.now.Add(time.Minute)))
		}
		w.timeouts()
	case 11:
		w.write(e, 1+w.number()*w.number())
	case 12:
		w.read(e, 1+w.number()*w.number())
	case 13: // made up
		n := w.number()
		b := bytes.Clone(w.script[:min(n, len(w.script))])
		w.script = w.script[len(b):]
		w.forged(e, b)
	case 14: // timers that are not due, requests repeated
		w.timeouts()
		if e.conn != nil {
			e.conn.RepeatResponse()
		}
	case 15:
		n := w.number()
		if e.conn == nil || n < 200 { // not so often
			break
		}
		e.closed = true
		if n == 255 {
			e.conn.Abort(w.now)
		} else {
			e.conn.Close(w.now, time.Duration(n-200)*time.Second)
		}
	}
	w.transmit()
	w.check()
}

// deliver hands the first n packets under way over.
func (w *world) deliver(e *fuzzEnd, n int) {
	for n = min(n, len(e.in)); n > 0; {
		b := e.in[0]
		if id, ok := Destination(b); !ok || e.conn == nil || id != e.conn.ID() {
			e.in, n = e.in[1:], n-1
			switch {
			case !ok || id != 0:
			case w.meeting:
				e.conn.HandleRequest(w.now, b)
			case e.i == 1:
				w.accept(b)
			}
			continue
		}
		var run []byte
		size := len(b)
		for n > 0 && len(e.in[0]) == size && bytes.Equal(e.in[0][12:16], b[12:16]) {
			run = append(run, e.in[0]...)
			e.in, n = e.in[1:], n-1
		}
		e.conn.HandleRun(w.now, run, size)
		clear(run)
	}
}

func (w *world) accept(b []byte) {
	client, server := w.ends[0], w.ends[1]
	t := Terms{MSS: server.cfg.MSS, Window: server.cfg.Window}
	verdict, h, reply := w.acceptor.Handle(w.now, clientAddr, t, b, nil)
	switch {
	case verdict == VerdictReply:
		client.in = append(client.in, reply)
	case verdict == VerdictAccept && server.conn == nil:
		if w.plain {
			h.Info = 0
		}
		if h.EarlyID != 0 {
			server.cfg.ID = h.EarlyID
		}
		server.conn = NewServer(w.now, server.cfg, h)
	case verdict == VerdictAccept:
		server.conn.RepeatResponse()
	}
}

// forged hands a packet over that the peer did not send, unless it can't be
// told from a true one.
func (w *world) forged(e *fuzzEnd, b []byte) {
	peer := w.ends[1-e.i].conn
	if e.i == 1 && !w.meeting {
		if _, _, reply := w.acceptor.Handle(w.now, clientAddr, testTerms, b, nil); len(reply) > len(b) {
			w.t.Fatalf("%d bytes answered with %d", len(b), len(reply))
		}
	}
	if e.conn == nil || e.conn.State() == StateConnecting || e.conn.hs.assumed || peer == nil {
		return // a handshake has no checksum either
	}
	if len(b) >= HeaderSize {
		binary.BigEndian.PutUint32(b[12:], e.conn.ID())
	}
	if !plausible(b, e.conn, peer) {
		e.conn.HandleDatagram(w.now, b)
		clear(b)
	}
}

func (w *world) timeouts() {
	for _, e := range w.ends {
		if e.conn != nil {
			e.conn.HandleTimeout(w.now)
		}
	}
}

func (w *world) next() (at Instant, ok bool) {
	at = never
	for _, e := range w.ends {
		if e.conn != nil {
			if t, set := e.conn.NextTimeout(); set {
				at, ok = min(at, t), true
			}
		}
	}
	return at, ok
}

func (w *world) write(e *fuzzEnd, n int) {
	if e.conn == nil {
		return
	}
	if e.conn.messages() {
		w.writeMessage(e, n)
		return
	}
	b := w.scratch[:n]
	for k := range b {
		b[k] = streamByte(e.i, e.sent+k)
	}
	e.sent += e.conn.Write(w.now, b)
	clear(b) // the engine must not keep it
}

// writeMessage writes a message of at most n bytes, if there is room.
func (w *world) writeMessage(e *fuzzEnd, n int) {
	m, how := w.ends[1-e.i].mail, w.number()
	l := letter{size: min(3+n, e.conn.MaxMessage())}
	l.o.InOrder = how&1 != 0
	if how&2 != 0 {
		l.o.TTL = time.Duration(how) * time.Millisecond
		// A libudt peer's drop requests are not believed to the letter.
		m.lenient = m.lenient || w.plain
	}
	if l.size < 4 || e.conn.State() != StateConnected {
		return
	}
	m.letters, m.got = append(m.letters, l), append(m.got, 0)
	m.write(e.conn, w.now)
	m.letters, m.got = m.letters[:m.written], m.got[:m.written]
}

func (w *world) read(e *fuzzEnd, n int) {
	if e.conn == nil {
		return
	}
	if e.conn.messages() {
		e.mail.read(e.conn)
		return
	}
	b := w.scratch[:min(n, len(w.scratch))]
	b = b[:e.conn.Read(b)]
	for k := range b {
		if b[k] != streamByte(1-e.i, e.got+k) {
			w.t.Fatalf("end %d: byte %d is not as sent: %s", e.i, e.got+k, w)
		}
	}
	e.got += len(b)
	if e.got > w.ends[1-e.i].sent {
		w.t.Fatalf("end %d: got %d bytes of %d sent", e.i, e.got, w.ends[1-e.i].sent)
	}
}

func (w *world) readAll(e *fuzzEnd) {
	for before := -1; e.got > before; {
		before = e.got
		w.read(e, len(w.scratch))
	}
}

// transmit puts under way what both ends have to send.
func (w *world) transmit() {
	var runs [3]Run
	for _, e := range w.ends {
		if e.conn == nil {
			continue
		}
		to := w.ends[1-e.i]
		for {
			out := e.conn.Transmit(w.now, runs[:0])
			if len(out) == 0 {
				break
			}
			for _, r := range out {
				for b := r.Buf; len(b) > 0; {
					n := min(r.Segment, len(b))
					if n > e.conn.MSS()-IPUDPHeaders && n != HeaderSize+HandshakeSize {
						w.t.Fatalf("end %d: a packet of %d bytes", e.i, n)
					}
					if len(to.in) < fuzzQueue {
						to.in = append(to.in, bytes.Clone(b[:n]))
					}
					b = b[n:]
				}
			}
		}
	}
}

func (w *world) check() {
	for _, e := range w.ends {
		if e.conn == nil {
			continue
		}
		if err := e.conn.check(); err != nil {
			w.t.Fatalf("end %d: %v: %s", e.i, err, w)
		}
		if m := memory(e.conn); m > 4<<20 {
			w.t.Fatalf("end %d holds %d bytes for a window of %d packets: %s", e.i, m, e.cfg.Window, w)
		}
	}
}

// memory is about what a connection holds, in bytes.
func memory(c *Conn) int {
	n := cap(c.scratch)
	for _, k := range c.snd.ring.table {
		if k != nil {
			n += len(k.buf)
		}
	}
	for _, k := range c.rcv.ring.table {
		if k != nil {
			n += len(k.buf)
		}
	}
	n += 8 * (len(c.snd.ring.table) + len(c.rcv.ring.table))
	for _, k := range append(c.snd.spare.free, c.snd.limbo...) {
		n += len(k.buf)
	}
	for _, k := range c.rcv.spare.free {
		n += len(k.buf)
	}
	return n + 32*(cap(c.naks.fresh.q)+cap(c.naks.waiting.q)) + 24*cap(c.reorder.shown.q)
}

// heal lets everything through, in order and in a millisecond, and both
// applications read, until nothing is left to do.
func (w *world) heal() {
	client, server := w.ends[0], w.ends[1]
	end := w.now.Add(30 * time.Minute)
	for still := 0; !w.done(); still++ {
		before := w.now
		if len(client.in)+len(server.in) > 0 {
			w.now = w.now.Add(time.Millisecond)
		} else if at, ok := w.next(); ok {
			w.now = max(w.now, at)
		}
		if w.now != before {
			still = 0
		}
		if still > 1000 || w.now > end {
			w.t.Fatalf("not done: %s", w)
		}
		w.timeouts()
		for _, e := range w.ends {
			w.deliver(e, len(e.in))
			w.readAll(e)
		}
		w.timeouts()
		w.transmit()
		w.check()
	}
	for _, e := range w.ends {
		w.readAll(e)
	}
	// Whoever was told that all he wrote is acknowledged can rely on it.
	for i, e := range w.ends {
		if e.conn != nil && e.conn.End() == EndLocal && e.conn.snd.slots > 0 && e.conn.snd.held() == 0 && !w.arrived(e) {
			w.t.Fatalf("end %d closed in good order, but %d of %d bytes were delivered: %s", i, w.ends[1-i].got, e.sent, w)
		}
	}
}

// done says that the connections are over, or that nobody wants to end them
// and all has been delivered.
func (w *world) done() bool {
	client, server := w.ends[0], w.ends[1]
	if !client.closed && !server.closed && server.conn != nil &&
		client.conn.End() == EndNone && server.conn.End() == EndNone {
		return client.conn.State() == StateConnected && w.arrived(server) && w.arrived(client)
	}
	if client.conn.End() == EndNone {
		return false
	}
	return server.conn == nil || server.conn.End() != EndNone
}

// arrived says that what e has sent was read.
func (w *world) arrived(e *fuzzEnd) bool {
	to := w.ends[1-e.i]
	if e.conn != nil && e.conn.messages() {
		return to.mail.done(e.conn)
	}
	return to.got == e.sent
}

func (w *world) String() string {
	s := fmt.Sprintf("at %v", time.Duration(w.now))
	for _, e := range w.ends {
		if e.conn == nil {
			s += "\nno connection"
			continue
		}
		c := e.conn
		at, _ := c.NextTimeout()
		s += fmt.Sprintf("\nnext timeout %v, timers %v, bye %+v", time.Duration(at), c.timers, c.bye)
		s += fmt.Sprintf("\nend %d: state %d, end %d, sent %d, got %d, %d under way; una %d next %d tail %d lost %d flow %d period %v; read %d next %d high %d; %+v",
			e.i, c.State(), c.End(), e.sent, e.got, len(e.in), c.snd.una, c.snd.next, c.snd.tail, c.snd.lostCount, c.flowEnd,
			time.Duration(c.pace.period), c.rcv.read, c.rcv.next, c.rcv.high, c.count)
	}
	return s
}
