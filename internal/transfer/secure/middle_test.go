package secure

import (
	"bytes"
	"testing"
	"testing/synctest"
)

// FuzzHandshake reads its input as a script of what somebody between two ends does to the records of their handshake.
// Whoever accepts the other has been told by it, word for word, all that it said until then.
func FuzzHandshake(f *testing.F) {
	for mode := range byte(modeAll) {
		f.Add([]byte{mode})
	}
	for _, s := range scripts {
		f.Add(append([]byte{0}, s.text...))
		f.Add(append([]byte{modeRendezvous | modeOneKey}, s.text...))
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		inBubble(t, func(t *testing.T) { newMiddle(t, script[:min(len(script), 4096)]).play() })
	})
}

// scripts are some whose outcome is known. They say which record: of the client's the first is its hello, the second a
// change of cipher, the others are encrypted; the server's likewise.
var scripts = []struct {
	name     string
	text     []byte
	harmless bool
}{
	{"nothing", nil, true},
	{"crumbs", []byte{opCrumble, 0, 0, 0, 7, opCrumble | toClient, 2, 0, 0, 7}, true},
	{"hello in two records", []byte{opSplit, 0, 0, 50, 0}, true},
	{"no change of cipher", []byte{opDrop, 1, 0, 0, 0, opDrop | toClient, 1, 0, 0, 0}, true},
	{"warning before the hello", []byte{opInsert, 0, 0, 0, 7, 21, 3, 1, 0, 2, 1, 90}, true},
	{"record of no record", []byte{opFlip, 99, 0, 0, 1}, true},
	{"hello changed", []byte{opFlip, 0, 0, 50, 1}, false},
	{"answer changed", []byte{opFlip | toClient, 0, 0, 50, 1}, false},
	{"certificate changed", []byte{opFlip, 2, 0, 50, 1}, false},
	{"hello cut", []byte{opCut, 0, 0, 50, 0}, false},
	{"hello lost", []byte{opDrop, 0, 0, 0, 0}, false},
	{"hello twice", []byte{opRepeat, 0, 0, 0, 0}, false},
	{"answer late", []byte{opHold | toClient, 0, 0, 0, 0}, false},
	{"hello reflected", []byte{opReflect, 0, 0, 0, 0}, false},
	{"certificate in two", []byte{opSplit | toClient, 3, 0, 50, 0}, false},
	{"noise before the answer", []byte{opInsert | toClient, 0, 0, 0, 6, 22, 3, 3, 0, 1, 1}, false},
	{"end instead of welcome", []byte{opEnd | toClient, 7, 0, 0, 0}, false},
}

// TestMiddle: the scripts do what they say.
func TestMiddle(t *testing.T) {
	for _, s := range scripts {
		for _, mode := range []byte{0, modeSilence, modeOneKey} {
			t.Run(s.name, func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					m := newMiddle(t, append([]byte{mode}, s.text...))
					m.play()
					if err := m.sides[0].outcome.err; s.harmless != (err == nil) {
						t.Errorf("mode %d: the client ends with %v", mode, err)
					}
				})
			})
		}
	}
}

// Bits of a script's first byte.
const (
	modeRendezvous    = 1 << iota // both ends have dialled
	modeSilence                   // what is missing is waited for: nobody learns that the other closed
	modeClientRefuses             // the client does not trust the server
	modeServerRefuses             // the server does not trust the client
	modeOneKey                    // both ends have the same key
	modeAll           = 1 << iota
)

// What is done to a record.
const (
	opFlip    = iota // bits y of byte x
	opCut            // only x bytes of it arrive
	opDrop           // it does not arrive
	opRepeat         // it arrives twice
	opHold           // it arrives after the next
	opReflect        // it goes back to who sent it instead
	opInsert         // y bytes of the script arrive before it
	opSplit          // it arrives as two records, of which the first has x bytes
	opCrumble        // it arrives y bytes at a time
	opEnd            // it does not arrive, and nothing after it
	ops

	toClient = 0x80 // added to the above
)

// A middle is between two ends, of which only one is ever at work, so that the same script does the same again.
type middle struct {
	t      *testing.T
	script []byte
	mode   byte
	sides  [2]*side // client, server
}

