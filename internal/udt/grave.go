package udt

import (
	"net/netip"
	"time"

	"github.com/udtcp/udtcp/internal/udt/proto"
)

const (
	graveTime  = time.Minute           // how long a grave is kept
	graveEvery = 10 * time.Millisecond // a peer is answered no more often, of each kind
	maxGraves  = 4096
)

// graves remember connections that are over, so that a peer who has missed our
// last ACK or shutdown is told again instead of waiting for its own timeout, and so that a
// late copy of a request doesn't open a connection anew.
type graves struct {
	m       map[uint32]*grave
	clients map[peerKey]bool // of listeners
	order   []uint32         // by time of burial
}

type grave struct {
	peer     peerKey
	isClient bool
	epitaph  proto.Epitaph
	buried   time.Time
	// When the peer was last answered: its questions, and data it repeats, which
	// may come right behind one.
	answered, acknowledged time.Time
}

func (g *graves) has(id uint32) bool { return g.m[id] != nil }

func (g *graves) hasClient(k peerKey) bool { return g.clients[k] }

func (g *graves) bury(now time.Time, id uint32, d grave) {
	if g.m == nil {
		g.m, g.clients = map[uint32]*grave{}, map[peerKey]bool{}
	}
	for len(g.order) > 0 {
		first := g.order[0]
		if len(g.order) < maxGraves && now.Sub(g.m[first].buried) < graveTime {
			break
		}
		delete(g.clients, g.m[first].peer)
		delete(g.m, first)
		g.order = g.order[1:]
	}
	d.buried = now
	g.m[id] = &d
	g.order = append(g.order, id)
	if d.isClient {
		g.clients[d.peer] = true
	}
}

// answer returns what is to be sent for a packet to a grave, if anything.
func (g *graves) answer(now time.Time, id uint32, from netip.AddrPort, b []byte) []proto.Run {
	d := g.m[id]
	if d == nil || d.peer.addr != from {
		return nil
	}
	last := &d.answered
	if d.epitaph.Repeats(b) {
		last = &d.acknowledged
	}
	if now.Sub(*last) < graveEvery {
		return nil
	}
	out := d.epitaph.Answer(nil, b)
	if len(out) > 0 {
		*last = now
	}
	return out
}
