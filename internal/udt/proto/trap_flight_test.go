package proto

import (
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// A libudt receiver with a flight size of 32 advertises its whole buffer of
// 8,192 packets, and crashes when it is believed.
func TestTrapFlightFlagBoundsAdvertisedWindow(t *testing.T) {
	const flight = 32
	p := newPair(t, 1, simnet.Params{Delay: 50 * time.Millisecond}, simnet.Params{Delay: 50 * time.Millisecond})
	p.ends[1].cfg.Window = flight
	p.ends[1].onPacket = func(b []byte) [][]byte {
		if ctl, ok := ParseControl(b); ok && ctl.Type == TypeACK {
			if a, light, ok := ParseACK(ctl.Body); ok && !light {
				a.Window = 8191
				ctl.Body = nil
				b = a.AppendFull(ctl.Append(nil))
			}
		}
		return [][]byte{b}
	}
	p.data(0, 500_000)
	p.dial()
	most := 0
	p.run(60*time.Second, func() bool {
		most = max(most, p.ends[0].conn.snd.inFlight())
		return p.delivered()
	})
	if most != flight {
		t.Errorf("up to %d packets in flight, want %d", most, flight)
	}
}
