package udt_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// atOnce is how long ending a connection takes at most: the copies of the
// shutdown and, for a peer, the time it takes to believe it.
const atOnce = 200 * time.Millisecond

func TestCloseWakesCalls(t *testing.T) {
	for name, end := range map[string]func(*udt.Conn) error{"close": (*udt.Conn).Close, "abort": (*udt.Conn).Abort} {
		t.Run(name, func(t *testing.T) {
			c := simConfig{client: smallWindow, server: smallWindow}
			c.client.Linger = time.Second
			connected(t, c, func(t *testing.T, _ *sim, client, _ *udt.Conn) {
				var calls []<-chan outcome
				for range 3 {
					calls = append(calls,
						start(func() (int, error) { return readCall(client) }),
						start(func() (int, error) { return writeCall(client) }),
					)
				}
				<-time.After(time.Second)
				begin := time.Now()
				ended := start(func() (int, error) { return 0, end(client) })
				for _, call := range calls {
					o := <-call
					wantError(t, o.err, udt.EINVSOCK, net.ErrClosed)
					if took := o.at.Sub(begin); took != 0 {
						t.Errorf("woken after %v", took)
					}
				}
				<-ended
				_, err := client.Read(make([]byte, 1))
				wantError(t, err, udt.EINVSOCK, net.ErrClosed)
				_, err = client.Write([]byte{1})
				wantError(t, err, udt.EINVSOCK, net.ErrClosed)
			})
		})
	}
}

// Everything that was written arrives, then comes the end, also through loss.
func TestCloseDrains(t *testing.T) {
	for name, loss := range map[string]float64{"clean": 0, "loss": 0.1} {
		t.Run(name, func(t *testing.T) {
			link := lan
			link.Loss, link.Delay = loss, 30*time.Millisecond
			connected(t, simConfig{link: link}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
				data := noise(5, 400_000)
				meanwhile(t,
					func() error { return errors.Join(write(client, data), client.Close()) },
					func() error { return wantEOF(server, data) },
				)
				if n, err := server.Read(make([]byte, 1)); n != 0 || !isBareEOF(err) {
					t.Errorf("after the end: %d, %v", n, err)
				}
				_, err := server.Write([]byte("late"))
				wantError(t, err, udt.ECONNLOST, udt.ErrPeerClosed)
				if err := server.Close(); err != nil {
					t.Errorf("server: %v", err)
				}
			})
		})
	}
}

// A peer that reads late gets everything: Close waits for that, and no lost
// packet stops it.
func TestCloseWaitsForASlowReader(t *testing.T) {
	for name, loss := range map[string]float64{"clean": 0, "loss": 0.3} {
		t.Run(name, func(t *testing.T) {
			c := simConfig{link: lan, client: smallWindow, server: smallWindow}
			c.link.Loss = loss
			connected(t, c, func(t *testing.T, _ *sim, client, server *udt.Conn) {
				data := noise(5, 400_000)
				meanwhile(t,
					func() error { return errors.Join(write(client, data), client.Close()) },
					func() error {
						buf := make([]byte, 20_000)
						var got []byte
						for {
							<-time.After(time.Second)
							n, err := server.Read(buf)
							got = append(got, buf[:n]...)
							if isBareEOF(err) && bytes.Equal(got, data) {
								return nil
							}
							if err != nil {
								return fmt.Errorf("after %d of %d bytes: %w", len(got), len(data), err)
							}
						}
					},
				)
			})
		})
	}
}

func TestBothCloseAtOnce(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		begin := time.Now()
		meanwhile(t, client.Close, server.Close, client.Close, server.Close)
		wantTook(t, begin, 0, atOnce)
		if err := client.Close(); err != nil {
			t.Errorf("again: %v", err)
		}
	})
}

// Both ends write, and close at once: each gets the other's data first.
func TestBothDrainAtOnce(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		data := noise(1, 100_000)
		begin := time.Now()
		meanwhile(t,
			func() error { return errors.Join(write(client, data), client.Close()) },
			func() error { return errors.Join(write(server, data), server.Close()) },
		)
		wantTook(t, begin, 0, 2*time.Second)
	})
}

