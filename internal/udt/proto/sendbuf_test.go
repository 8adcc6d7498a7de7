package proto

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// sendModel is what a sendBuffer must behave like: every packet kept by itself,
// nothing ever reused.
type sendModel struct {
	t       *testing.T
	r       *rand.Rand
	b       *sendBuffer
	packets [][]byte // payloads, by index
	message []uint32
	lost    map[packetIndex]bool
	again   map[packetIndex]bool
	sentAt  map[packetIndex]Instant
	now     Instant
	fill    *Fill
	sending []sendingRun
	stage   Stage
	staged  []byte // what stage has
	ways    map[string]int
}

// sendingRun is memory handed out for a send that is still under way.
type sendingRun struct{ mem, copied []byte }

// Writes, sends, losses and acknowledgements in any order leave the buffer
// with the packets of the model.
func TestSendBufferModel(t *testing.T) {
	ways := map[string]int{}
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		mss := []int{MinMSS, 300, 1500}[r.IntN(3)]
		if seed == 0 {
			mss = MaxMSS
		}
		m := &sendModel{
			t: t, r: r, b: &sendBuffer{},
			lost: map[packetIndex]bool{}, again: map[packetIndex]bool{}, sentAt: map[packetIndex]Instant{}, ways: ways,
		}
		m.b.init(Seq(SeqMask-r.IntN(100)), mss, 55, 1+r.IntN(300))
		m.b.message = maxMessage - 20
		for step := range 400 {
			m.now += Instant(r.IntN(1000))
			m.step()
			m.verify()
			if t.Failed() {
				t.Fatalf("seed %d, MSS %d, step %d", seed, mss, step)
			}
		}
	}
	if ways["moved"] < 100 || ways["copied"] < 100 {
		t.Errorf("stages %v", ways)
	}
}

func (m *sendModel) step() {
	b := m.b
	switch m.r.IntN(9) {
	case 0, 1:
		m.write()
	case 2: // begin to fill, commit later
		if f, ok := b.reserve(); ok {
			m.fill = &f
		}
	case 3, 4:
		if end := b.sendable(); b.next < end {
			r := b.runAt(b.next, end, 1+m.r.IntN(80))
			b.advanceNext(r.first + packetIndex(r.n))
			m.transmitted(r)
		}
	case 5:
		if first, n, ok := b.nextLost(); ok {
			for i := packetIndex(0); i < b.next; i++ {
				if m.lost[i] != (i == first) && i <= first {
					m.t.Errorf("lowest lost packet %d, lost %v", first, m.lost)
				}
			}
			r := b.runAt(first, first+packetIndex(n), 1+m.r.IntN(80))
			for i := first; i < first+packetIndex(r.n); i++ {
				if !m.lost[i] {
					m.t.Errorf("packet %d is sent again but not lost", i)
				}
				delete(m.lost, i)
				m.again[i] = true
			}
			b.resent(r)
			m.transmitted(r)
		} else if len(m.lost) > 0 {
			m.t.Errorf("lost %v, none found", m.lost)
		}
	case 6:
		from := b.una + packetIndex(m.r.IntN(20)-5)
		to := from + packetIndex(m.r.IntN(1<<m.r.IntN(9)))
		after := m.now - Instant(m.r.IntN(3000))
		want := 0
		for i := max(from, b.una); i < min(to, b.next); i++ {
			if !m.lost[i] && !(m.again[i] && m.sentAt[i] > after) {
				m.lost[i] = true
				want++
			}
		}
		if got := b.markLost(from, to, after); got != want {
			m.t.Errorf("lost %d to %d: %d new, want %d", from, to, got, want)
		}
	case 7:
		i := b.una + packetIndex(m.r.IntN(b.inFlight()+1))
		want := int(i - b.una)
		if got := b.acknowledge(i); got != want || b.una != i {
			m.t.Errorf("acknowledged %d packets up to %d, want %d up to %d", got, b.una, want, i)
		}
		for k := range m.lost {
			if k < i {
				delete(m.lost, k)
			}
		}
	case 8:
		if m.r.IntN(3) == 0 { // the sends under way are over
			m.sending = nil
			b.settle()
		}
		if m.r.IntN(10) == 0 {
			b.trim()
		}
	}
}

