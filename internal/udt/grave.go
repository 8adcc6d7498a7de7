package udt

import (
	"net/netip"
	"time"

	"github.com/udtcp/udtcp/internal/udt/proto"
)

const (
	graveTime  = time.Minute           // how long a grave is kept
	graveEvery = 10 * time.Millisecond // a peer is answered no more often
	maxGraves  = 4096
)

// graves remember connections that are over, so that a peer who has missed our
// shutdown is told again instead of waiting for its own timeout, and so that a
// late copy of a request doesn't open a connection anew.
type graves struct {
	m       map[uint32]*grave
	clients map[peerKey]bool // of listeners
	order   []uint32         // by time of burial
}

type grave struct {
	peer     peerKey
	isClient bool
	aborted  bool // not everything arrived
	buried   time.Time
	answered time.Time
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

// answer returns a shutdown for a packet to a grave, nil if there is none to
// be sent.
func (g *graves) answer(now time.Time, id uint32, from netip.AddrPort, b []byte) []byte {
	d := g.m[id]
	if d == nil || d.peer.addr != from || now.Sub(d.answered) < graveEvery {
		return nil
	}
	if ctl, ok := proto.ParseControl(b); ok && ctl.Type == proto.TypeShutdown {
		return nil // it knows
	}
	d.answered = now
	return proto.AppendShutdown(nil, d.peer.id, d.aborted)
}