func TestUndeliveredWhenThePeerVanishes(t *testing.T) {
	c := simConfig{client: udt.Config{PeerTimeout: 3 * time.Second}}
	connected(t, c, func(t *testing.T, s *sim, client, _ *udt.Conn) {
		<-time.After(time.Second)
		s.cut()
		if err := write(client, []byte("to nobody")); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		err := client.Close()
		wantError(t, err, udt.ECONNLOST, udt.ErrUndelivered, udt.ErrConnLost)
		wantTook(t, begin, 0, 3*time.Second+atOnce)
		err = client.Close()
		wantError(t, err, udt.ECONNLOST, udt.ErrUndelivered)
	})
}

// The peer took the data, then closed before acknowledging all of it.
func TestUndeliveredWhenThePeerCloses(t *testing.T) {
	connected(t, simConfig{client: smallWindow, server: smallWindow}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		client.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := writeCall(client); err == nil {
			t.Fatal("wrote everything")
		}
		if err := server.Close(); err != nil {
			t.Errorf("the server had written nothing: %v", err)
		}
		<-time.After(time.Second)
		wantError(t, client.Close(), udt.ECONNLOST, udt.ErrUndelivered)
	})
}

func TestLingerIsABound(t *testing.T) {
	c := simConfig{client: smallWindow, server: smallWindow}
	c.client.Linger = 2 * time.Second
	connected(t, c, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		client.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := writeCall(client); err == nil {
			t.Fatal("wrote everything")
		}
		begin := time.Now()
		wantError(t, client.Close(), udt.ECONNLOST, udt.ErrUndelivered)
		wantTook(t, begin, 2*time.Second, 2*time.Second+atOnce)
		_, err := io.Copy(io.Discard, server)
		wantError(t, err, udt.ECONNLOST, udt.ErrConnLost)
	})
}

func TestNegativeLingerAborts(t *testing.T) {
	c := simConfig{client: smallWindow, server: smallWindow}
	c.client.Linger = -1
	for name, fill := range map[string]bool{"full buffer": true, "empty buffer": false} {
		t.Run(name, func(t *testing.T) {
			connected(t, c, func(t *testing.T, _ *sim, client, server *udt.Conn) {
				if fill {
					client.SetWriteDeadline(time.Now().Add(time.Second))
					if _, err := writeCall(client); err == nil {
						t.Fatal("wrote everything")
					}
				}
				begin := time.Now()
				err := client.Close()
				if fill {
					wantError(t, err, udt.ECONNLOST, udt.ErrUndelivered)
					if want := "udt close 10.0.0.2:9000: closed before everything was delivered"; err.Error() != want {
						t.Errorf("got %q, want %q", err, want)
					}
				} else if err != nil {
					t.Errorf("nothing was written: %v", err)
				}
				wantTook(t, begin, 0, atOnce)
				_, err = io.Copy(io.Discard, server)
				wantError(t, err, udt.ECONNLOST, udt.ErrConnLost)
				wantTook(t, begin, 0, time.Second)
			})
		})
	}
}

func TestAbortIsALossToThePeer(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		if err := write(client, []byte("start")); err != nil {
			t.Fatal(err)
		}
		if err := wantBytes(server, []byte("start")); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if err := client.Abort(); err != nil {
			t.Errorf("abort: %v", err)
		}
		wantTook(t, begin, 0, atOnce)
		_, err := server.Read(make([]byte, 1))
		wantError(t, err, udt.ECONNLOST, udt.ErrConnLost)
		wantTook(t, begin, 0, time.Second)
		_, err = server.Write([]byte{1})
		wantError(t, err, udt.ECONNLOST, udt.ErrConnLost)
		server.Close()
	})
}

// Another goroutine's Abort, or the end of the endpoint, ends a Close that
// still delivers. That must not look like success.
func TestAbortDuringClose(t *testing.T) {
	for name, end := range map[string]func(*sim, *udt.Conn) error{
		"abort":    func(_ *sim, c *udt.Conn) error { return c.Abort() },
		"endpoint": func(s *sim, _ *udt.Conn) error { return s.client.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			connected(t, simConfig{client: smallWindow, server: smallWindow}, func(t *testing.T, s *sim, client, _ *udt.Conn) {
				client.SetWriteDeadline(time.Now().Add(time.Second))
				if _, err := writeCall(client); err == nil {
					t.Fatal("wrote everything")
				}
				closed := start(func() (int, error) { return 0, client.Close() })
				<-time.After(time.Second)
				begin := time.Now()
				if err := end(s, client); err != nil {
					t.Error(err)
				}
				o := <-closed
				wantError(t, o.err, udt.ECONNLOST, udt.ErrUndelivered)
				wantTook(t, begin, 0, atOnce)
			})
		})
	}
}

