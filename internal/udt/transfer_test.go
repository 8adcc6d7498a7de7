package udt_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// scribble writes data in pieces of random sizes from a buffer that it spoils
// as soon as Write has returned.
func scribble(w io.Writer, data []byte, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	buf := make([]byte, 5000)
	for len(data) > 0 {
		n := copy(buf[:1+rng.IntN(len(buf))], data)
		if m, err := w.Write(buf[:n]); err != nil || m != n {
			return fmt.Errorf("wrote %d of %d: %w", m, n, err)
		}
		clear(buf)
		data = data[n:]
	}
	return nil
}

// sip reads want in pieces of random sizes.
func sip(r io.Reader, want []byte, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 2))
	buf := make([]byte, 9000)
	for len(want) > 0 {
		p := buf[:rng.IntN(len(buf))]
		n, err := r.Read(p)
		switch {
		case err != nil:
			return fmt.Errorf("with %d bytes to come: %w", len(want), err)
		case n == 0 && len(p) > 0 || n > len(p) || n > len(want):
			return fmt.Errorf("read %d into %d bytes with %d to come", n, len(p), len(want))
		case !bytes.Equal(p[:n], want[:n]):
			return fmt.Errorf("other bytes with %d to come", len(want))
		}
		want = want[n:]
	}
	return nil
}

// exchange sends data both ways at once and ends the connection in order.
func exchange(t *testing.T, client, server *udt.Conn, size int, seed uint64) {
	t.Helper()
	up, down := noise(2*seed, size), noise(2*seed+1, size)
	meanwhile(t,
		func() error { return scribble(client, up, seed) },
		func() error { return scribble(server, down, seed+1) },
		func() error { return sip(client, down, seed+2) },
		func() error { return sip(server, up, seed+3) },
	)
	meanwhile(t, client.Close, func() error { return wantEOF(server, nil) })
	if err := server.Close(); err != nil {
		t.Errorf("server: %v", err)
	}
}

func TestTransfer(t *testing.T) {
	const ms = time.Millisecond
	with := func(change func(p *simnet.Params)) simnet.Params {
		p := lan
		change(&p)
		return p
	}
	for name, link := range map[string]simnet.Params{
		"clean":     lan,
		"loss":      with(func(p *simnet.Params) { p.Loss = 0.02 }),
		"bursts":    with(func(p *simnet.Params) { p.BurstStart, p.BurstMean = 0.005, 8 }),
		"reorder":   with(func(p *simnet.Params) { p.Reorder, p.ReorderBy = 0.1, 3*ms }),
		"duplicate": with(func(p *simnet.Params) { p.Duplicate = 0.1 }),
		"jitter":    with(func(p *simnet.Params) { p.Jitter = 10 * ms }),
		"shallow":   with(func(p *simnet.Params) { p.Rate, p.Queue = 20e6, 20_000 }),
		"far":       with(func(p *simnet.Params) { p.Delay, p.Loss = 100*ms, 0.001 }),
		"outage":    with(func(p *simnet.Params) { p.Outages = []simnet.Outage{{At: 60 * ms, For: 3 * time.Second}} }),
		"all": with(func(p *simnet.Params) {
			p.Loss, p.Duplicate, p.Jitter = 0.02, 0.02, 2*ms
			p.BurstStart, p.BurstMean = 0.002, 5
			p.Reorder, p.ReorderBy = 0.05, 4*ms
		}),
	} {
		for _, offloads := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/offloads=%v", name, offloads), func(t *testing.T) {
				t.Parallel()
				c := simConfig{link: link, offloads: offloads, seed: 7}
				if offloads {
					udt.SetTestISN(&c.client, 1<<31-50) // numbers wrap on the way
				}
				connected(t, c, func(t *testing.T, _ *sim, client, server *udt.Conn) {
					exchange(t, client, server, 300_000, 42)
				})
			})
		}
	}
}
