package udt_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// dialEarly is dial for a connection whose data do not wait for the answer.
func (s *sim) dialEarly() *udt.Conn {
	s.t.Helper()
	c, err := s.client.DialWith(s.t.Context(), s.server.addr, udt.Config{EarlyData: true})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// Data and the answer to them take two round trips from Dial on, and three without
// early data; also where several connections come from one port at once.
func TestEarlyData(t *testing.T) {
	const roundTrip = 100 * time.Millisecond
	path := lan
	path.Delay = roundTrip / 2
	for _, early := range []bool{false, true} {
		simulate(t, simConfig{link: path}, func(t *testing.T, s *sim) {
			const n = 20
			go func() {
				for range n {
					c, err := s.listener.Accept()
					if err != nil {
						return
					}
					go func() { _, _ = io.Copy(c, c) }() // the client sees what is wrong
				}
			}()
			begin := time.Now()
			ask := func() error {
				c, err := s.client.DialWith(t.Context(), s.server.addr, udt.Config{EarlyData: early})
				if err != nil {
					return err
				}
				data := bytes.Repeat([]byte("early"), 1000)
				if err := write(c, data); err != nil {
					return err
				}
				got := make([]byte, len(data))
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, data) {
					return errors.Join(err, errors.New("other data"))
				}
				return nil
			}
			var tasks []func() error
			for range n {
				tasks = append(tasks, ask)
			}
			meanwhile(t, tasks...)
			want := 3 * roundTrip
			if early {
				want = 2 * roundTrip
			}
			if took := time.Since(begin); took < want || took > want+50*time.Millisecond {
				t.Errorf("early data %v: %v", early, took)
			}
		})
	}
}

// Refused, what was written is lost, and reading, writing and closing say why.
func TestEarlyDataRejected(t *testing.T) {
	simulate(t, simConfig{server: udt.Config{Backlog: 1}}, func(t *testing.T, s *sim) {
		s.dial()
		c := s.dialEarly()
		if err := write(c, []byte("lost")); err != nil {
			t.Fatal(err)
		}
		_, err := c.Read(make([]byte, 1))
		wantError(t, err, udt.ECONNREJ, udt.ErrRejected)
		_, err = c.Write([]byte("x"))
		wantError(t, err, udt.ECONNREJ, udt.ErrRejected)
		if err := c.Close(); !errors.Is(err, udt.ErrRejected) || !errors.Is(err, udt.ErrUndelivered) {
			t.Errorf("close: %v", err)
		}
		exchange(t, s.dialAgain(), s.accept(), 1000, 1)
	})
}

// dialAgain takes what waits for Accept, and dials.
func (s *sim) dialAgain() *udt.Conn {
	s.t.Helper()
	_ = s.accept().Close()
	return s.dialEarly()
}

// Close delivers what was written, whenever the answer comes, and Abort takes the
// listener's half back.
func TestEarlyDataClosedAtOnce(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		c := s.dialEarly()
		if err := errors.Join(write(c, []byte("hello")), c.Close()); err != nil {
			t.Error(err)
		}
		if err := wantEOF(s.accept(), []byte("hello")); err != nil {
			t.Error(err)
		}
		c = s.dialEarly()
		if err := errors.Join(write(c, []byte("hello")), c.Abort()); err != nil {
			t.Error(err)
		}
		_, err := io.ReadAll(s.accept())
		wantError(t, err, udt.ECONNLOST, udt.ErrConnLost)
	})
}

// A listener that is gone when the second request comes does not answer it: the
// time to connect holds for reading.
func TestEarlyDataUnanswered(t *testing.T) {
	simulate(t, simConfig{client: udt.Config{ConnectTimeout: 3 * time.Second}}, func(t *testing.T, s *sim) {
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c, err := s.client.DialWith(ctx, s.server.addr, udt.Config{EarlyData: true})
		if err != nil {
			t.Fatal(err)
		}
		_ = s.listener.Close()
		_, err = c.Read(make([]byte, 1))
		wantError(t, err, udt.ENOSERVER, udt.ErrNoServer)
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("after %v", took)
		}
	})
}