func (m *sendModel) write() {
	if m.fill == nil {
		f, ok := m.b.reserve()
		if !ok {
			if m.b.space() > 0 {
				m.t.Error("no Fill, but there is space")
			}
			return
		}
		m.fill = &f
	}
	if _, ok := m.b.reserve(); ok {
		m.t.Error("a second Fill")
	}
	p := make([]byte, m.r.IntN(3*m.b.payload))
	for i, x := 0, byte(m.r.Uint32()); i < len(p); i, x = i+1, x*5+1 {
		p[i] = x
	}
	before := m.b.space()
	var n int
	if m.r.IntN(2) == 0 {
		p, n = m.take()
	} else {
		n = m.fill.Copy(p)
	}
	if n > before {
		m.t.Errorf("took %d bytes where there was space for %d", n, before)
	}
	m.b.commit(m.fill)
	m.fill = nil
	for p = p[:n]; len(p) > 0; {
		last := len(m.packets) - 1
		if last < int(m.b.next) || len(m.packets[last]) == m.b.payload {
			m.packets = append(m.packets, nil)
			msg := uint32(maxMessage - 20)
			if k := len(m.message); k > 0 {
				msg = nextMessage(m.message[k-1])
			}
			m.message = append(m.message, msg)
			last++
		}
		k := min(len(p), m.b.payload-len(m.packets[last]))
		m.packets[last] = append(m.packets[last], p[:k]...)
		p = p[k:]
	}
}

// take fills m.fill from the stage, which is filled before if it is empty. It
// returns what the stage had and how much of that was taken.
func (m *sendModel) take() (p []byte, n int) {
	if m.stage.Len() == 0 {
		most := m.b.aim(&m.stage, 1+m.r.IntN(3))
		if m.r.IntN(2) == 0 {
			most = 1 + m.r.IntN(most)
		}
		m.staged = make([]byte, most)
		got := 0
		for _, b := range m.stage.Vector(nil, most) {
			for i := range b {
				b[i] = byte(m.r.Uint32())
			}
			got += copy(m.staged[got:], b)
		}
		if got != most {
			m.t.Errorf("room for %d bytes of %d", got, most)
		}
		m.stage.Filled(most)
	}
	n = m.fill.Take(&m.stage)
	way := "copied"
	if m.fill.adopted {
		way = "moved"
	}
	m.ways[way]++
	p, m.staged = m.staged, m.staged[n:]
	if m.stage.Len() != len(m.staged) {
		m.t.Errorf("%d bytes left of %d", m.stage.Len(), len(m.staged))
	}
	return p, n
}

// transmitted checks a run's packets as they go on the wire.
func (m *sendModel) transmitted(r run) {
	mem := m.b.bytes(r, m.now)
	m.sending = append(m.sending, sendingRun{mem, bytes.Clone(mem)})
	payload := 0
	for k := range r.n {
		i := r.first + packetIndex(k)
		p := mem[k*m.b.stride : min(len(mem), (k+1)*m.b.stride)]
		want := Data{
			Seq: i.seqOf(m.b.isn), Boundary: BoundarySolo, Message: m.message[i],
			Timestamp: m.now.microseconds(), Dst: 55, Payload: m.packets[i],
		}
		if !bytes.Equal(p, want.Append(nil)) {
			m.t.Errorf("packet %d is %x, want %x", i, p, want.Append(nil))
		}
		payload += len(m.packets[i])
		m.sentAt[i] = m.now
	}
	if got := m.b.payloadOf(r); got != payload {
		m.t.Errorf("payload of the run %d, want %d", got, payload)
	}
	if len(mem) > maxRunBytes {
		m.t.Errorf("a run of %d bytes", len(mem))
	}
}

func (m *sendModel) verify() {
	b := m.b
	for _, s := range m.sending {
		if headerless(s.mem, b.stride) != headerless(s.copied, b.stride) {
			m.t.Error("memory of a send under way has changed")
		}
	}
	if int(b.tail) != len(m.packets) || b.lostCount != len(m.lost) {
		m.t.Errorf("tail %d, lost %d; want %d, %d", b.tail, b.lostCount, len(m.packets), len(m.lost))
	}
	if b.next > b.una {
		i := b.una + packetIndex(m.r.IntN(b.inFlight()))
		if at := b.lastSent(i); at != m.sentAt[i] {
			m.t.Errorf("packet %d: sent at %d, want %d", i, at, m.sentAt[i])
		}
		again := false
		for k := b.una; k < i; k++ {
			again = again || m.again[k]
		}
		if b.anyAgain(i) != again {
			m.t.Errorf("packets %d to %d: sent again %v", b.una, i, !again)
		}
	}
	c := Conn{snd: *b}
	if err := c.check(); err != nil {
		m.t.Error(err)
	}
}

