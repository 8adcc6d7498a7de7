package udt

import (
	"io"
	"os"
)

// SetTestISN fixes the initial sequence number of connections dialled with
// cfg.
func SetTestISN(cfg *Config, isn uint32) { cfg.isn = func() uint32 { return isn } }

// Connections returns the connections of an endpoint, those that are being
// made included.
func (e *Endpoint) Connections() (conns []*Conn) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, c := range e.conns {
		conns = append(conns, c)
	}
	return conns
}

// Tables returns how many entries an endpoint's tables have: connections,
// clients of its listener, and graves.
func (e *Endpoint) Tables() (conns, peers, graves int) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return len(e.conns), len(e.peers), len(e.gone.order)
}

// MaxGraves bounds the last.
const MaxGraves = maxGraves

// NewRegion reads a region of a file as systems without preadv(2) do.
func NewRegion(f *os.File, at, size int64, block int) io.Reader {
	return &region{file: f, at: at, left: size, block: block}
}

// Over returns c with what is set in o in its place.
func (c Config) Over(o Config) Config { return c.over(o) }
