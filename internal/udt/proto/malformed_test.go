package proto

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// A forger spoils packets it has overheard and makes new ones up.
type forger struct {
	r     *rand.Rand
	heard [][]byte
}

func (f *forger) overhear(b []byte) {
	if len(f.heard) < 256 {
		f.heard = append(f.heard, bytes.Clone(b))
		return
	}
	f.heard[f.r.IntN(256)] = bytes.Clone(b)
}

// forge returns a datagram for the connection with the given ID.
func (f *forger) forge(id uint32) []byte {
	b := make([]byte, f.r.IntN(100))
	fill(f.r, b)
	switch f.r.IntN(8) {
	case 0: // noise
	case 1: // a control packet of any type
		if len(b) >= 4 {
			binary.BigEndian.PutUint32(b, controlBit|f.r.Uint32N(10)<<16)
		}
	case 2: // an array of words of a type that has one
		b = make([]byte, HeaderSize+4*f.r.IntN(16))
		fill(f.r, b)
		binary.BigEndian.PutUint32(b, controlBit|(2+f.r.Uint32N(2))<<16)
	default: // something overheard, spoiled
		if len(f.heard) == 0 {
			break
		}
		b = bytes.Clone(f.heard[f.r.IntN(len(f.heard))])
		f.spoil(&b)
	}
	if len(b) >= HeaderSize && f.r.IntN(4) > 0 {
		binary.BigEndian.PutUint32(b[12:], id)
	}
	return b
}

func (f *forger) spoil(b *[]byte) {
	for range 1 + f.r.IntN(3) {
		n := min(len(*b), 64) // the header and the first words matter most
		if n == 0 {
			return
		}
		switch f.r.IntN(6) {
		case 0:
			(*b)[f.r.IntN(n)] ^= 1 << f.r.IntN(8)
		case 1:
			(*b)[f.r.IntN(n)] = byte(f.r.Uint32())
		case 2:
			*b = (*b)[:f.r.IntN(len(*b)+1)]
		case 3:
			more := make([]byte, f.r.IntN(64))
			fill(f.r, more)
			*b = append(*b, more...)
		case 4: // a word becomes an extreme
			if at := 4 * f.r.IntN((n+3)/4); at+4 <= len(*b) {
				extremes := []uint32{0, 1, SeqMask, 1 << 31, 1<<32 - 1, 1 << 30, 1<<31 | 1}
				binary.BigEndian.PutUint32((*b)[at:], extremes[f.r.IntN(len(extremes))])
			}
		case 5: // a word moves a little
			if at := 4 * f.r.IntN((n+3)/4); at+4 <= len(*b) {
				w := binary.BigEndian.Uint32((*b)[at:])
				binary.BigEndian.PutUint32((*b)[at:], w+f.r.Uint32N(200)-100)
			}
		}
	}
}

func fill(r *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
}

// plausible tells packets that no receiver could know from true ones: data with
// other bytes in the window, requests to drop messages there, and acknowledgements of what was sent but has not
// arrived. UDT has no checksum of its own against them.
func plausible(b []byte, to, from *Conn) bool {
	if d, ok := ParseData(b); ok {
		i := indexOf(d.Seq, to.rcv.isn, to.rcv.next)
		return i >= to.rcv.next && i < to.rcv.read+packetIndex(to.rcv.window())
	}
	c, ok := ParseControl(b)
	if d, isDrop := ParseDropRequest(c); isDrop && to.messages() {
		return indexOf(d.Last, to.rcv.isn, to.rcv.next) >= to.rcv.next
	}
	if !ok || c.Type != TypeACK {
		return false
	}
	a, _, ok := ParseACK(c.Body)
	i := indexOf(a.Next, to.isn, to.snd.una)
	return ok && i > from.rcv.next && i <= to.snd.next
}

// Spoiled and made-up packets do a live transfer no harm.
func TestMalformedPackets(t *testing.T) {
	each, transfers := 25_000, uint64(4)
	switch {
	case os.Getenv("UDTCP_ATTACK") != "": // make attack
		transfers = 400
	case testing.Short():
		each = 5000
	}
	for seed := range transfers {
		link := simnet.Params{Rate: 100e6, Delay: 5 * ms, Queue: 1 << 20}
		perStep := []int{20, 10, 5}[seed%3]
		if seed%4 >= 2 {
			link.Loss = 0.005
		}
		p := newPair(t, seed, link, link)
		f := &forger{r: rand.New(rand.NewPCG(seed, 2))}
		p.data(0, 80_000_000/perStep)
		p.data(1, 20_000_000/perStep)
		for _, e := range p.ends {
			e.onPacket = func(b []byte) [][]byte {
				f.overhear(b)
				return [][]byte{b}
			}
		}
		p.dial()
		p.run(time.Second, func() bool { return p.ends[0].conn.State() == StateConnected })
		forged := 0
		p.run(60*time.Second, func() bool {
			for range perStep {
				i := f.r.IntN(2)
				e, peer := p.ends[i], p.ends[1-i].conn
				b := f.forge(e.conn.ID())
				if plausible(b, e.conn, peer) {
					continue
				}
				switch f.r.IntN(8) {
				case 0: // cut in two at any length, as a batch
					b2 := f.forge(e.conn.ID())
					if plausible(b2, e.conn, peer) {
						continue
					}
					if n := len(b); n > 0 && len(b2) <= n {
						e.conn.HandleRun(p.now, append(b, b2...), n)
						forged++
					}
				case 1:
					_, _, reply := p.acceptor.Handle(p.now, clientAddr, testTerms, b, nil)
					if len(reply) > len(b) {
						t.Fatalf("%d bytes answered with %d", len(b), len(reply))
					}
				default:
					e.conn.HandleDatagram(p.now, b)
				}
				forged++
				p.verify(e)
			}
			return forged >= each
		})
		if p.delivered() {
			t.Fatalf("seed %d: the transfer was over before %d packets were forged", seed, forged)
		}
		p.run(120*time.Second, p.delivered)
		p.intact()
		for _, e := range p.ends {
			if e.conn.End() != EndNone {
				t.Errorf("seed %d: end %d of connection %d", seed, e.conn.End(), e.i)
			}
		}
		t.Logf("seed %d: %d forged, done at %v, %+v", seed, forged, time.Duration(p.now), p.ends[0].conn.count)
	}
}