// side is one end, and what is between it and the middle.
type side struct {
	mine *tap // the end's
	ours *end // the middle's

	peer   *side
	taken  int            // bytes of what it said that the middle has looked at
	number byte           // of the record that comes next
	plan   map[byte][]act // by the number of the record
	held   []byte         // until the next record has arrived
	ended  bool           // no more of it arrives
	heard  []byte         // what arrived

	cfg     Config
	done    chan struct{}
	outcome outcome // valid once done is closed
	checked bool
}

type act struct {
	op    byte
	x, y  int
	extra []byte
}

func newMiddle(t *testing.T, script []byte) *middle {
	m := &middle{t: t, script: script}
	m.mode = m.number() % modeAll
	client, server := fixed(1), fixed(2)
	if m.mode&modeOneKey != 0 && !m.refuses() {
		server = client
	}
	m.sides = [2]*side{newSide(client, server), newSide(server, client)}
	for i, bit := range []byte{modeClientRefuses, modeServerRefuses} {
		if m.mode&bit != 0 {
			m.sides[i].cfg.Trusts = nil
		}
		m.sides[i].peer = m.sides[1-i]
	}
	for len(m.script) > 0 {
		op, n := m.number(), m.number()
		a := act{op: op &^ toClient % ops, x: int(m.number())<<8 | int(m.number()), y: int(m.number())}
		if a.op == opInsert {
			a.extra = m.script[:min(a.y, len(m.script))]
			m.script = m.script[len(a.extra):]
		}
		from := m.sides[op>>7]
		from.plan[n] = append(from.plan[n], a)
	}
	return m
}

// refuses says that one end, or both, does not trust the other.
func (m *middle) refuses() bool { return m.mode&(modeClientRefuses|modeServerRefuses) != 0 }

func newSide(id, trusted Identity) *side {
	a, b := pipe()
	return &side{mine: &tap{end: a}, ours: b, cfg: as(id, trusted), plan: make(map[byte][]act), done: make(chan struct{})}
}

// number reads the next byte of the script, 0 at its end.
func (m *middle) number() byte {
	if len(m.script) == 0 {
		return 0
	}
	n := m.script[0]
	m.script = m.script[1:]
	return n
}

func (m *middle) play() {
	roles := [2]handshakeFunc{dial, Server}
	if m.mode&modeRendezvous != 0 {
		roles = [2]handshakeFunc{meetHalfway, meetHalfway}
	}
	for i, s := range m.sides {
		go func() {
			defer close(s.done)
			s.outcome.conn, s.outcome.err = inTime(roles[i])(m.t.Context(), s.mine, s.cfg)
		}()
		synctest.Wait()
	}
	for busy := true; busy; {
		busy = false
		for _, s := range m.sides {
			if r := m.next(s); r != nil {
				m.pass(s, r)
				busy = true
			}
		}
	}
	for _, s := range m.sides {
		m.arrive(s.peer, s.held)
	}
	if m.mode&modeSilence == 0 {
		for _, s := range m.sides {
			m.end(s)
		}
	}
	for _, s := range m.sides {
		<-s.done
		m.check(s)
	}
	m.judge()
}

// next is the next record that an end has said, nil if there is none; of two that have dialled the first are their throws
// of dice.
func (m *middle) next(s *side) []byte {
	rest := s.mine.all[s.taken:]
	n := recordLen(rest)
	if m.mode&modeRendezvous != 0 && s.taken == 0 {
		n = min(len(rest), diceLen)
	}
	s.taken += n
	if n == 0 {
		return nil
	}
	return bytes.Clone(rest[:n])
}

const (
	recordHead = 5
	diceLen    = 32
)

// recordLen is the length of the first record of b; of all of it where that is less.
func recordLen(b []byte) int {
	if len(b) < recordHead {
		return len(b)
	}
	return min(len(b), recordHead+int(b[3])<<8+int(b[4]))
}