// headerless is a run without its timestamps, which a retransmission may
// renew while the first send is under way.
func headerless(run []byte, stride int) string {
	run = bytes.Clone(run)
	for i := 0; i < len(run); i += stride {
		clear(run[i+8 : i+12])
	}
	return string(run)
}

func testSendBuffer(limit int) *sendBuffer {
	b := &sendBuffer{}
	b.init(1000, 1500, 1, limit)
	return b
}

func (b *sendBuffer) fillWith(n int) int {
	total := 0
	for n > 0 {
		f, ok := b.reserve()
		if !ok {
			break
		}
		k := f.Copy(make([]byte, n))
		b.commit(&f)
		n -= k
		total += k
	}
	return total
}

// Small writes share a packet until it is sent.
func TestSendBufferCoalesces(t *testing.T) {
	b := testSendBuffer(10)
	b.fillWith(100)
	b.fillWith(200)
	if b.tail != 1 || b.space() != 10*b.payload-300 {
		t.Errorf("tail %d, space %d", b.tail, b.space())
	}
	b.advanceNext(1)
	b.fillWith(1)
	if b.tail != 2 {
		t.Errorf("what was sent has grown: tail %d", b.tail)
	}
}

// A packet that is being filled isn't sent, one that is full is.
func TestSendBufferHoldsPacketBeingFilled(t *testing.T) {
	b := testSendBuffer(10)
	b.fillWith(b.payload + 1)
	f, _ := b.reserve()
	if b.sendable() != 1 {
		t.Errorf("sendable up to %d with packet 1 being filled", b.sendable())
	}
	f.Copy(make([]byte, b.payload))
	b.commit(&f)
	if b.sendable() != 3 {
		t.Errorf("sendable up to %d after the commit", b.sendable())
	}
	b.fillWith(b.payload - 1)
	f, _ = b.reserve()
	if b.sendable() != 3 {
		t.Errorf("full packets are held back: %d", b.sendable())
	}
	b.commit(&f)
	if b.tail != 3 {
		t.Errorf("an empty Fill made a packet: %d", b.tail)
	}
}

func TestSendBufferLimit(t *testing.T) {
	b := testSendBuffer(70) // more than a chunk
	if got := b.fillWith(1 << 20); got != 70*b.payload || b.space() != 0 {
		t.Errorf("took %d bytes, space left %d", got, b.space())
	}
	b.advanceNext(70)
	b.acknowledge(1)
	if got := b.fillWith(1 << 20); got != b.payload {
		t.Errorf("took %d bytes for one packet acknowledged", got)
	}
	b.limit = 10 // shrinks with the flight
	if _, ok := b.reserve(); ok || b.space() > 0 {
		t.Errorf("space %d under a limit below what is held", b.space())
	}
}

func TestMessageNumbersWrap(t *testing.T) {
	for m, want := range map[uint32]uint32{1: 2, 0x1FFFFFFD: 0x1FFFFFFE, 0x1FFFFFFE: 1} {
		if got := nextMessage(m); got != want {
			t.Errorf("message %#x is followed by %#x, want %#x", m, got, want)
		}
	}
}

// Memory follows use: what was acknowledged is kept for reuse, and given back
// when the buffer is empty and idle.
func TestSendBufferMemory(t *testing.T) {
	b := testSendBuffer(10_000)
	b.fillWith(10_000 * b.payload)
	b.advanceNext(10_000)
	b.acknowledge(10_000)
	b.settle()
	if n := (10_000 + b.slots - 1) / b.slots; len(b.spare.free) < n-1 || len(b.spare.free) > n || len(b.limbo) != 0 {
		t.Errorf("%d chunks spare of %d, %d in limbo", len(b.spare.free), n, len(b.limbo))
	}
	b.trim()
	if b.spare.free != nil || b.ring.table != nil {
		t.Error("an empty buffer keeps memory")
	}
	b.fillWith(1)
	b.trim()
	if b.ring.table == nil {
		t.Error("trim took what is not acknowledged")
	}
}
