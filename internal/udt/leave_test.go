package udt_test

import (
	"errors"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// Leave takes 10 ms, however far the peer is, and last words get there all
// the same; the peer then reads the end.
func TestLeave(t *testing.T) {
	for name, c := range map[string]struct {
		loss float64
		rtt  time.Duration
		most time.Duration
	}{
		"far":         {0, time.Second, 11 * time.Millisecond},
		"near":        {0, 200 * time.Microsecond, 3 * time.Millisecond},
		"far, lossy":  {0.1, time.Second, 11 * time.Millisecond},
		"near, lossy": {0.1, 200 * time.Microsecond, 11 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			const runs = 20
			missed := 0
			for seed := range uint64(runs) {
				link := lan
				link.Delay, link.Loss = c.rtt/2, c.loss
				connected(t, simConfig{link: link, seed: seed}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
					words := []byte("bye")
					meanwhile(t,
						func() error {
							if err := write(client, words); err != nil {
								return err
							}
							begin := time.Now()
							err := client.Leave()
							wantTook(t, begin, 0, c.most)
							return err
						},
						func() error {
							if wantEOF(server, words) != nil {
								missed++
							}
							return nil
						},
					)
					if err := server.Close(); err != nil && !errors.Is(err, udt.ErrUndelivered) {
						t.Errorf("server: %v", err)
					}
				})
			}
			if missed > int(c.loss*runs/5) { // one in a thousand at 10 %
				t.Errorf("%d of %d missed the last words", missed, runs)
			}
		})
	}
}
