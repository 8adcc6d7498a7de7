package udpio

import (
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// zoneLife is how long a pair of interface name and index is believed.
const zoneLife = time.Minute

// zones remembers interface names and indexes: asking the kernel costs a netlink exchange.
type zones struct {
	mu     sync.Mutex
	since  time.Time
	byName map[string]uint32
	byID   map[uint32]netip.Addr // an address that carries the zone, which keeps its interned name alive
}

// id returns the scope ID for a zone, 0 when there is none by that name.
func (z *zones) id(name string) uint32 {
	if name == "" {
		return 0
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.expire()
	if id, ok := z.byName[name]; ok {
		return id
	}
	if ifi, err := net.InterfaceByName(name); err == nil {
		z.byName[name] = uint32(ifi.Index)
		return z.byName[name]
	}
	id, err := strconv.ParseUint(name, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(id)
}

// with returns ip with the zone of a scope ID: the interface's name, or its number where it has no name.
func (z *zones) with(ip netip.Addr, id uint32) netip.Addr {
	if id == 0 {
		return ip
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.expire()
	known, ok := z.byID[id]
	if !ok {
		name := strconv.FormatUint(uint64(id), 10)
		if ifi, err := net.InterfaceByIndex(int(id)); err == nil {
			name = ifi.Name
		}
		known = netip.IPv6LinkLocalAllNodes().WithZone(name)
		z.byID[id] = known
	}
	return ip.WithZone(known.Zone())
}

func (z *zones) expire() {
	if now := time.Now(); z.byID == nil || now.Sub(z.since) > zoneLife {
		z.since = now
		z.byName, z.byID = map[string]uint32{}, map[uint32]netip.Addr{}
	}
}
