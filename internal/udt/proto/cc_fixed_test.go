package proto

import "testing"

func TestFixed(t *testing.T) {
	f := NewFixed(12e6)
	s := &PathState{PacketSize: 1500}
	f.Init(s)
	for range 3 {
		if f.Rate() != 1000 || f.Window() < 1<<20 || f.Name() != "fixed" {
			t.Fatalf("rate %v, window %v", f.Rate(), f.Window())
		}
		f.OnACK(s, 1)
		f.OnLoss(s, 0)
		f.OnTimeout(s)
	}
}

// A fixed controller keeps to its rate on the wire, lossy or not.
func TestFixedOnTheWire(t *testing.T) {
	s := newConnectedScript(t, func() Config {
		c := testConfig(1)
		c.Controller = NewFixed(12e6) // 1000 packets/s
		return c
	}())
	s.write(700)
	s.pass(500 * ms)
	if n := len(s.takenData()); n < 495 || n > 510 { // repeats of unacknowledged ones count
		t.Errorf("%d packets in 500 ms at 1000/s", n)
	}
}