func TestPeerTimeout(t *testing.T) {
	const limit = 4 * time.Second
	c := simConfig{client: udt.Config{PeerTimeout: limit}, server: udt.Config{PeerTimeout: limit}}
	connected(t, c, func(t *testing.T, s *sim, client, server *udt.Conn) {
		<-time.After(10 * limit) // keep-alives hold an idle connection
		if d := client.Silence(); d > 1100*time.Millisecond {
			t.Errorf("silence of %v, with keep-alives once a second", d)
		}
		if err := write(server, []byte("kept")); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		s.cut()
		begin := time.Now()
		<-time.After(limit / 2)
		if d := client.Silence(); d < limit/2 || d > limit/2+time.Second {
			t.Errorf("silence of %v, %v after the network was cut", d, limit/2)
		}
		if err := wantBytes(client, []byte("kept")); err != nil {
			t.Fatal(err)
		}
		for _, call := range []<-chan outcome{
			start(func() (int, error) { return readCall(client) }),
			start(func() (int, error) { return readCall(server) }),
			start(func() (int, error) {
				for {
					if n, err := server.Write(make([]byte, 10_000)); err != nil {
						return n, err
					}
					<-time.After(time.Millisecond)
				}
			}),
		} {
			o := <-call
			wantError(t, o.err, udt.ECONNLOST, udt.ErrConnLost)
			if took := o.at.Sub(begin); took < limit-2*time.Second || took > limit {
				t.Errorf("lost after %v", took)
			}
		}
		wantError(t, server.Close(), udt.ECONNLOST, udt.ErrConnLost, udt.ErrUndelivered)
	})
}

// What Write took without an error before Close began is delivered, and what
// it takes after that is either delivered or not taken.
func TestWritesRaceClose(t *testing.T) {
	for seed := range uint64(20) {
		connected(t, simConfig{seed: seed}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
			var taken atomic.Int64
			writer := func() error {
				for i := 0; ; i++ {
					n, err := client.Write(make([]byte, 1+(i*977+int(seed))%4000))
					taken.Add(int64(n))
					if errors.Is(err, net.ErrClosed) {
						return nil
					}
					if err != nil {
						return err
					}
				}
			}
			var got int64
			meanwhile(t, writer, writer, writer,
				func() error {
					<-time.After(time.Duration(seed) * 7 * time.Millisecond)
					return client.Close()
				},
				func() (err error) {
					got, err = io.Copy(io.Discard, server)
					return err
				},
			)
			if got != taken.Load() {
				t.Errorf("seed %d: took %d bytes, delivered %d", seed, taken.Load(), got)
			}
		})
	}
}

// A peer that took everything and closed at once has acknowledged everything,
// be the last packet full or not, and be an acknowledgement lost.
func TestDeliveredWhenThePeerClosesAtOnce(t *testing.T) {
	link := lan
	for name, loss := range map[string]float64{"clean": 0, "loss": 0.05} {
		link.Loss = loss
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(30) {
				connected(t, simConfig{seed: seed, link: link}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
					request, answer := noise(seed, 1000), noise(seed, 1456*int(1+7*seed))
					meanwhile(t,
						func() error { return errors.Join(write(client, request), wantBytes(client, answer), client.Close()) },
						func() error {
							return errors.Join(wantBytes(server, request), write(server, answer), wantEOF(server, nil), server.Close())
						},
					)
				})
			}
		})
	}
}

// The end is known soon after a short exchange too, when little is known of
// the round trip.
func TestEndComesSoon(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		meanwhile(t,
			func() error { return errors.Join(write(client, []byte("ping")), wantBytes(client, []byte("pong"))) },
			func() error { return errors.Join(wantBytes(server, []byte("ping")), write(server, []byte("pong"))) },
		)
		begin := time.Now()
		meanwhile(t, client.Close, func() error { return wantEOF(server, nil) })
		wantTook(t, begin, 0, 150*time.Millisecond)
	})
}