// pass does to a record what the script says, and hands it over.
func (m *middle) pass(from *side, r []byte) {
	to, crumb, held := from.peer, max(1, len(r)), false
	for _, a := range from.plan[from.number] {
		switch a.op {
		case opFlip:
			if len(r) > 0 {
				r[a.x%len(r)] ^= byte(a.y)
			}
		case opCut:
			r = r[:min(a.x, len(r))]
		case opDrop:
			r = nil
		case opRepeat:
			r = append(r, r...)
		case opHold:
			held = true
		case opReflect:
			to = from
		case opInsert:
			r = append(bytes.Clone(a.extra), r...)
		case opSplit:
			if n := len(r) - recordHead; n > 0 {
				x := a.x % (n + 1)
				second := append([]byte{r[0], r[1], r[2], byte((n - x) >> 8), byte(n - x)}, r[recordHead+x:]...)
				r = append([]byte{r[0], r[1], r[2], byte(x >> 8), byte(x)}, r[recordHead:recordHead+x]...)
				r = append(r, second...)
			}
		case opCrumble:
			crumb = max(1, a.y)
		case opEnd:
			m.end(from)
		}
	}
	from.number++
	if held {
		from.held = append(from.held, r...)
		return
	}
	for len(r) > 0 {
		n := min(crumb, len(r))
		m.arrive(to, r[:n])
		r = r[n:]
	}
	m.arrive(from.peer, from.held)
	from.held = nil
}

// arrive hands bytes over to an end, and lets it do what it does about them.
func (m *middle) arrive(to *side, b []byte) {
	if len(b) == 0 || to.peer.ended {
		return
	}
	if _, err := to.ours.Write(b); err == nil {
		to.heard = append(to.heard, b...)
	}
	synctest.Wait()
	for _, s := range m.sides {
		select {
		case <-s.done:
			m.check(s)
		default:
		}
	}
}

// end is the end of what an end says.
func (m *middle) end(from *side) {
	from.ended = true
	from.peer.mine.in.set(func() { from.peer.mine.in.ended = true })
	synctest.Wait()
}

// check looks at an end that is done, before anything else happens.
func (m *middle) check(s *side) {
	if s.checked {
		return
	}
	s.checked = true
	if s.outcome.err != nil {
		wantFailure(m.t, s.outcome.err)
		return
	}
	said, heard := s.peer.mine.all, s.heard
	if m.mode&modeRendezvous != 0 {
		said, heard = said[min(len(said), diceLen):], heard[min(len(heard), diceLen):]
	}
	if !bytes.HasPrefix(meaning(heard), meaning(withoutAlert(said))) {
		m.t.Errorf("accepted, though\n%x was said, and\n%x was heard", said, heard)
	}
	if k := s.outcome.conn.PeerKey(); k != s.peer.cfg.Identity.Public() || !s.cfg.trusts(k) {
		m.t.Errorf("the wrong peer is accepted: %v", k)
	}
}

// withoutAlert is what an end said before it failed: the alert, the only record of its length, may be on its way still.
func withoutAlert(b []byte) []byte {
	const alertLen = recordHead + 2 + 1 + 16 // with its type, and the cipher's sum
	at := 0
	for n := recordLen(b); at+n < len(b); n = recordLen(b[at:]) {
		at += n
	}
	if len(b)-at == alertLen {
		return b[:at]
	}
	return b
}

// meaning is what TLS makes of records: handshake messages in the clear may be parted otherwise, and neither a change of
// cipher nor an alert before there is a cipher says anything that could be believed.
func meaning(b []byte) (out []byte) {
	const changeCipherSpec, alert, handshake = 20, 21, 22
	for len(b) > 0 {
		n := recordLen(b)
		switch r := b[:n]; r[0] {
		case changeCipherSpec, alert:
		case handshake:
			out = append(out, r[min(n, recordHead):]...)
		default:
			out = append(out, r...)
		}
		b = b[n:]
	}
	return out
}

// judge looks at both ends together.
func (m *middle) judge() {
	client, server := m.sides[0], m.sides[1]
	x, y := client.outcome.err, server.outcome.err
	if m.refuses() && (x == nil || y == nil) {
		m.t.Errorf("who is not trusted is accepted: %v, %v", x, y)
	}
	if m.mode&modeRendezvous == 0 && x == nil && y != nil {
		m.t.Errorf("the client alone is content: %v", y)
	}
	whole := bytes.Equal(client.heard, server.mine.all) && bytes.Equal(server.heard, client.mine.all)
	part := bytes.HasPrefix(server.mine.all, client.heard) && bytes.HasPrefix(client.mine.all, server.heard)
	switch {
	case whole && m.refuses():
		wantError(m.t, x, KindAuth)
		wantError(m.t, y, KindAuth)
	case whole && (x != nil || y != nil):
		m.t.Errorf("nothing was changed: %v, %v", x, y)
	case part && !m.refuses():
		for _, err := range []error{x, y} {
			if err != nil {
				wantError(m.t, err, KindNoConnection)
			}
		}
	}
}
